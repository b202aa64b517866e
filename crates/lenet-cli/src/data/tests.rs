//! Valid and malformed datasets.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use lenet::{PIXELS, SIDE};
use tempfile::TempDir;

use super::*;

/// Creates a folder with `files`.
fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn load(path: &Path, split: Split) -> anyhow::Result<Dataset> {
    Source::from(path.as_os_str().to_owned()).load_split(split)
}

/// Returns the message of an error without the path of the folder.
fn error_message(folder: &TempDir, result: anyhow::Result<impl std::fmt::Debug>) -> String {
    let error = format!("{:#}", result.unwrap_err());
    let folder = folder.path().display().to_string();
    error.strip_prefix(&folder).expect("the message begins with the path").trim_start_matches('/').to_string()
}

/// Returns a file in the format of Kaggle: a header, then a line for each of `rows`.
fn csv_file(labeled: bool, rows: &[&str]) -> Vec<u8> {
    let mut text = if labeled { "label,".to_string() } else { String::new() };
    text += &(0..PIXELS).map(|pixel| format!("pixel{pixel}")).collect::<Vec<_>>().join(",");
    for row in rows {
        text += "\n";
        text += row;
    }
    (text + "\n").into_bytes()
}

/// Returns a CSV file whose header begins with `names` and continues as Kaggle's.
fn csv_with_header(names: &[&str], rows: &[&str]) -> Vec<u8> {
    let rest = (names.len() - 1..PIXELS).map(|pixel| format!("pixel{pixel}"));
    let header: Vec<_> = names.iter().map(|name| (*name).to_owned()).chain(rest).collect();
    [&[header.join(",").as_str()], rows].concat().join("\n").into_bytes()
}

/// Returns a line whose pixels are all `pixel`, and whose last value is the label.
fn label_last(pixel: &str, label: &str) -> String {
    format!("{},{label}", row(None, pixel))
}

/// Returns a line whose pixels are all `pixel`.
fn row(label: Option<&str>, pixel: &str) -> String {
    let pixels = [pixel; PIXELS].join(",");
    label.map_or(pixels.clone(), |label| format!("{label},{pixels}"))
}

#[test]
fn source_is_a_known_name_a_csv_file_or_a_folder() {
    let source = |value: &str| Source::from(OsString::from(value));
    assert_eq!(source("fashion-mnist"), Source::Known(KnownDataset::FashionMnist));
    assert_eq!(source("./mnist"), Source::Folder("./mnist".into()));
    assert_eq!(source("some/Train.CSV"), Source::Csv("some/Train.CSV".into()));
}

#[test]
fn reads_idx_files_raw_or_gzip_under_all_names() {
    let [train, test] = [[3_u8, 7].as_slice(), &[1]].map(|labels| {
        (
            idx::write_images(&vec![9; labels.len() * PIXELS], SIDE, SIDE),
            idx::write_labels(labels),
            labels.to_vec(),
        )
    });
    let folder = folder(&[
        ("train-images-idx3-ubyte", train.0),
        ("train-labels.idx1-ubyte", train.1),
        ("t10k-images.idx3-ubyte.gz", gzip(&test.0)),
        ("t10k-labels-idx1-ubyte.gz", gzip(&test.1)),
    ]);
    for (split, labels) in [(Split::Train, train.2), (Split::Test, test.2)] {
        let dataset = load(folder.path(), split).unwrap();
        assert_eq!(dataset.labels(), labels);
        assert!(dataset.images().iter().all(|&pixel| pixel == 9));
    }
}

