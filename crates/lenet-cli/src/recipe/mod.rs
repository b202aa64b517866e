//! Training recipes by name and from TOML files.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure};
use lenet::train::Recipe;

use crate::{bounded_read::parse_file, catalog::ArchitectureName};

mod parse;
pub(crate) mod pytorch_tutorial;

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
        match self {
            Self::Default | Self::Best if !architecture.is_for_digits() => parse(best(architecture)),
            Self::Default => Ok(Recipe::default()),
            Self::Fast if !architecture.is_for_digits() => {
                bail!("fast: expected an architecture for digits, found {}", architecture.as_str())
            }
            Self::Fast => parse(include_str!("../../recipes/fast.toml")),
            Self::Best => parse(best(architecture)),
            Self::Tutorial => pytorch_tutorial::recipe(architecture),
            Self::File(path) => read(path),
        }
    }
}

/// Returns the most accurate known recipe of an architecture, as TOML.
fn best(architecture: ArchitectureName) -> &'static str {
    match architecture {
        ArchitectureName::Mlp => include_str!("../../recipes/mlp.toml"),
        ArchitectureName::Cnn | ArchitectureName::Lenet5 => include_str!("../../recipes/lenet5.toml"),
        ArchitectureName::Vgg => include_str!("../../recipes/vgg.toml"),
        ArchitectureName::VggWide => include_str!("../../recipes/vgg_wide.toml"),
        ArchitectureName::Micro => include_str!("../../recipes/micro.toml"),
        ArchitectureName::Ink => include_str!("../../recipes/ink.toml"),
        ArchitectureName::Marks => include_str!("../../recipes/marks.toml"),
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
