//! Integration tests: each runs the program `lenet` as a user does.

use std::{
    fs,
    io::BufReader,
    path::{MAIN_SEPARATOR, Path},
};

use lenet::{PIXELS, SIDE, data::idx};
use snapbox::cmd::{Command, cargo_bin};
use tempfile::TempDir;

mod adapt;
mod browser;
mod checkpoint;
mod cli;
mod completions;
mod constraints;
mod data;
mod download;
mod eval;
mod export;
mod fetch;
mod image_folder;
#[cfg(unix)]
mod interrupt;
mod man;
mod mock_server;
mod output;
mod predict;
mod recipe;
mod recognize;
mod report;
mod serve;
mod show;
mod suite;
mod summary;
mod train;
mod tutorial;

/// Returns the command `lenet`, run in `folder`.
fn lenet(folder: &Path) -> Command {
    Command::new(cargo_bin!("lenet")).current_dir(folder)
}

/// Runs a command that must fail, and returns its only line on stderr without `error: `, with `/` in paths.
fn error(command: Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    with_slashes(error.strip_prefix("error: ").expect(&error).trim_end())
}

/// Returns output of the program with `/` in its paths, also on Windows.
fn with_slashes(text: &str) -> String {
    text.replace(MAIN_SEPARATOR, "/")
}

/// Returns the sorted names of the files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Creates a folder with a dataset in its subfolder `data`: 30 training images, 7 test images, labels 0, 1, 2, 0, 1, ...
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for (name, count) in [("train", 30), ("t10k", 7)] {
        fs::write(
            data.join(format!("{name}-images-idx3-ubyte")),
            idx::write_images(&pixels(count), SIDE, SIDE),
        )
        .unwrap();
        let labels: Vec<_> = (0..count).map(|index| (index % 3) as u8).collect();
        fs::write(data.join(format!("{name}-labels-idx1-ubyte")), idx::write_labels(&labels)).unwrap();
    }
    folder
}

/// Returns images (image, row, column) that all differ.
fn pixels(count: usize) -> Vec<u8> {
    (0..count * PIXELS).map(|index| (index % 251) as u8).collect()
}

/// Creates a [`folder`] with a trained network in its file `net.safetensors`.
fn folder_with_network() -> TempDir {
    let folder = folder();
    let arguments = ["train", "--data", "data", "--epochs", "1", "--out", "net.safetensors"];
    lenet(folder.path()).args(arguments).assert().success();
    folder
}

/// Decodes a PNG file and returns its width and height.
fn png_size(path: &Path) -> (u32, u32) {
    let mut reader = png::Decoder::new(BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    (reader.info().width, reader.info().height)
}
