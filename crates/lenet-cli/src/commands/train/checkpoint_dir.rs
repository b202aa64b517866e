//! The folder of `--checkpoint` and `--resume`.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use lenet::train::Checkpoint;

use crate::{
    bounded_read::read_file,
    output::{create_folder, remove_temporary_files, write_atomically},
};

/// A folder with the checkpoint of one training.
pub struct CheckpointDir {
    path: PathBuf,
}

impl CheckpointDir {
    /// Creates the folder for a new training.
    ///
    /// # Errors
    /// If it has a checkpoint already, so that none is overwritten by mistake.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let dir = Self { path: path.to_owned() };
        create_folder(path)?;
        let (file, path) = (dir.checkpoint_path(), path.display());
        ensure!(
            !file.exists(),
            "{}: expected none yet, found a checkpoint: continue it with --resume {path}",
            file.display()
        );
        Ok(dir)
    }

    /// Opens the folder of an earlier training, and reads its checkpoint.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Checkpoint)> {
        let dir = Self { path: path.to_owned() };
        let file = dir.checkpoint_path();
        let checkpoint =
            Checkpoint::from_bytes(&read_file(&file)?).with_context(|| file.display().to_string())?;
        remove_temporary_files(&file)?;
        Ok((dir, checkpoint))
    }

    /// Replaces the checkpoint.
    pub fn save(&self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        write_atomically(&self.checkpoint_path(), &checkpoint.to_bytes()?)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the checkpoint file. Its name is that of earlier versions, so that their trainings can be resumed.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join("state.safetensors")
    }
}
