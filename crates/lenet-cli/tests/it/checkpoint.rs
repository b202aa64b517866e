//! `lenet train --checkpoint` and `--resume`: a training that was killed continues and ends with the same bits.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use snapbox::cmd::cargo_bin;

use crate::{error, files, folder, lenet};

/// Options of a training that takes a second or more.
const TRAINING: &str = "--threads 2 --seed 3 --recipe all.toml";

/// Creates a folder with data and a recipe that uses everything that has state.
fn folder_with_recipe() -> tempfile::TempDir {
    let folder = folder();
    let recipe = r#"
        name = "all"
        epochs = 200
        batch_size = 7
        warmup = 0.1
        label_smoothing = 0.1
        ema = 0.9
        schedule = "Cosine"
        normalize = { mean = 0.1307, std = 0.3081 }
        optimizer.AdamW = { lr = 0.001, weight_decay = 0.1 }
    "#;
    fs::write(folder.path().join("all.toml"), recipe).unwrap();
    folder
}

/// Returns the command `lenet train` with the weights in the file `out`.
fn train(folder: &Path, arguments: &str) -> snapbox::cmd::Command {
    lenet(folder)
        .args(["train", "--data", "data", "--json", "--out", "out"])
        .args(arguments.split_whitespace())
}

/// Starts `lenet train`, and returns after `epochs` epochs while it is running.
fn start_and_read_epochs(folder: &Path, arguments: &str, epochs: u64) -> Child {
    let mut lenet = Command::new(cargo_bin!("lenet"));
    lenet.args(["train", "--data", "data", "--json", "--out", "out"]).args(arguments.split_whitespace());
    let mut child = lenet.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..epochs {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.contains("\"loss\""), "{line}");
    }
    // Reads on, so that the process does not block on a full pipe.
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    child
}

/// Returns the weights file of an uninterrupted training.
fn uninterrupted(folder: &Path) -> Vec<u8> {
    train(folder, TRAINING).assert().success();
    let out = folder.join("out");
    let bytes = fs::read(&out).unwrap();
    fs::remove_file(out).unwrap();
    bytes
}

#[test]
fn training_killed_repeatedly_ends_with_the_same_bits() {
    let folder = folder_with_recipe();
    let expected = uninterrupted(folder.path());
    let mut arguments = format!("{TRAINING} --checkpoint state");
    let mut random = fastrand::Rng::with_seed(0);
    let mut epochs_read = 0;
    for _ in 0..4 {
        let epochs = random.u64(1..20);
        let mut child = start_and_read_epochs(folder.path(), &arguments, epochs);
        epochs_read += epochs;
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "expected to be killed before the end");
        assert!(!folder.path().join("out").exists());
        arguments = "--resume state".into();
    }
    let output =
        train(folder.path(), &arguments).assert().success().stderr_eq("").get_output().stdout.clone();
    let first: serde_json::Value =
        serde_json::from_slice(output.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    assert!(
        first["epoch"].as_u64().unwrap() > epochs_read,
        "expected to continue after {epochs_read} epochs, found {first}"
    );
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
    assert_eq!(files(&folder.path().join("state")), ["state.safetensors"]);

    // A finished training only writes the weights.
    fs::remove_file(folder.path().join("out")).unwrap();
    train(folder.path(), "--resume state").assert().success();
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
}

/// The operating system kills a process that exceeds its file size limit: here, while it writes a checkpoint.
#[cfg(target_os = "linux")]
#[test]
fn training_killed_during_a_write_ends_with_the_same_bits() {
    use std::os::unix::process::ExitStatusExt;

    let folder = folder_with_recipe();
    let expected = uninterrupted(folder.path());
    let state = folder.path().join("state");
    let mut child = start_and_read_epochs(folder.path(), &format!("{TRAINING} --checkpoint state"), 3);
    let len = fs::metadata(state.join("state.safetensors")).unwrap().len();
    let limit = [format!("--pid={}", child.id()), format!("--fsize={}", len / 2)];
    assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(25), "expected SIGXFSZ");
    let left = files(&state);
    assert_eq!(left.len(), 2, "expected a checkpoint and half of one, found {left:?}");
    assert_eq!(fs::metadata(state.join(&left[0])).unwrap().len(), len / 2);

    train(folder.path(), "--resume state").assert().success().stderr_eq("");
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
    assert_eq!(files(&state), ["state.safetensors"]);
}

