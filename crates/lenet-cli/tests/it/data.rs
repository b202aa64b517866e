//! Malformed datasets: the error names the file, the expected and the found value.

use std::{
    fs::{self, File},
    io::Write,
};

use flate2::{Compression, write::GzEncoder};
use lenet::{PIXELS, SIDE, data::idx};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{error, folder, lenet, pixels};

#[test]
fn rejects_malformed_idx_files() {
    let images = idx::write_images(&pixels(30), SIDE, SIDE);
    let header = |[count, rows, columns]: [u32; 3]| {
        let sizes = [count, rows, columns].map(u32::to_be_bytes);
        [&images[..4], sizes.as_flattened(), &images[16..]].concat()
    };
    let mut labels = [1; 30];
    labels[29] = 10;
    let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
    zipped.write_all(&images).unwrap();
    let zipped = zipped.finish().unwrap();

    let pixels = 30 * PIXELS;
    let image_table: [(&[u8], &str); 9] = [
        (
            &idx::write_labels(&[1; 30]),
            "magic number: expected 0x00000803 (3-dimensional IDX of bytes), found 0x00000801",
        ),
        (&images[..11], "header: expected 16 bytes, found 11"),
        (&images[..1000], &format!("pixels: expected {pixels} bytes, found 984")),
        (&[&images[..], &[0]].concat(), &format!("pixels: expected {pixels} bytes, found more")),
        (&header([u32::MAX, 28, 28]), "length: expected at most 1000000, found 4294967295"),
        (&header([u32::MAX; 3]), "length: expected at most 1000000, found 4294967295"),
        (&header([30, 14, 56]), "image size: expected 28x28 pixels, found 14x56"),
        (&idx::write_images(&[], SIDE, SIDE), "images: expected at least 1, found 0"),
        (&zipped[..zipped.len() / 2], &format!("pixels: expected {pixels} bytes, found [..]")),
    ];
    let label_table: [(&[u8], &str); 3] = [
        (&idx::write_labels(&labels), "label 29: expected 0 to 9, found 10"),
        (&idx::write_labels(&[1; 7]), "number of labels: expected 30 (one for each image), found 7"),
        (&idx::write_labels(&[1; 30])[..20], "labels: expected 30 bytes, found 12"),
    ];
    let image_table = image_table.map(|(bytes, wrong)| ("train-images-idx3-ubyte", bytes, wrong));
    let label_table = label_table.map(|(bytes, wrong)| ("train-labels-idx1-ubyte", bytes, wrong));
    for (name, bytes, wrong) in image_table.iter().chain(&label_table) {
        let folder = folder();
        fs::write(folder.path().join("data").join(name), bytes).unwrap();
        for arguments in [&["show"][..], &["train", "--out", "net.safetensors"]] {
            let error = error(lenet(folder.path()).args(arguments).args(["--data", "data"]));
            snapbox::assert_data_eq!(error, format!("data/{name}: {wrong}"));
        }
        assert!(!folder.path().join("net.safetensors").exists());
    }
}

#[test]
fn trains_on_an_npz_file_and_names_its_missing_arrays() {
    let folder = folder();
    let mut archive = ZipWriter::new(File::create(folder.path().join("mnist.npz")).unwrap());
    let mut write_array = |name: &str, shape: &str, values: &[u8]| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        archive.write_all(header.as_bytes()).unwrap();
        archive.write_all(values).unwrap();
    };
    write_array("x_train.npy", "(30, 28, 28)", &pixels(30));
    write_array("y_train.npy", "(30,)", &[4; 30]);
    archive.finish().unwrap();
    let lenet = |arguments: &[&str]| lenet(folder.path()).args(arguments).args(["--data", "mnist.npz"]);
    lenet(&["train", "--epochs", "1", "--holdout", "6", "--out", "net.safetensors"]).assert().success();
    assert!(folder.path().join("net.safetensors").exists());
    assert_eq!(
        error(lenet(&["eval", "net.safetensors"])),
        "mnist.npz: x_test: expected an array of this name, found x_train, y_train"
    );
}

#[test]
fn warns_of_transposed_and_inverted_images_and_transposes_them() {
    let folder = tempfile::tempdir().unwrap();
    let mnist = lenet_mnist::test().slice(0..120);
    let transposed = |pixels: &[u8]| -> Vec<u8> {
        let image = |image: &[u8]| {
            (0..PIXELS).map(|pixel| image[pixel % SIDE * SIDE + pixel / SIDE]).collect::<Vec<_>>()
        };
        pixels.chunks_exact(PIXELS).flat_map(image).collect()
    };
    let inverted = |pixels: &[u8]| -> Vec<u8> { pixels.iter().map(|pixel| 255 - pixel).collect() };
    let (pixels, as_transposed, as_inverted) = (
        mnist.images(),
        "look: looks transposed: pass --transpose",
        "look: looks inverted: expected light digits",
    );
    for (images, options, warnings) in [
        (pixels.to_vec(), "", &[][..]),
        (pixels.to_vec(), "--transpose", &["look: looks transposed: omit --transpose"][..]),
        (transposed(pixels), "", &[as_transposed]),
        (transposed(pixels), "--transpose", &[]),
        (inverted(pixels), "", &[as_inverted]),
        (transposed(&inverted(pixels)), "", &[as_transposed, as_inverted]),
    ] {
        let data = folder.path().join("look");
        fs::create_dir_all(&data).unwrap();
        for name in ["train", "t10k"] {
            fs::write(data.join(format!("{name}-images-idx3-ubyte")), idx::write_images(&images, SIDE, SIDE))
                .unwrap();
            let labels = idx::write_labels(mnist.labels());
            fs::write(data.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
        }
        for command in ["eval --json", "train --epochs 1"] {
            let arguments = format!("{command} --data look {options}");
            let output = lenet(folder.path()).args(arguments.split_whitespace()).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(stderr.lines().count(), warnings.len(), "{arguments}: {stderr}");
            for (line, warning) in stderr.lines().zip(warnings) {
                assert!(line.starts_with(warning), "{arguments}: {stderr}");
            }
            if command.starts_with("eval") && warnings.is_empty() {
                let metrics: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                assert!(metrics["accuracy"].as_f64().unwrap() > 0.9, "{metrics}");
            }
        }
    }
}
