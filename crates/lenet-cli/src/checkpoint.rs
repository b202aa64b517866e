//! The folder in which training keeps its state, so that it can go on after whatever ended it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use lenet::train::Checkpoint;

use crate::{
    output::{make_folder, remove_leftovers, write_atomically},
    weights_file::read,
};

/// A folder with the state of one training in it.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A folder for training that begins.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let folder = Self { path: path.to_owned() };
        make_folder(path)?;
        let (file, path) = (folder.file(), path.display());
        ensure!(
            !file.exists(),
            "{}: expected none yet, found the state of a training: go on with it by --resume {path}",
            file.display()
        );
        Ok(folder)
    }

    /// The folder of training that goes on, and its state.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Checkpoint)> {
        let folder = Self { path: path.to_owned() };
        let file = folder.file();
        let state = Checkpoint::from_bytes(&read(&file)?).with_context(|| file.display().to_string())?;
        remove_leftovers(&file)?;
        Ok((folder, state))
    }

    /// Keeps `state` instead of the one before.
    pub fn keep(&self, state: &Checkpoint) -> anyhow::Result<()> {
        write_atomically(&self.file(), &state.to_bytes()?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the state.
    pub fn file(&self) -> PathBuf {
        self.path.join("state.safetensors")
    }
}
