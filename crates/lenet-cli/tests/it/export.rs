//! `lenet export`: ONNX models. Their values are tested in Python, with ONNX Runtime.

use std::fs;

use crate::{folder_with_network, lenet};

#[test]
fn exports_files_and_built_in_networks() {
    let folder = folder_with_network();
    let export = |arguments: &[&str]| {
        let export = lenet(folder.path()).args(["export", "--to", "onnx"]).args(arguments);
        String::from_utf8(export.assert().success().stderr_eq("").get_output().stdout.clone()).unwrap()
    };
    assert!(export(&["net.safetensors"]).starts_with("wrote net.onnx: "));
    assert!(export(&["ink", "--out", "a.onnx", "--input", "float", "--opset", "13"]).contains("a.onnx"));
    for (file, names) in [
        ("net.onnx", ["pixels", "probabilities", "conv1.weight", "lenet.architecture", "Softmax"]),
        ("a.onnx", ["pixels", "probabilities", "conv1.weight", "lenet.test_accuracy", "DepthToSpace"]),
    ] {
        let model = fs::read(folder.path().join(file)).unwrap();
        for name in names {
            assert!(model.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{file}: {name}");
        }
    }
}

#[test]
fn missing_network_and_other_settings_are_errors() {
    let folder = folder_with_network();
    let export = |network: &str, options: &[&str], code: i32| {
        let export = lenet(folder.path()).args(["export", network, "--to"]).args(options);
        String::from_utf8(export.assert().code(code).get_output().stderr.clone()).unwrap()
    };
    assert!(export("none.safetensors", &["onnx"], 1).contains("none.safetensors"));
    assert!(export("lenet5", &["onnx", "--opset", "12"], 2).contains("12 is not in 13..=24"));
    assert!(export("lenet5", &["tflite"], 2).contains("possible values: onnx"));
}