#[cfg(unix)]
#[test]
fn resumes_after_ctrl_c() {
    let folder = folder_with_recipe();
    let expected = uninterrupted(folder.path());
    let mut child = start_and_read_epochs(folder.path(), &format!("{TRAINING} --checkpoint state"), 2);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (_, provenance) = lenet::weights::from_bytes(&fs::read(folder.path().join("out")).unwrap()).unwrap();
    assert!(provenance.interrupted);
    train(folder.path(), "--resume state").assert().success();
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
}

#[test]
fn checkpoint_is_neither_overwritten_nor_resumed_with_other_images() {
    let folder = folder();
    train(folder.path(), "--epochs 2 --threads 2 --holdout 5 --checkpoint new/state").assert().success();
    let file = folder.path().join("new/state/state.safetensors");
    let state = fs::read(&file).unwrap();
    assert_eq!(
        error(train(folder.path(), "--checkpoint new/state")),
        "new/state/state.safetensors: expected none yet, found a checkpoint: \
         continue it with --resume new/state"
    );
    for (holdout, found) in [("", "30"), ("--holdout 6", "24")] {
        assert_eq!(
            error(train(folder.path(), &format!("--resume new/state {holdout}"))),
            format!(
                "new/state/state.safetensors: data: expected the images that training started with, \
                 found {found} others"
            )
        );
    }
    for option in ["mlp", "--recipe tutorial", "--epochs 3", "--batch-size 9", "--seed 1", "--threads 1"] {
        train(folder.path(), &format!("--resume new/state --holdout 5 {option}")).assert().code(2);
    }
    assert!(fs::read(&file).unwrap() == state);

    fs::write(&file, &state[..state.len() / 2]).unwrap();
    let found = error(train(folder.path(), "--resume new/state --holdout 5"));
    assert!(
        found.starts_with("new/state/state.safetensors: content: expected a safetensors file"),
        "{found}"
    );
    fs::remove_file(&file).unwrap();
    let found = error(train(folder.path(), "--resume new/state --holdout 5"));
    assert!(found.starts_with("new/state/state.safetensors: could not be read: "), "{found}");
}

#[test]
fn unwritable_checkpoint_folder_fails_before_training() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    for (checkpoint, error) in [
        ("file", "file: could not be created: [..]"),
        ("file/state", "file/state: could not be created: [..]"),
    ] {
        let train = train(folder.path(), &format!("--checkpoint {checkpoint}"));
        train.assert().code(1).stdout_eq("").stderr_eq(format!("error: {error}\n"));
    }
    assert_eq!(files(folder.path()), ["data", "file"]);
}

/// Limits the size of a file, so that writes beyond it fail as on a full disk.
#[cfg(unix)]
#[test]
fn full_disk_fails_before_training() {
    let folder = folder();
    for (blocks, file) in [("1", "out"), ("1000", "state/state.safetensors")] {
        let limited = snapbox::cmd::Command::new("sh")
            .current_dir(folder.path())
            .args(["-c", r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#, blocks])
            .arg(cargo_bin!("lenet"))
            .args(["train", "--data", "data", "--out", "out", "--checkpoint", "state"]);
        let error = error(limited);
        assert!(error.starts_with(&format!("{file}: could not be written: ")), "{error}");
        assert_eq!(files(folder.path()), ["data", "state"]);
        assert_eq!(files(&folder.path().join("state")), [""; 0]);
    }
}
