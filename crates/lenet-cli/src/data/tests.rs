//! Valid and malformed datasets.

use std::{
    fs,
    io::{Cursor, Write},
};

use flate2::{Compression, write::GzEncoder};
use lenet::{PIXELS, SIDE};
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

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
    let rest = error.strip_prefix(&folder).expect("the message begins with the path");
    rest.trim_start_matches(std::path::MAIN_SEPARATOR).to_string()
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
fn source_is_a_known_name_a_csv_or_npz_file_or_a_folder() {
    let source = |value: &str| Source::from(OsString::from(value));
    assert_eq!(source("fashion-mnist"), Source::Known(KnownDataset::FashionMnist));
    assert_eq!(source("./mnist"), Source::Folder("./mnist".into()));
    assert_eq!(source("some/Train.CSV"), Source::Csv("some/Train.CSV".into()));
    assert_eq!(source("mnist.npz"), Source::Npz("mnist.npz".into()));
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
        ("none", "none: expected a folder, a .csv or .npz file, or one of mnist, fashion-mnist, kmnist: "),
        ("image.png", "image.png: expected a folder, a .csv or .npz file, found an empty file"),
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
        for (name, expected) in
            [("digits.csv", "a CSV file"), ("digits.bin", "a folder, a .csv or .npz file")]
        {
            let error = error_message(&folder, load(&folder.path().join(name), Split::Train));
            assert!(error.starts_with(&format!("{name}: expected {expected}, found {found}")), "{error}");
        }
    }
}

/// Returns an array as NumPy saves it.
fn npy(dtype: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    npy_with_header(&format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"), values)
}

fn npy_with_header(header: &str, values: &[u8]) -> Vec<u8> {
    let len = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), values].concat()
}

/// Returns a ZIP archive of files.
fn zip_archive(method: CompressionMethod, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Returns `count` images whose pixels are all 9, as NumPy saves them.
fn npy_images(count: usize) -> Vec<u8> {
    npy("|u1", &format!("({count}, 28, 28)"), &vec![9; count * PIXELS])
}

/// Returns an NPZ file with a training split.
fn npz(images: &[u8], labels: &[u8]) -> Vec<u8> {
    zip_archive(CompressionMethod::Deflated, &[("x_train.npy", images), ("y_train.npy", labels)])
}

#[test]
fn reads_npz_files_stored_or_deflated_with_labels_of_any_integer_type() {
    let (images, test_images) = (npy_images(3), npy_images(1));
    let test_labels = npy("|u1", "(1,)", &[5]);
    for (dtype, labels) in [
        ("|u1", &[3, 0, 9][..]),
        ("|i1", &[3, 0, 9]),
        ("<u2", &[3, 0, 0, 0, 9, 0]),
        (">i2", &[0, 3, 0, 0, 0, 9]),
        ("<i4", [3_u32, 0, 9].map(u32::to_le_bytes).as_flattened()),
        ("<i8", [3_u64, 0, 9].map(u64::to_le_bytes).as_flattened()),
        (">u8", [3_u64, 0, 9].map(u64::to_be_bytes).as_flattened()),
    ] {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let archive = zip_archive(
                method,
                &[
                    ("x_test.npy", &test_images),
                    ("x_train.npy", &images),
                    ("y_train.npy", &npy(dtype, "(3,)", labels)),
                    ("y_test.npy", &test_labels),
                ],
            );
            let folder = folder(&[("mnist.npz", archive)]);
            let path = folder.path().join("mnist.npz");
            let [train, test] = [Split::Train, Split::Test].map(|split| load(&path, split).unwrap());
            assert_eq!([train.labels(), test.labels()], [&[3, 0, 9][..], &[5]], "{dtype}, {method}");
            assert!(train.images().iter().chain(test.images()).all(|&pixel| pixel == 9));
        }
    }
}

#[test]
fn reads_npz_files_of_every_version_of_the_header() {
    let header = "{'descr':'|u1','fortran_order':False,'shape':(1,28,28)}";
    let len = [header.len() as u8, 0, 0, 0];
    for version in [2, 3] {
        let images = [b"\x93NUMPY", &[version, 0][..], &len, header.as_bytes(), &[9; PIXELS]].concat();
        let folder = folder(&[("mnist.npz", npz(&images, &npy("|u1", "(1,)", &[5])))]);
        let train = load(&folder.path().join("mnist.npz"), Split::Train).unwrap();
        assert_eq!((train.labels(), train.images()), (&[5][..], &[9; PIXELS][..]));
    }
}

