//! Writes the images of the crate `lenet-mnist` as IDX files into a folder, for the peers in Python.

use std::{env, fs, io, path::PathBuf};

use lenet::{
    SIDE,
    data::idx::{write_images, write_labels},
};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).expect("usage: idx FOLDER"));
    fs::create_dir_all(&folder)?;
    for (split, data) in [("train", lenet_mnist::train()), ("t10k", lenet_mnist::test())] {
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), write_images(data.images(), SIDE, SIDE))?;
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), write_labels(data.labels()))?;
    }
    Ok(())
}
