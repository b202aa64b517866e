//! `lenet export`: ONNX models, whose values are tested in Python, with ONNX Runtime, and C source, whose values are tested here.

use std::{fs, path::Path};

use lenet::pretrained;

use crate::{folder, folder_with_network, lenet};

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
    assert!(export("lenet5", &["tflite"], 2).contains("possible values: onnx, c"));
    for (format, option, expected) in [
        ("c", ["--opset", "13"], "--opset: expected --to onnx"),
        ("c", ["--input", "float"], "--input: expected --to onnx"),
        ("c", ["--data", "data"], "--data: expected --dtype int8"),
        ("onnx", ["--dtype", "int8"], "--dtype: expected --to c"),
        ("onnx", ["--data", "data"], "--data: expected --dtype int8"),
        ("c", ["--out", "net.cpp"], "net.cpp: expected a file name that ends with .c"),
        ("c", ["--out", "My-net.c"], "My-net: expected a name of lower-case letters, digits and underscores"),
    ] {
        let error = export("lenet5", &[&[format], &option[..]].concat(), 1);
        assert!(error.contains(expected), "{error}");
    }
    let error = export("marks", &["c", "--dtype", "int8"], 1);
    assert!(error.contains("marks: --dtype int8: network: expected"), "{error}");
    assert!(export("ink", &["c"], 1).contains("ink: expected a network that classifies whole images"));
}

/// Exports a built-in network as C, compiles it, and returns the probabilities of all test images `(image, class)`.
#[cfg(unix)]
fn run_c_source(folder: &Path, network: &str, dtype: &str) -> Vec<f32> {
    use std::process::Command;

    const MAIN: &str = r#"
        #include "net.h"
        #include <stdio.h>
        int main(void) {
            static struct net_workspace workspace;
            uint8_t pixels[NET_PIXELS];
            float probabilities[NET_CLASSES];
            while (fread(pixels, 1, NET_PIXELS, stdin) == NET_PIXELS) {
                net_probabilities(&workspace, pixels, probabilities);
                fwrite(probabilities, sizeof probabilities[0], NET_CLASSES, stdout);
            }
            return 0;
        }
    "#;
    let arguments = ["export", network, "--to", "c", "--out", "net.c", "--dtype", dtype];
    lenet(folder).args(arguments).assert().success();
    fs::write(folder.join("main.c"), MAIN).unwrap();
    fs::write(folder.join("images"), lenet_mnist::test().images()).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "main.c", "net.c", "-o", "main", "-lm"])
        .current_dir(folder)
        .status();
    assert!(compiled.unwrap().success());
    let images = fs::File::open(folder.join("images")).unwrap();
    let output = Command::new(folder.join("main")).stdin(images).output().unwrap();
    assert!(output.status.success());
    output.stdout.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[cfg(unix)]
#[test]
fn c_source_classifies_all_test_images_as_the_network_does() {
    let (folder, test) = (tempfile::tempdir().unwrap(), lenet_mnist::test());
    let digits = |probabilities: &[f32]| probabilities.chunks(10).map(lenet::nn::argmax).collect::<Vec<u8>>();
    let accuracy = |probabilities: &[f32]| {
        let correct =
            digits(probabilities).into_iter().zip(test.labels()).filter(|(digit, label)| digit == *label);
        correct.count() as f64 / test.len() as f64
    };
    // The engine convolves by Winograd's algorithm, which rounds more than the direct convolution of the source.
    for (name, network) in [("lenet5", pretrained::lenet5().0), ("micro", pretrained::micro().0)] {
        let expected = network.probabilities(test.images());
        let float = run_c_source(folder.path(), name, "float");
        let difference = float.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 3e-5, "{name}: {difference}");
        assert_eq!(digits(&float), digits(&expected), "{name}");
        let int8 = accuracy(&run_c_source(folder.path(), name, "int8"));
        assert!((int8 - accuracy(&expected)).abs() < 0.001, "{name}: {int8}");
    }
}

#[test]
fn int8_source_of_the_network_for_microcontrollers_has_less_than_8_kilobytes() {
    let folder = tempfile::tempdir().unwrap();
    let export = lenet(folder.path()).args(["export", "micro", "--to", "c", "--dtype", "int8"]);
    export.assert().success().stdout_eq(snapbox::str![[r#"
wrote micro.c and micro.h
flash: 5,312 bytes of constants, and the compiled functions
RAM: 3,920 bytes for the activations of an image, and the stack
multiply-adds: 302,072 for an image

"#]]);
}

#[test]
fn c_source_is_calibrated_on_the_images_of_data() {
    let folder = folder();
    let export = |arguments: &[&str]| {
        let export = lenet(folder.path()).args(["export", "micro", "--to", "c", "--dtype", "int8"]);
        export.args(arguments).assert().success();
        fs::read_to_string(folder.path().join("micro.c")).unwrap()
    };
    let own = export(&["--data", "data"]);
    assert!(own == export(&["--data", "data"]), "the same source each time");
    assert!(own != export(&[]), "another source for other images");
}