#[test]
fn rejects_malformed_npz_files() {
    let (images, labels) = (npy_images(3), npy("|u1", "(3,)", &[1, 2, 3]));
    let long_header = [b"\x93NUMPY\x02\x00", &u32::MAX.to_le_bytes()[..], b"{}"].concat();
    let with_images = |array: &[u8]| npz(array, &labels);
    let with_labels = |array: &[u8]| npz(&images, array);
    let with_type = |dtype, len: usize| with_images(&npy(dtype, "(3, 28, 28)", &vec![0; len * PIXELS]));
    let with_shape = |shape, len: usize| with_images(&npy("|u1", shape, &vec![0; len]));
    let fortran =
        npy_with_header("{'descr': '|u1', 'fortran_order': True, 'shape': (3, 28, 28), }", &[0; 3 * PIXELS]);
    let structure =
        npy_with_header("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (3,), }", &[0; 3]);
    let negative = [1_i64, -1, 3].map(i64::to_le_bytes);
    let encoded = npz(&images, &labels);
    let table: &[(Vec<u8>, &str)] = &[
        (Vec::new(), "expected an NPZ file, found an empty file"),
        (b"<!DOCTYPE html>".to_vec(), "expected an NPZ file, found a web page"),
        (b"garbage".to_vec(), "content: expected a ZIP archive of arrays: "),
        (encoded[..encoded.len() / 2].to_vec(), "content: expected a ZIP archive of arrays: "),
        (zip_archive(CompressionMethod::Stored, &[]), "x_train: expected an array of this name, found none"),
        (
            zip_archive(CompressionMethod::Stored, &[("arr_0.npy", &images), ("a\x1b[m", &labels)]),
            "x_train: expected an array of this name, found arr_0, a\\x1b[m",
        ),
        (
            zip_archive(CompressionMethod::Stored, &[("x_train.npy", &images)]),
            "y_train: expected an array of this name, found x_train",
        ),
        (with_images(b"images of digits"), "x_train: magic number: expected \\x93NUMPY, found images"),
        (with_images(b"\x93NUMPY\x09\x00"), "x_train: version: expected 1 to 3, found 9"),
        (with_images(b"\x93NUM"), "x_train: header: could not be read: "),
        (with_images(&images[..30]), "x_train: header: could not be read: "),
        (with_images(&long_header), "x_train: header: expected at most 10000 bytes, found 4294967295"),
        (with_images(&npy_with_header("{}", &[])), "x_train: header: expected the key descr, found none"),
        (with_type("<f4", 12), "x_train: dtype: expected uint8, found \"<f4\""),
        (with_type("|i1", 3), "x_train: dtype: expected uint8, found \"|i1\""),
        (
            with_type("|O", 1),
            "x_train: dtype: expected uint8, found Python objects (a pickle), which are not",
        ),
        (with_labels(&structure), "y_train: dtype: expected integers, found a structure"),
        (with_labels(&npy("<f8", "(3,)", &[0; 24])), "y_train: dtype: expected integers, found \"<f8\""),
        (with_images(&fortran), "x_train: order: expected C order, found Fortran order: "),
        (with_shape("(3, 784)", 3 * PIXELS), "x_train: shape: expected (n, 28, 28), found (3, 784)"),
        (with_shape("(3, 32, 32)", 3072), "x_train: shape: expected (n, 28, 28), found (3, 32, 32)"),
        (with_shape("()", 1), "x_train: shape: expected (n, 28, 28), found ()"),
        (with_shape("(-1, 28, 28)", 0), "x_train: shape: expected (n, 28, 28), found (-1, 28, 28)"),
        (with_shape("3", 3), "x_train: header: expected a tuple for the key shape"),
        (with_shape("(0, 28, 28)", 0), "x_train: length: expected 1 to 1000000, found 0"),
        (
            with_shape("(18446744073709551615, 28, 28)", 0),
            "x_train: length: expected 1 to 1000000, found 18446744073709551615",
        ),
        (with_shape("(1000000, 28, 28)", 9), "x_train: values: expected 784000000 bytes, found 9"),
        (with_shape("(1, 28, 28)", 785), "x_train: values: expected 784 bytes, found 785"),
        (with_labels(&npy("|u1", "(3, 1)", &[0; 3])), "y_train: shape: expected (n,), found (3, 1)"),
        (
            with_labels(&npy("|u1", "(2,)", &[1, 2])),
            "number of labels: expected 3 (one for each image), found 2",
        ),
        (with_labels(&npy("|u1", "(3,)", &[1, 2, 10])), "label 2: expected 0 to 9, found 10"),
        (with_labels(&npy(">u2", "(3,)", &[0, 1, 1, 2, 0, 3])), "label 1: expected 0 to 9, found 258"),
        (with_labels(&npy("<i8", "(3,)", negative.as_flattened())), "label 1: expected 0 to 9, found -1"),
    ];
    for (bytes, expected) in table {
        let folder = folder(&[("mnist.npz", bytes.clone())]);
        let error = error_message(&folder, load(&folder.path().join("mnist.npz"), Split::Train));
        assert!(error.starts_with(&format!("mnist.npz: {expected}")), "{expected}: {error}");
    }
}

#[test]
fn npz_file_that_declares_another_size_or_checksum_than_it_has_is_an_error() {
    let labels = npy("|u1", "(3,)", &[1, 2, 3]);
    let declared = npy("|u1", "(1000000, 28, 28)", &[9; 3 * PIXELS]);
    let declared_len = (declared.len() - 3 * PIXELS + 1_000_000 * PIXELS) as u32;
    let mut sizes = npz(&declared, &labels);
    // The uncompressed size is at byte 22 of the local header, and at byte 24 of the entry of the central directory.
    let entry = sizes.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for offset in [22, entry + 24] {
        sizes[offset..offset + 4].copy_from_slice(&declared_len.to_le_bytes());
    }
    let mut checksum =
        zip_archive(CompressionMethod::Stored, &[("x_train.npy", &npy_images(3)), ("y_train.npy", &labels)]);
    let pixel = checksum.iter().position(|&byte| byte == 9).unwrap();
    checksum[pixel + PIXELS] = 8;
    for (bytes, expected) in [
        (sizes, "values: expected 784000000 bytes, found 2352"),
        (checksum, "could not be read: Invalid checksum"),
    ] {
        let folder = folder(&[("mnist.npz", bytes)]);
        let error = error_message(&folder, load(&folder.path().join("mnist.npz"), Split::Train));
        assert_eq!(error, format!("mnist.npz: x_train: {expected}"));
    }
}
