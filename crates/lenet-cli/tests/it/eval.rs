//! `lenet eval` on datasets, and malformed weights files.

use std::fs;

use lenet::pretrained;
use serde_json::Value;
use snapbox::str;

use crate::{error, folder_with_network, lenet, png_size};

#[test]
fn prints_metrics_and_confusion_matrix() {
    let folder = folder_with_network();
    let arguments = ["eval", "net.safetensors", "--data", "data"];
    lenet(folder.path()).args(arguments).assert().success().stderr_eq("").stdout_eq(str![[r#"
accuracy [..]% (95% interval [..]% to [..]%), [..] of 7
first half [..]%, second half [..]%
calibration error [..]%
accuracy of the most confident 99%: [..]%, 95%: [..]%, 90%: [..]%

digit  precision   recall  images
    0  [..]       3
    1  [..]       2
    2  [..]       2
...
    9  [..]       0

predicted      0      1      2      3      4      5      6      7      8      9
label 0 [..]
...
label 9        .      .      .      .      .      .      .      .      .      .

"#]]);
    let all = lenet(folder.path()).args(arguments).args(["--split", "train"]).assert().success();
    assert!(String::from_utf8_lossy(&all.get_output().stdout).contains(" of 30\n"));
}

#[test]
fn writes_json_and_figures() {
    let folder = folder_with_network();
    let arguments = ["eval", "net.safetensors", "--data", "data", "--json", "--out", "figures"];
    let output = lenet(folder.path()).args(arguments).assert().success().get_output().stdout.clone();
    let result: Value = serde_json::from_slice(&output).unwrap();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let expected = [
        "accuracy",
        "accuracy_at_coverage",
        "calibration_error",
        "confusion",
        "correct",
        "halves",
        "interval",
        "per_digit",
        "total",
    ];
    assert_eq!(keys(&result), expected);
    assert_eq!(keys(&result["per_digit"][9]), ["count", "digit", "precision", "recall"]);
    assert_eq!(result["accuracy"].as_f64().unwrap(), result["correct"].as_f64().unwrap() / 7.0);
    assert_eq!(result["total"], 7);
    let mistakes = 7 - result["correct"].as_i64().unwrap();

    assert_eq!(png_size(&folder.path().join("figures/confusion.png")), (708, 700));
    let (_, height) = png_size(&folder.path().join("figures/mistakes.png"));
    assert!(height > if mistakes > 0 { 100 } else { 50 });
}

#[test]
fn evaluates_several_networks_separately_and_as_an_ensemble() {
    let folder = folder_with_network();
    let train = ["train", "mlp", "--data", "data", "--epochs", "2", "--out", "other.safetensors"];
    lenet(folder.path()).args(train).assert().success();
    let eval = |networks: &[&str], more: &[&str]| {
        lenet(folder.path()).args(["eval", "--data", "data"]).args(networks).args(more).assert().success()
    };
    let json = |networks: &[&str]| -> Value {
        serde_json::from_slice(&eval(networks, &["--json"]).get_output().stdout).unwrap()
    };
    let networks = ["net.safetensors", "other.safetensors"];
    let [one, other] = networks.map(|network| json(&[network]));
    let both = json(&networks);
    for (found, (network, alone)) in
        both["networks"].as_array().unwrap().iter().zip(networks.iter().zip([&one, &other]))
    {
        assert_eq!(found["network"], *network);
        assert_eq!((&found["accuracy"], &found["halves"]), (&alone["accuracy"], &alone["halves"]));
    }
    // The ensemble of a network with itself is the network.
    assert_eq!(json(&[networks[1]; 4])["confusion"], other["confusion"]);
    eval(&networks, &[]).stdout_eq(str![[r#"
accuracy  first half  second half  network
[..]%  [..]%  [..]%  net.safetensors
[..]%  [..]%  [..]%  other.safetensors
[..]%  [..]%  [..]%  mean
[..]%  [..]%  [..]%  standard deviation

ensemble
accuracy [..] of 7
...
"#]]);
}

#[test]
fn built_in_networks_have_the_accuracy_of_their_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let json = |arguments: &[&str]| -> Value {
        let eval = lenet(folder.path()).args(["eval", "--json"]).args(arguments).assert().success();
        serde_json::from_slice(&eval.get_output().stdout).unwrap()
    };
    for (arguments, (_, provenance)) in
        [(&[][..], pretrained::lenet5()), (&["lenet5"], pretrained::lenet5()), (&["vgg"], pretrained::vgg())]
    {
        let found = json(arguments)["accuracy"].as_f64().unwrap();
        // Rounding depends on the SIMD level and can change the prediction of an ambiguous image.
        assert!((found - provenance.test_accuracy.unwrap()).abs() < 2.5e-4, "{arguments:?}: {found}");
    }
}

#[test]
fn rejects_malformed_weights_files() {
    let folder = folder_with_network();
    let network = fs::read(folder.path().join("net.safetensors")).unwrap();
    let malformed = "content: expected a safetensors file: [..]";
    let mut nan = network.clone();
    let last = nan.len() - 4;
    nan[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut other = network.clone();
    let name = other.windows(5).position(|window| window == b"conv2").unwrap();
    other[name..name + 5].copy_from_slice(b"conv9");
    for (content, wrong) in [
        (&b""[..], malformed),
        (b"no weights\n", malformed),
        (&network[..network.len() / 2], malformed),
        (&[&network[..], b"more"].concat(), malformed),
        (&nan, "[..]: expected finite numbers, found NaN"),
        (&other, "[..]: expected [..], found [..]"),
    ] {
        fs::write(folder.path().join("bad.safetensors"), content).unwrap();
        let error = error(lenet(folder.path()).args(["eval", "bad.safetensors", "--data", "data"]));
        snapbox::assert_data_eq!(error, format!("bad.safetensors: {wrong}"));
    }
    let error = error(lenet(folder.path()).args(["eval", "none.safetensors"]));
    assert!(error.starts_with("none.safetensors: could not be read: "), "{error}");
}

#[test]
fn state_dict_needs_architecture_option() {
    let folder = folder_with_network();
    let path = folder.path().join("net.safetensors");
    let network = fs::read(&path).unwrap();
    fs::write(&path, without_metadata(&network)).unwrap();
    let eval = |arguments: &[&str]| {
        lenet(folder.path()).args(["eval", "net.safetensors", "--data", "data"]).args(arguments)
    };
    snapbox::assert_data_eq!(
        error(eval(&[])),
        "net.safetensors: metadata: expected a key `lenet` with the architecture, found none"
    );
    snapbox::assert_data_eq!(
        error(eval(&["--architecture", "mlp"])),
        "net.safetensors: parameters: expected 623290 for mlp, found at most [..]"
    );
    eval(&["--architecture", "lenet5"]).assert().success();
    eval(&["--architecture", "lenet5", "--normalize", "-0.5,2"]).assert().success();
    for normalize in ["0.5", "0,0", "0,-1", "NaN,1", "0,inf", "a,b"] {
        eval(&["--architecture", "lenet5", "--normalize", normalize]).assert().code(2).stdout_eq("");
    }
    eval(&["--normalize", "0,1"]).assert().code(2);
    eval(&["--architecture", "lenet4"]).assert().code(2);
}

/// Removes the metadata from a safetensors file, as in a file that PyTorch wrote.
fn without_metadata(file: &[u8]) -> Vec<u8> {
    let (len, rest) = file.split_first_chunk().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*len) as usize);
    let mut header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
    header.remove("__metadata__").unwrap();
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&header.len().to_le_bytes()[..], &header, tensors].concat()
}
