//! `lenet show`: shapes and counts, the PNG file, augmentations.

use std::fs;

use snapbox::str;

use crate::{error, folder, lenet, png_size};

#[test]
fn prints_shapes_and_counts_without_images_into_a_pipe() {
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
fn writes_the_requested_images_to_a_png_file() {
    let folder = folder();
    let grid = |arguments: &[&str]| {
        let arguments = [&["show", "--data", "data", "--out", "grid.png"], arguments].concat();
        let stdout = lenet(folder.path()).args(arguments).assert().success().get_output().stdout.clone();
        let last_line = String::from_utf8(stdout).unwrap().lines().last().unwrap().to_owned();
        (last_line, png_size(&folder.path().join("grid.png")))
    };
    let message = |count| format!("{count} images written to grid.png");
    assert_eq!(grid(&[]), (message(16), (658, 738)));
    assert_eq!(grid(&["--rows", "1", "--columns", "2"]), (message(2), (350, 216)));
    // More images than the split has.
    assert_eq!(grid(&["--columns", "100", "--rows", "100"]), (message(30), (4662, 216)));
    assert_eq!(grid(&["--split", "test"]), (message(7), (658, 390)));
    assert_eq!(grid(&["--split", "test", "--index", "5"]), (message(2), (350, 216)));
    assert_eq!(grid(&["--split", "test", "--index", "5", "--augment"]), (message(16), (658, 738)));
}

#[test]
fn augmentations_depend_on_image_and_seed_only() {
    let folder = folder();
    let grid = |arguments: &[&str]| {
        let arguments = [&["show", "--data", "data", "--out", "grid.png", "--augment"], arguments].concat();
        lenet(folder.path()).args(arguments).assert().success();
        fs::read(folder.path().join("grid.png")).unwrap()
    };
    let first = grid(&[]);
    assert!(first == grid(&["--index", "0", "--seed", "0"]));
    assert!(first != grid(&["--index", "3"]));
    assert!(first != grid(&["--seed", "1"]));
}

#[test]
fn wrong_usage_exits_2_and_failure_1() {
    let folder = folder();
    for arguments in
        [["--rows", "0"], ["--rows", "101"], ["--columns", "x"], ["--split", "both"], ["--seed", "1"]]
    {
        lenet(folder.path()).arg("show").args(arguments).assert().code(2).stdout_eq("");
    }
    let beyond = ["show", "--data", "data", "--index", "30"];
    assert_eq!(error(lenet(folder.path()).args(beyond)), "index: expected 0 to 29, found 30");
    fs::remove_file(folder.path().join("data/t10k-images-idx3-ubyte")).unwrap();
    for (arguments, about) in [
        (["--data", "data"], "data: expected a folder with t10k-images-idx3-ubyte"),
        (["--data", "nowhere.csv"], "nowhere.csv: could not be read: "),
    ] {
        let error = error(lenet(folder.path()).arg("show").args(arguments));
        assert!(error.starts_with(about), "{error}");
    }
}
