//! `lenet train`

use std::{fs, path::Path};

use lenet::{
    data::idx,
    weights::{self, Validation},
};
use serde_json::Value;
use snapbox::{cmd::Command, str};

use crate::{error, folder, lenet};

/// `lenet train --data data` in `folder`, with more arguments.
fn train(folder: &Path, arguments: &str) -> Command {
    lenet(folder).args(["train", "--data", "data"]).args(arguments.split_whitespace())
}

#[test]
fn tells_each_epoch_and_saves_the_network() {
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
fn json_is_an_object_an_epoch_and_the_result() {
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
    assert_eq!(network.normalize().std, 128.0);
}

#[test]
fn validation_holds_out_the_last_images_and_needs_no_test_images() {
    let folder = folder();
    for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::remove_file(folder.path().join("data").join(name)).unwrap();
    }
    let labels = idx::write_labels(&[&[1; 25][..], &[2; 5]].concat());
    fs::write(folder.path().join("data/train-labels-idx1-ubyte"), labels).unwrap();
    train(folder.path(), "--epochs 1 --validate 5 --threads 2").assert().success().stderr_eq("").stdout_eq(
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
    assert_eq!(provenance.validation, Some(Validation { images: 5, accuracy: 0.0 }));
    let output = train(folder.path(), "--epochs 1 --validate 5 --json").output().unwrap().stdout;
    let output = String::from_utf8(output).unwrap();
    assert_eq!(output.matches(r#""validation_accuracy":0.0"#).count(), 2, "{output}");
    assert!(!output.contains("test_accuracy"), "{output}");
    train(folder.path(), "--epochs 1").assert().code(1);
}

#[test]
fn a_twin_gives_its_temperature_and_half_precision_halves_the_file() {
    let folder = folder();
    let network = |name: &str| weights::from_bytes(&fs::read(folder.path().join(name)).unwrap()).unwrap().0;
    train(folder.path(), "--epochs 2 --validate 6 --out twin").assert().success();
    train(folder.path(), "--epochs 2 --out plain").assert().success();
    train(folder.path(), "--epochs 2 --twin twin --half --out half").assert().success();
    let [twin, mut plain, half] = ["twin", "plain", "half"].map(network);
    assert_ne!(twin.temperature(), 1.0);
    assert_eq!((plain.temperature(), half.temperature()), (1.0, twin.temperature()));
    plain.round_to_f16();
    assert_eq!(plain.parameters(), half.parameters());
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("half") < size("plain") * 6 / 10);

    for (arguments, wrong) in [
        ("--twin plain", "plain: validation: expected images held out, found none"),
        ("--twin twin --epochs 3", "twin: recipe: expected the same architecture and recipe, found another"),
        (
            "mlp --epochs 2 --twin twin",
            "twin: recipe: expected the same architecture and recipe, found another",
        ),
        ("--twin none", "none: could not be read: [..]"),
    ] {
        snapbox::assert_data_eq!(error(train(folder.path(), arguments)), wrong);
    }
}

#[test]
fn test_once_measures_the_last_network_as_always() {
    let folder = folder();
    let lines = |arguments: &str| -> Vec<Value> {
        let output =
            train(folder.path(), &format!("--json --epochs 3 --threads 1 {arguments}")).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (always, once) = (lines("--out always"), lines("--out once --test-once"));
    assert_eq!(once.len(), 4);
    assert!(once[..3].iter().all(|line| line.get("test_accuracy").is_none()));
    assert_eq!(once[3]["test_accuracy"], always[3]["test_accuracy"]);
    assert!(fs::read(folder.path().join("once")).unwrap() == fs::read(folder.path().join("always")).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn any_file_name_will_do() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let name = std::ffi::OsStr::from_bytes(b"\xff.safetensors");
    train(folder.path(), "--epochs 1 --json --out").arg(name).assert().success().stderr_eq("");
    assert!(folder.path().join(name).exists());
}

#[test]
fn the_same_seed_and_threads_give_the_same_bytes() {
    let folder = folder();
    let bytes = |arguments: &str| {
        train(folder.path(), &format!("--epochs 2 --batch-size 16 --out net {arguments}")).assert().success();
        fs::read(folder.path().join("net")).unwrap()
    };
    for model in ["cnn", "lenet5"] {
        for threads in 1..=2 {
            let first = bytes(&format!("{model} --threads {threads}"));
            assert!(first == bytes(&format!("{model} --threads {threads}")), "{model}, {threads} threads");
        }
    }
    assert!(bytes("--seed 1") != bytes("--seed 2"));
}

#[test]
fn bad_usage_exits_2_and_failure_1() {
    let folder = folder();
    for arguments in [
        "resnet",
        "mlp cnn",
        "--validate 0",
        "--validate 5 --test-once",
        "--validate 5 --twin x",
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
    for (validate, found) in [("30", "30"), ("4000000000", "4000000000")] {
        let failed = train(folder.path(), "--validate").arg(validate).assert().code(1).stdout_eq("");
        failed.stderr_eq(format!(
            "error: --validate: expected fewer than the 30 training images, found {found}\n"
        ));
    }
    // Before the work, not after it.
    for (path, wrong) in
        [("data", "expected a file to write, found a folder"), ("nowhere/file", "could not be written: [..]")]
    {
        for option in ["--out", "--report"] {
            let failed = train(folder.path(), option).arg(path).assert().code(1).stdout_eq("");
            failed.stderr_eq(format!("error: {path}: {wrong}\n"));
        }
    }
    let failed = train(folder.path(), "--out file --report file").assert().code(1).stdout_eq("");
    failed.stderr_eq(
        "error: file: expected another file for --report than for the network, found one for both\n",
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
