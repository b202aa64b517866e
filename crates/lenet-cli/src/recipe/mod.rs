//! Training recipes by name and from TOML files.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use lenet::train::{Recipe, recipes};

use crate::{bounded_read::parse_file, catalog::ArchitectureName};

mod parse;

pub use parse::parse;
pub(crate) use parse::syntax_error;

/// A recipe by name, or from a file: a value of `--recipe`.
#[derive(Debug, Clone)]
pub enum RecipeSource {
    /// Works for all architectures; the same as `Best` if the architecture is not for digits.
    Default,
    /// Trains LeNet-5 in seconds.
    Fast,
    /// The most accurate known recipe of the architecture.
    Best,
    /// The settings of the PyTorch tutorial.
    Tutorial,
    /// A TOML file.
    File(PathBuf),
}

impl From<OsString> for RecipeSource {
    fn from(value: OsString) -> Self {
        match value.to_str() {
            Some("default") => Self::Default,
            Some("fast") => Self::Fast,
            Some("best") => Self::Best,
            Some("tutorial") => Self::Tutorial,
            _ => Self::File(value.into()),
        }
    }
}

impl RecipeSource {
    /// Returns whether the recipe is a file of the user.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Loads the recipe for an architecture.
    ///
    /// # Errors
    /// If there is no such recipe for the architecture, or the file can't be read or is invalid.
    pub fn load(&self, architecture: ArchitectureName) -> anyhow::Result<Recipe> {
        let name = architecture.as_str();
        match self {
            Self::Default if architecture.is_for_digits() => Ok(Recipe::default()),
            Self::Default | Self::Best => recipes::best(name).context("best: expected a known architecture"),
            Self::Fast if architecture.is_for_digits() => Ok(recipes::fast()),
            Self::Fast => bail!("fast: expected an architecture for digits, found {name}"),
            Self::Tutorial => recipes::tutorial(name)
                .with_context(|| format!("tutorial: expected mlp, cnn or lenet5, found {name}")),
            Self::File(path) => read(path),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Recipe> {
    ensure!(
        path.exists(),
        "{}: expected default, fast, best, tutorial or a file, found none of them",
        path.display()
    );
    parse_file(path, parse)
}
