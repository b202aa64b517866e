//! Recipes: by name, in TOML files, and changed by options.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use lenet::{nn::Normalize, train::Recipe};

use crate::{
    tutorial,
    weights_file::{self, Model},
};

mod parse;

/// The options that make a recipe.
#[derive(clap::Args)]
pub struct RecipeArgs {
    /// How to train: default, fast, best, tutorial (what the tutorial does, with its mistakes), or a file
    ///
    /// `best` is the most accurate that is known for the model, and takes minutes; `fast` takes LeNet-5 above 99%.
    /// A file is TOML, as --print-recipe writes it. What is left out of `warmup` (share of the steps), `label_smoothing`
    /// and `ema` (decay of a moving average of the weights) is not done.
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "default")]
    recipe: Source,
    /// Times that every image is seen [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    // A step takes memory for each image, and Ctrl-C waits for its end.
    /// Images in a step, at most 4096 [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch_size: Option<u32>,
}

/// A value of `--recipe`.
#[derive(Debug, Clone)]
enum Source {
    Default,
    Fast,
    Best,
    Tutorial,
    File(PathBuf),
}

impl From<OsString> for Source {
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

impl RecipeArgs {
    /// The recipe for a model, and with this normalize, if there is one and the recipe is no file, which has its own.
    pub fn load(&self, model: Model, normalize: Option<Normalize>) -> anyhow::Result<Recipe> {
        let scaled = |recipe: Recipe| Recipe { normalize: normalize.unwrap_or(recipe.normalize), ..recipe };
        let mut recipe = match &self.recipe {
            Source::Default => scaled(Recipe::default()),
            Source::Fast => scaled(parse::parse(include_str!("../recipes/fast.toml"))?),
            Source::Best => scaled(parse::parse(best(model))?),
            Source::Tutorial => scaled(tutorial::recipe(model)?),
            Source::File(path) => read(path)?,
        };
        recipe.epochs = self.epochs.map_or(recipe.epochs, |epochs| epochs as usize);
        recipe.batch_size = self.batch_size.map_or(recipe.batch_size, |size| size as usize);
        Ok(recipe)
    }
}

/// The most accurate recipe that is known for a model.
fn best(model: Model) -> &'static str {
    match model {
        Model::Mlp => include_str!("../recipes/mlp.toml"),
        Model::Cnn | Model::Lenet5 => include_str!("../recipes/lenet5.toml"),
        Model::Vgg => include_str!("../recipes/vgg.toml"),
        Model::Handwriting => include_str!("../recipes/handwriting.toml"),
    }
}

fn read(path: &Path) -> anyhow::Result<Recipe> {
    ensure!(
        path.exists(),
        "{}: expected default, fast, best, tutorial or a file, found none of them",
        path.display()
    );
    let bytes = weights_file::read(path)?;
    let parse = || parse::parse(std::str::from_utf8(&bytes).context("content: expected text")?);
    parse().with_context(|| path.display().to_string())
}
