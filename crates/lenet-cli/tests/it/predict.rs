//! `lenet predict`: formats of input and output, malformed input.

use std::fs;

use lenet::{PIXELS, nn::argmax, weights};
use serde_json::Value;

use crate::{error, folder_with_network, lenet, pixels};

/// Returns the images of [`pixels`] in the format of Kaggle's test.csv.
fn csv(count: usize) -> String {
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let mut text = line((0..PIXELS).map(|pixel| format!("pixel{pixel}")).collect());
    for image in pixels(count).chunks(PIXELS) {
        text += &line(image.iter().map(u8::to_string).collect());
    }
    text
}

#[test]
fn predicts_each_image_of_a_csv_or_an_idx_file() {
    let folder = folder_with_network();
    fs::write(folder.path().join("test.csv"), csv(7)).unwrap();
    let network = fs::read(folder.path().join("net.safetensors")).unwrap();
    let logits = weights::from_bytes(&network).unwrap().0.logits(&pixels(7));
    let mut expected = "ImageId,Label\n".to_owned();
    for (index, row) in logits.chunks_exact(10).enumerate() {
        expected += &format!("{},{}\n", index + 1, argmax(row));
    }
    let predict = |arguments: &[&str]| {
        let predict = lenet(folder.path()).args(["predict", "net.safetensors"]).args(arguments);
        String::from_utf8(predict.assert().success().stderr_eq("").get_output().stdout.clone()).unwrap()
    };
    assert_eq!(predict(&["test.csv"]), expected);
    assert_eq!(predict(&["data/t10k-images-idx3-ubyte"]), expected);
    assert_eq!(predict(&["test.csv", "--out", "submission.csv"]), "");
    assert_eq!(fs::read_to_string(folder.path().join("submission.csv")).unwrap(), expected);

    let lines = predict(&["test.csv", "--json"]);
    assert_eq!(lines.lines().count(), 7);
    for (index, (line, row)) in lines.lines().zip(logits.chunks_exact(10)).enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["image_id"], index + 1);
        assert_eq!(line["label"], argmax(row));
        let found: Vec<f32> = serde_json::from_value(line["logits"].clone()).unwrap();
        assert_eq!(found, row);
    }
}

#[test]
fn rejects_malformed_images() {
    let folder = folder_with_network();
    let header = csv(0);
    for (name, content, wrong) in [
        ("empty.csv", "", "expected a CSV file, found an empty file"),
        ("header.csv", &header[..], "images: expected at least 1, found 0"),
        ("train.csv", &format!("label,{header}"), "line 1: expected 784 values, found 785"),
        (
            "dark.csv",
            &csv(1).replace("\n0,", "\n-1,"),
            "line 2, pixel0: expected a whole number from 0 to 255, found \"-1\"",
        ),
        ("note.txt", "no image at all", "header: expected 16 bytes, found 15"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let predict =
            lenet(folder.path()).args(["predict", "net.safetensors", name, "--out", "predictions.csv"]);
        assert_eq!(error(predict), format!("{name}: {wrong}"));
    }
    assert!(!folder.path().join("predictions.csv").exists());
}