#[test]
fn error_names_the_malformed_file() {
    let images = idx::write_images(&vec![9; 200 * PIXELS], SIDE, SIDE);
    let labels = idx::write_labels(&[7; 200]);
    let zipped = gzip(&images);
    let mut bomb = idx::write_images(&[], SIDE, SIDE);
    bomb[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    bomb.resize(50 << 20, 0);
    let table: [(Vec<u8>, &[u8], &str); 8] = [
        (labels.clone(), &labels, "train-images-idx3-ubyte.gz: magic number: expected 0x00000803"),
        (
            idx::write_images(&[], SIDE, SIDE),
            &idx::write_labels(&[]),
            "train-images-idx3-ubyte.gz: images: expected at least 1, found 0",
        ),
        (
            zipped[..zipped.len() / 2].to_vec(),
            &labels,
            "train-images-idx3-ubyte.gz: pixels: expected 156800 bytes, found ",
        ),
        (
            [&zipped[..zipped.len() - 8], &[0; 8]].concat(),
            &labels,
            "train-images-idx3-ubyte.gz: pixels: expected 156800 bytes, found 156800 before a read error: ",
        ),
        (
            [&zipped[..], b"more"].concat(),
            &labels,
            "train-images-idx3-ubyte.gz: pixels: expected 156800 bytes, found 156800 before a read error: ",
        ),
        (
            gzip(&bomb),
            &labels,
            "train-images-idx3-ubyte.gz: length: expected at most 1000000, found 4294967295",
        ),
        (images.clone(), &labels[..20], "train-labels-idx1-ubyte: labels: expected 200 bytes, found 12"),
        (
            images.clone(),
            &idx::write_labels(&[7; 3]),
            "train-labels-idx1-ubyte: number of labels: expected 200 (one for each image), found 3",
        ),
    ];
    for (images, labels, expected) in table {
        let folder =
            folder(&[("train-images-idx3-ubyte.gz", images), ("train-labels-idx1-ubyte", labels.to_vec())]);
        let error = error_message(&folder, load(folder.path(), Split::Train));
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn error_names_the_missing_file() {
    let folder = folder(&[("image.png", Vec::new())]);
    for (name, expected) in [
        (
            "",
            ": expected a folder with t10k-images-idx3-ubyte, raw or .gz, or with folders 0 to 9, found neither",
        ),
        ("none", "none: expected a folder, a .csv file or one of mnist, fashion-mnist, kmnist: "),
        ("image.png", "image.png: expected a folder or a .csv file, found an empty file"),
        ("none.csv", "none.csv: could not be read: "),
    ] {
        let error = error_message(&folder, load(&folder.path().join(name), Split::Test));
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn last_sixth_of_a_csv_file_is_the_test_split() {
    let rows: Vec<String> = (0..10).map(|label| row(Some(&label.to_string()), "255")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let folder = folder(&[("train.csv", csv_file(true, &rows))]);
    let path = folder.path().join("train.csv");
    let [train, test] = [Split::Train, Split::Test].map(|split| load(&path, split).unwrap());
    assert_eq!(train.labels(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(test.labels(), [8, 9]);
    assert!(train.images().iter().chain(test.images()).all(|&pixel| pixel == 255));
}

#[test]
fn rejects_malformed_csv_files() {
    let valid = row(Some("7"), "0");
    let table: &[(Vec<u8>, &str)] = &[
        (Vec::new(), "expected a CSV file, found an empty file"),
        (csv_file(true, &[]), "images: expected at least 2, found 0"),
        (csv_file(true, &[&valid]), "images: expected at least 2, found 1"),
        (csv_file(false, &[]), "line 1: expected 785 values, found 784"),
        (valid.clone().into_bytes(), "images: expected at least 2, found 1"),
        (
            csv_with_header(&["label", "pixel0", "pixel2"], &[&valid]),
            "line 1: expected pixel1, found \"pixel2\"",
        ),
        (
            csv_with_header(&["pixel0", "label"], &[&valid]),
            "line 1: expected the first or the last column to be label or class, found \"pixel0\" and \"pixel783\"",
        ),
        (csv_file(true, &[&valid, "", &valid]), "line 3: expected 785 values, found a blank line"),
        (
            csv_file(true, &[&row(Some("7"), "0.5")]),
            "line 2, pixel0: expected a whole number from 0 to 255, found \"0.5\"",
        ),
        (
            [label_last("0", "1"), label_last("0", "2")].join("\n").into_bytes(),
            "line 1: expected a header, because the labels seem to be in the last column, found none; add a line \
             pixel0,...,pixel783,label",
        ),
        (csv_file(true, &[&valid, "7,0"]), "line 3: expected 785 values, found 2"),
        (
            csv_file(true, &[&valid, &row(Some("7"), "256")]),
            "line 3, pixel0: expected a whole number from 0 to 255, found \"256\"",
        ),
        (
            csv_file(true, &[&row(Some("x"), "0")]),
            "line 2, label: expected a whole number from 0 to 255, found \"x\"",
        ),
        (csv_file(true, &[&valid, &row(Some("10"), "0")]), "label 1: expected 0 to 9, found 10"),
        (vec![b'9'; 1 << 20], "line 1: expected 785 values, found 1"),
        (vec![0xff; 100], "stream did not contain valid UTF-8"),
    ];
    for (bytes, expected) in table {
        let folder = folder(&[("train.csv", bytes.clone())]);
        let error = error_message(&folder, load(&folder.path().join("train.csv"), Split::Train));
        assert_eq!(error, format!("train.csv: {expected}"));
    }
}

#[test]
fn reads_unlabeled_images_from_csv_or_idx() {
    let text = csv_file(false, &[&row(None, "1"), &row(None, "2")]);
    let windows = String::from_utf8(text.clone()).unwrap().replace('\n', "\r\n").into_bytes();
    let pixels = [[1; PIXELS], [2; PIXELS]].concat();
    let raw = idx::write_images(&pixels, SIDE, SIDE);
    let folder = folder(&[
        ("test.csv", text),
        ("windows.csv", windows),
        ("zipped.gz", gzip(&raw)),
        ("raw", raw),
        ("none", idx::write_images(&[], SIDE, SIDE)),
        ("none.csv", csv_file(false, &[])),
    ]);
    for name in ["test.csv", "windows.csv", "raw", "zipped.gz"] {
        assert_eq!(read_unlabeled_images(&folder.path().join(name)).unwrap(), pixels, "{name}");
    }
    for name in ["none", "none.csv"] {
        let error = error_message(&folder, read_unlabeled_images(&folder.path().join(name)));
        assert_eq!(error, format!("{name}: images: expected at least 1, found 0"));
    }
}

#[test]
fn reads_csv_files_that_differ_from_those_of_kaggle() {
    let lines = ["3", "7"].map(|label| row(Some(label), "9"));
    let decimals = ["3.0", "7.00"].map(|label| row(Some(label), "9.0"));
    let last = ["3", "7"].map(|label| label_last("9", label));
    let names = |name: fn(usize) -> String| (0..PIXELS).map(name).collect::<Vec<_>>().join(",");
    let zero_based = names(|pixel| format!("pixel{pixel}"));
    let one_based = names(|pixel| format!("pixel{}", pixel + 1));
    let quoted = names(|pixel| format!("\"pixel{pixel}\""));
    let coordinates = names(|pixel| format!("{}x{}", pixel / SIDE + 1, pixel % SIDE + 1));
    let (first, last) = (lines.join("\n"), last.join("\n"));
    for (case, text) in [
        ("byte order mark", format!("\u{feff}label,{zero_based}\n{first}\n")),
        ("quoted header", format!("\"label\",{quoted}\r\n{first}\r\n")),
        ("no header", format!("{first}\n")),
        ("byte order mark, no header", format!("\u{feff}{first}")),
        ("row and column", format!("label,{coordinates}\n{first}\n")),
        ("class last", format!("{one_based},class\n{last}\n")),
        ("label last", format!("{zero_based},Label\n{last}\n")),
        ("decimals", format!("label,{zero_based}\n{}\n", decimals.join("\n"))),
        ("blank lines at the end", format!("label,{zero_based}\n{first}\n\n  \n")),
    ] {
        let folder = folder(&[("train.csv", text.into_bytes())]);
        let path = folder.path().join("train.csv");
        let [train, test] = [Split::Train, Split::Test].map(|split| load(&path, split).expect(case));
        assert_eq!([train.labels(), test.labels()], [[3], [7]], "{case}");
        assert!(train.images().iter().chain(test.images()).all(|&pixel| pixel == 9), "{case}");
    }
}

#[test]
fn error_says_what_a_file_is_that_is_no_dataset() {
    let page = b"<!DOCTYPE html>\n<html><title>Sign in</title></html>";
    let labels = idx::write_labels(&[7]);
    for (bytes, found) in [
        (page.to_vec(), "IDX file, raw or .gz, found a web page"),
        (gzip(page), "IDX file in the .gz file, found a web page"),
        (Vec::new(), "IDX file, raw or .gz, found an empty file"),
        (gzip(b""), "IDX file in the .gz file, found an empty file"),
    ] {
        let folder =
            folder(&[("train-images-idx3-ubyte.gz", bytes), ("train-labels-idx1-ubyte", labels.clone())]);
        let error = error_message(&folder, load(folder.path(), Split::Train));
        assert!(error.starts_with(&format!("train-images-idx3-ubyte.gz: expected an {found}")), "{error}");
    }
    for (bytes, found) in [
        (&page[..], "a web page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a document or photo: HEIC is not supported; convert"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "a document or photo: AVIF is not supported; convert"),
        (b"%PDF-1.7\n", "a document or photo: PDF is not supported; convert"),
        (b"PK\x03\x04", "a ZIP archive: unpack it first"),
        (b"", "an empty file"),
    ] {
        let folder = folder(&[("digits.csv", bytes.to_vec()), ("digits.bin", bytes.to_vec())]);
        for (name, expected) in [("digits.csv", "a CSV file"), ("digits.bin", "a folder or a .csv file")] {
            let error = error_message(&folder, load(&folder.path().join(name), Split::Train));
            assert!(error.starts_with(&format!("{name}: expected {expected}, found {found}")), "{error}");
        }
    }
}
