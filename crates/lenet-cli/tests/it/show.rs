//! `lenet show`

use std::{fs, io::BufReader, path::Path};

use snapbox::str;
use tempfile::TempDir;

use crate::lenet;

const PIXELS: usize = 28 * 28;

/// A folder with a dataset in its folder `data`: 30 training images, 7 test images.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    write_split(&data, "train", 30);
    write_split(&data, "t10k", 7);
    folder
}

/// Writes `count` images with labels 0, 1, 2, 0, 1, ...
fn write_split(folder: &Path, name: &str, count: u8) {
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
    images.extend((0..usize::from(count) * PIXELS).map(|index| (index % 251) as u8));
    fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, count];
    labels.extend((0..count).map(|index| index % 3));
    fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
}

/// Decodes the whole file.
fn png_size(path: &Path) -> (u32, u32) {
    let mut reader = png::Decoder::new(BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    (reader.info().width, reader.info().height)
}

#[test]
fn prints_shapes_and_counts_and_draws_nothing_into_a_pipe() {
    let folder = folder();
    lenet(folder.path()).args(["show", "--data", "data"]).assert().success().stderr_eq("").stdout_eq(str![[
        r#"
(30, 28, 28) (30,) (7, 28, 28) (7,)

digit      0      1      2      3      4      5      6      7      8      9
train     10     10     10      0      0      0      0      0      0      0
test       3      2      2      0      0      0      0      0      0      0

"#
    ]]);
}

#[test]
fn writes_the_grid() {
    let folder = folder();
    let grid = |arguments: &[&str]| {
        let arguments = [&["show", "--data", "data", "--out", "grid.png"], arguments].concat();
        let said = lenet(folder.path()).args(arguments).assert().success().get_output().stdout.clone();
        let said = String::from_utf8(said).unwrap().lines().last().unwrap().to_owned();
        (said, png_size(&folder.path().join("grid.png")))
    };
    let said = |count| format!("{count} images written to grid.png");
    assert_eq!(grid(&[]), (said(16), (658, 738)));
    assert_eq!(grid(&["--rows", "1", "--columns", "2"]), (said(2), (350, 216)));
    // More than there are.
    assert_eq!(grid(&["--columns", "100", "--rows", "100"]), (said(30), (4662, 216)));
    assert_eq!(grid(&["--split", "test"]), (said(7), (658, 390)));
}

#[test]
fn bad_usage_exits_2_and_failure_1() {
    let folder = folder();
    for arguments in [["--rows", "0"], ["--rows", "101"], ["--columns", "x"], ["--split", "both"]] {
        lenet(folder.path()).arg("show").args(arguments).assert().code(2).stdout_eq("");
    }
    fs::remove_file(folder.path().join("data/t10k-images-idx3-ubyte")).unwrap();
    for (arguments, about) in [
        (["--data", "data"], "error: data: expected a folder with t10k-images-idx3-ubyte"),
        (["--out", "nowhere/grid.png"], "error: nowhere/grid.png: "),
    ] {
        let failed = lenet(folder.path()).arg("show").args(arguments).assert().code(1);
        let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(message.starts_with(about) && message.lines().count() == 1, "{message}");
    }
}
