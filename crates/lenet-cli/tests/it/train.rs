//! `lenet train`: output, saved weights, options.

use std::{fs, path::Path};

use lenet::{
    data::idx,
    weights::{self, HoldoutMetrics},
};
use serde_json::Value;
use snapbox::{cmd::Command, str};

use crate::{error, folder, lenet};

/// Returns the command `lenet train --data data`, run in `folder` with more arguments.
fn train(folder: &Path, arguments: &str) -> Command {
    lenet(folder).args(["train", "--data", "data"]).args(arguments.split_whitespace())
}

#[test]
fn prints_each_epoch_and_saves_the_weights() {
    let folder = folder();
    train(folder.path(), "mlp --epochs 2 --threads 1").assert().success().stderr_eq("").stdout_eq(str![[
        r#"
mlp: 623290 parameters, 30 training images, 7 test images, threads: 1
epoch  1/2: loss [..], test accuracy [..]%, [..] s
epoch  2/2: loss [..], test accuracy [..]%, [..] s
test accuracy [..]% (95% interval [..]% to [..]%), [..] of 7
saved mlp.safetensors after 2 of 2 epochs, [..] s

"#
    ]]);
    let (network, provenance) =
        weights::from_bytes(&fs::read(folder.path().join("mlp.safetensors")).unwrap()).unwrap();
    assert_eq!(network.architecture().name(), "mlp");
    assert_eq!((provenance.recipe.name.as_str(), provenance.recipe.epochs), ("default", 2));
    assert_eq!((provenance.seed, provenance.epochs, provenance.interrupted), (0, 2, false));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn json_has_an_object_for_each_epoch_and_one_for_the_result() {
    let folder = folder();
    let arguments =
        "--json --epochs 2 --recipe tutorial --seed 7 --threads 2 --batch-size 16 --out some.file";
    let output = train(folder.path(), arguments).assert().success().stderr_eq("").get_output().stdout.clone();
    let lines: Vec<serde_json::Map<String, Value>> = output
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    for (number, line) in (1..).zip(&lines[..2]) {
        let keys: Vec<_> = line.keys().collect();
        assert_eq!(
            keys,
            ["epoch", "images_per_second", "loss", "seconds", "test_accuracy", "train_accuracy"]
        );
        assert_eq!(line["epoch"], number);
        assert!(line.values().all(Value::is_number));
    }
    let mut result = lines[2].clone();
    assert!(result.remove("seconds").unwrap().is_f64());
    assert_eq!(result.remove("test_accuracy"), Some(lines[1]["test_accuracy"].clone()));
    assert_eq!(
        Value::from(result),
        serde_json::json!({
            "model": "lenet5", "recipe": "tutorial", "seed": 7, "threads": 2, "epochs": 2, "interrupted": false,
            "file": "some.file",
        })
    );
    let (network, _) = weights::from_bytes(&fs::read(folder.path().join("some.file")).unwrap()).unwrap();
    assert_eq!(network.normalization().std, 128.0);
}

#[test]
fn holdout_evaluates_on_the_last_training_images_without_test_images() {
    let folder = folder();
    for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::remove_file(folder.path().join("data").join(name)).unwrap();
    }
    let labels = idx::write_labels(&[&[1; 25][..], &[2; 5]].concat());
    fs::write(folder.path().join("data/train-labels-idx1-ubyte"), labels).unwrap();
    train(folder.path(), "--epochs 1 --holdout 5 --threads 2").assert().success().stderr_eq("").stdout_eq(
        str![[r#"
lenet5: 61706 parameters, 25 training images, 5 validation images (test images not read), threads: 2
epoch  1/1: loss [..], validation accuracy 0.00%, [..] s
validation accuracy 0.00% (95% interval [..]% to [..]%), 0 of 5
saved lenet5.safetensors after 1 of 1 epochs, [..] s

"#]],
    );
    let (_, provenance) =
        weights::from_bytes(&fs::read(folder.path().join("lenet5.safetensors")).unwrap()).unwrap();
    assert_eq!(provenance.test_accuracy, None);
    assert_eq!(provenance.holdout, Some(HoldoutMetrics { images: 5, accuracy: 0.0 }));
    let output = train(folder.path(), "--epochs 1 --holdout 5 --json").output().unwrap().stdout;
    let output = String::from_utf8(output).unwrap();
    assert_eq!(output.matches(r#""validation_accuracy":0.0"#).count(), 2, "{output}");
    assert!(!output.contains("test_accuracy"), "{output}");
    train(folder.path(), "--epochs 1").assert().code(1);
}

#[test]
fn calibrate_from_copies_the_temperature_and_f16_halves_the_file() {
    let folder = folder();
    let network = |name: &str| weights::from_bytes(&fs::read(folder.path().join(name)).unwrap()).unwrap().0;
    train(folder.path(), "--epochs 2 --holdout 6 --out holdout").assert().success();
    train(folder.path(), "--epochs 2 --out plain").assert().success();
    train(folder.path(), "--epochs 2 --calibrate-from holdout --f16 --out half").assert().success();
    let [holdout, mut plain, half] = ["holdout", "plain", "half"].map(network);
    assert_ne!(holdout.temperature(), 1.0);
    assert_eq!((plain.temperature(), half.temperature()), (1.0, holdout.temperature()));
    plain.round_to_f16();
    assert_eq!(plain.parameters(), half.parameters());
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("half") < size("plain") * 6 / 10);

    for (arguments, wrong) in [
        ("--calibrate-from plain", "plain: holdout: expected a training with --holdout, found one without"),
        (
            "--calibrate-from holdout --epochs 3",
            "holdout: recipe: expected the same architecture and recipe, found another",
        ),
        (
            "mlp --epochs 2 --calibrate-from holdout",
            "holdout: recipe: expected the same architecture and recipe, found another",
        ),
        ("--calibrate-from none", "none: could not be read: [..]"),
    ] {
        snapbox::assert_data_eq!(error(train(folder.path(), arguments)), wrong);
    }
}

#[test]
fn eval_last_gives_the_same_final_accuracy_as_every_epoch() {
    let folder = folder();
    let lines = |arguments: &str| -> Vec<Value> {
        let output =
            train(folder.path(), &format!("--json --epochs 3 --threads 1 {arguments}")).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (every_epoch, last) = (lines("--out every-epoch"), lines("--out last --eval last"));
    assert_eq!(last.len(), 4);
    assert!(last[..3].iter().all(|line| line.get("test_accuracy").is_none()));
    assert_eq!(last[3]["test_accuracy"], every_epoch[3]["test_accuracy"]);
    assert!(
        fs::read(folder.path().join("last")).unwrap() == fs::read(folder.path().join("every-epoch")).unwrap()
    );
}

#[cfg(target_os = "linux")]
#[test]
fn accepts_file_names_that_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let name = std::ffi::OsStr::from_bytes(b"\xff.safetensors");
    train(folder.path(), "--epochs 1 --json --out").arg(name).assert().success().stderr_eq("");
    assert!(folder.path().join(name).exists());
}

#[test]
fn training_is_reproducible_for_a_seed_and_a_number_of_threads() {
    let folder = folder();
    let bytes = |arguments: &str| {
        train(folder.path(), &format!("--epochs 2 --batch-size 16 --out net {arguments}")).assert().success();
        fs::read(folder.path().join("net")).unwrap()
    };
    for architecture in ["cnn", "lenet5"] {
        for threads in 1..=2 {
            let first = bytes(&format!("{architecture} --threads {threads}"));
            assert!(
                first == bytes(&format!("{architecture} --threads {threads}")),
                "{architecture}, {threads} threads"
            );
        }
    }
    assert!(bytes("--seed 1") != bytes("--seed 2"));
}

#[test]
fn wrong_usage_exits_2_and_failure_1() {
    let folder = folder();
    for arguments in [
        "resnet",
        "mlp cnn",
        "--holdout 0",
        "--test-once --holdout 5",
        "--holdout 5 --calibrate-from x",
        "--epochs 0",
        "--epochs 2.5",
        "--batch-size 0",
        "--batch-size 4097",
        "--seed -1",
        "--threads 0",
        "--threads 257",
        "--out",
        "--learning-rate 1",
    ] {
        let failed = train(folder.path(), arguments).assert().code(2).stdout_eq("");
        let message = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(message.starts_with("error: "), "{message}");
    }
    for (holdout, found) in [("30", "30"), ("4000000000", "4000000000")] {
        let failed = train(folder.path(), "--holdout").arg(holdout).assert().code(1).stdout_eq("");
        failed.stderr_eq(format!(
            "error: --holdout: expected fewer than the 30 training images, found {found}\n"
        ));
    }
    // Unwritable files are reported before the training, not after it.
    for (path, wrong) in
        [("data", "expected a file to write, found a folder"), ("nowhere/file", "could not be written: [..]")]
    {
        for option in ["--out", "--report"] {
            let failed = train(folder.path(), option).arg(path).assert().code(1).stdout_eq("");
            failed.stderr_eq(format!("error: {path}: {wrong}\n"));
        }
    }
    let failed = train(folder.path(), "--out file --report file").assert().code(1).stdout_eq("");
    failed.stderr_eq("error: file: expected different files for --report and --out, found the same\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn ink_networks_are_trained_and_evaluated_on_page_patches() {
    let folder = folder();
    train(folder.path(), "ink --epochs 1 --threads 1 --f16 --report ink.html")
        .assert()
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
ink: 28472 parameters, 30 training images, 7 test images, threads: 1
epoch  1/1: loss [..], test F1 of ink [..]%, [..] s
test F1 of ink [..]% (precision [..], recall [..]), F1 of rule [..] (precision [..], recall [..])
saved ink.safetensors after 1 of 1 epochs, [..] s

"#]]);
    let report = fs::read_to_string(folder.path().join("ink.html")).unwrap();
    assert!(report.contains("test F1 of ink after the epoch") && !report.contains("Confusion matrix"));
    lenet(folder.path()).args(["eval", "ink.safetensors", "--data", "data"]).assert().success().stdout_eq(
        str![[r#"
256 page patches

label  precision   recall       F1
ink    [..]%
rule   [..]

"#]],
    );
    // Commands for digits reject it.
    let failure = |arguments: &str| error(lenet(folder.path()).args(arguments.split_whitespace()));
    let found = failure("eval ink.safetensors lenet5 --data data");
    assert!(found.starts_with("ink.safetensors: network: expected an input of (1, 28, 28)"), "{found}");
    let found = failure("train ink --data data --recipe fast");
    assert_eq!(found, "fast: expected an architecture for digits, found ink");
}

#[test]
fn training_that_diverges_is_an_error_and_saves_nothing() {
    let folder = folder();
    let recipe = lenet(folder.path()).args(["train", "--print-recipe"]).output().unwrap().stdout;
    let recipe = String::from_utf8(recipe).unwrap().replace("batch_size = 100", "batch_size = 1");
    for (lr, epoch, loss) in [("1e38", "1", "NaN"), ("100.0", "2", "")] {
        let recipe = recipe.replace("lr = 0.002", &format!("lr = {lr}"));
        fs::write(folder.path().join("own.toml"), recipe).unwrap();
        let message = error(train(folder.path(), "--recipe own.toml --epochs 8 --threads 1"));
        assert!(message.starts_with(&format!("training diverged: epoch {epoch}")), "{message}");
        assert!(message.contains(&format!("that of equal probabilities, found {loss}")), "{message}");
        assert!(message.ends_with("; try another seed or a lower learning rate"), "{message}");
    }
    assert!(!folder.path().join("lenet5.safetensors").exists());
}
