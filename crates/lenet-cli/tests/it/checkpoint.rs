//! `lenet train --checkpoint` and `--resume`: training that is killed goes on, to the same bits.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use snapbox::cmd::cargo_bin;

use crate::{error, folder, lenet};

/// What decides the bits of a training that lasts a second or more.
const TRAINING: &str = "--threads 2 --seed 3 --recipe all.toml";

/// A folder with data, and a recipe with all that has a state.
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

/// `lenet train` that writes its network to the file `out`.
fn train(folder: &Path, arguments: &str) -> snapbox::cmd::Command {
    lenet(folder)
        .args(["train", "--data", "data", "--json", "--out", "out"])
        .args(arguments.split_whitespace())
}

/// The same, at work, after so many epochs.
fn at_work(folder: &Path, arguments: &str, epochs: u64) -> Child {
    let mut lenet = Command::new(cargo_bin!("lenet"));
    lenet.args(["train", "--data", "data", "--json", "--out", "out"]).args(arguments.split_whitespace());
    let mut child = lenet.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..epochs {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.contains("\"loss\""), "{line}");
    }
    // So that the next epochs can be told too.
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    child
}

/// The network of a training that nothing broke off.
fn undisturbed(folder: &Path) -> Vec<u8> {
    train(folder, TRAINING).assert().success();
    let out = folder.join("out");
    let bytes = fs::read(&out).unwrap();
    fs::remove_file(out).unwrap();
    bytes
}

/// Files in a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn killed_again_and_again_training_ends_with_the_same_bits() {
    let folder = folder_with_recipe();
    let expected = undisturbed(folder.path());
    let mut arguments = format!("{TRAINING} --checkpoint state");
    let mut random = fastrand::Rng::with_seed(0);
    let mut told = 0;
    for _ in 0..4 {
        let epochs = random.u64(1..20);
        let mut child = at_work(folder.path(), &arguments, epochs);
        told += epochs;
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "expected to be killed before the end");
        assert!(!folder.path().join("out").exists());
        arguments = "--resume state".into();
    }
    let output =
        train(folder.path(), &arguments).assert().success().stderr_eq("").get_output().stdout.clone();
    let first: serde_json::Value =
        serde_json::from_slice(output.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    assert!(first["epoch"].as_u64().unwrap() > told, "expected to go on after {told} epochs, found {first}");
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
    assert_eq!(files(&folder.path().join("state")), ["state.safetensors"]);

    // At the end there is nothing to do but to write the network.
    fs::remove_file(folder.path().join("out")).unwrap();
    train(folder.path(), "--resume state").assert().success();
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
}

/// The system kills a process that writes more of a file than it may: here, in the middle of a state.
#[cfg(target_os = "linux")]
#[test]
fn killed_in_the_middle_of_a_write_training_ends_with_the_same_bits() {
    use std::os::unix::process::ExitStatusExt;

    let folder = folder_with_recipe();
    let expected = undisturbed(folder.path());
    let state = folder.path().join("state");
    let mut child = at_work(folder.path(), &format!("{TRAINING} --checkpoint state"), 3);
    let len = fs::metadata(state.join("state.safetensors")).unwrap().len();
    let limit = [format!("--pid={}", child.id()), format!("--fsize={}", len / 2)];
    assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(25), "expected SIGXFSZ");
    let left = files(&state);
    assert_eq!(left.len(), 2, "expected a state and half of one, found {left:?}");
    assert_eq!(fs::metadata(state.join(&left[0])).unwrap().len(), len / 2);

    train(folder.path(), "--resume state").assert().success().stderr_eq("");
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
    assert_eq!(files(&state), ["state.safetensors"]);
}

#[cfg(unix)]
#[test]
fn after_ctrl_c_training_goes_on() {
    let folder = folder_with_recipe();
    let expected = undisturbed(folder.path());
    let mut child = at_work(folder.path(), &format!("{TRAINING} --checkpoint state"), 2);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (_, provenance) = lenet::weights::from_bytes(&fs::read(folder.path().join("out")).unwrap()).unwrap();
    assert!(provenance.interrupted);
    train(folder.path(), "--resume state").assert().success();
    assert!(fs::read(folder.path().join("out")).unwrap() == expected);
}

#[test]
fn a_state_is_neither_overwritten_nor_resumed_with_other_images() {
    let folder = folder();
    train(folder.path(), "--epochs 2 --threads 2 --validate 5 --checkpoint new/state").assert().success();
    let file = folder.path().join("new/state/state.safetensors");
    let state = fs::read(&file).unwrap();
    assert_eq!(
        error(train(folder.path(), "--checkpoint new/state")),
        "new/state/state.safetensors: expected none yet, found the state of a training: \
         go on with it by --resume new/state"
    );
    for (validate, found) in [("", "30"), ("--validate 6", "24")] {
        assert_eq!(
            error(train(folder.path(), &format!("--resume new/state {validate}"))),
            format!(
                "new/state/state.safetensors: data: expected the images that training began with, \
                 found {found} others"
            )
        );
    }
    for option in ["mlp", "--recipe tutorial", "--epochs 3", "--batch-size 9", "--seed 1", "--threads 1"] {
        train(folder.path(), &format!("--resume new/state --validate 5 {option}")).assert().code(2);
    }
    assert!(fs::read(&file).unwrap() == state);

    fs::write(&file, &state[..state.len() / 2]).unwrap();
    let found = error(train(folder.path(), "--resume new/state --validate 5"));
    assert!(
        found.starts_with("new/state/state.safetensors: content: expected a safetensors file"),
        "{found}"
    );
    fs::remove_file(&file).unwrap();
    let found = error(train(folder.path(), "--resume new/state --validate 5"));
    assert!(found.starts_with("new/state/state.safetensors: could not be read: "), "{found}");
}

#[test]
fn where_no_state_can_be_written_there_is_no_first_epoch() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    for (checkpoint, error) in
        [("file", "file: could not be made: [..]"), ("file/state", "file/state: could not be made: [..]")]
    {
        let train = train(folder.path(), &format!("--checkpoint {checkpoint}"));
        train.assert().code(1).stdout_eq("").stderr_eq(format!("error: {error}\n"));
    }
    assert_eq!(files(folder.path()), ["data", "file"]);
}

/// A file may have so many blocks, and what is beyond them fails as on a full disk.
#[cfg(unix)]
#[test]
fn on_a_full_disk_there_is_no_first_epoch() {
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
