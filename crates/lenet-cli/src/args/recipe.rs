//! The options that choose and change a training recipe.

use lenet::{nn::Normalize, train::Recipe};

use crate::{catalog::ArchitectureName, recipe::RecipeSource};

/// The options `--recipe`, `--epochs` and `--batch-size`.
#[derive(clap::Args)]
pub struct RecipeArgs {
    /// Training recipe: default, fast, best, tutorial, or a TOML file
    ///
    /// - default: works for all architectures; for ink and marks it is best.
    ///
    /// - best: the most accurate known recipe of the architecture; it takes minutes.
    ///
    /// - fast: trains lenet5 to more than 99% in seconds.
    ///
    /// - tutorial: the settings of the PyTorch tutorial, including its mistakes.
    ///
    /// - A file has the format that --print-recipe prints. The optional fields `warmup` (fraction of the steps),
    ///   `label_smoothing` and `ema` (decay of the moving average of the weights) default to 0, which disables the feature.
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "default")]
    recipe: RecipeSource,
    /// Number of epochs [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    // The limit bounds the memory of a step, and the time until Ctrl-C takes effect.
    /// Images in a batch, at most 4096 [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch_size: Option<u32>,
}

impl RecipeArgs {
    /// Loads the recipe for an architecture and applies `--epochs` and `--batch-size`.
    ///
    /// `normalize`, which is that of the weights that training starts from, replaces the normalization of a named recipe. A
    /// file keeps its own.
    pub fn load(
        &self,
        architecture: ArchitectureName,
        normalize: Option<Normalize>,
    ) -> anyhow::Result<Recipe> {
        let mut recipe = self.recipe.load(architecture)?;
        if let (Some(normalize), false) = (normalize, self.recipe.is_file()) {
            recipe.normalize = normalize;
        }
        recipe.epochs = self.epochs.map_or(recipe.epochs, |epochs| epochs as usize);
        recipe.batch_size = self.batch_size.map_or(recipe.batch_size, |size| size as usize);
        Ok(recipe)
    }
}
