//! `lenet models`: the networks that the program knows.

use std::fmt::Write;

use clap::ValueEnum;
use lenet::weights;

use crate::{
    output::print,
    summary::{grouped, totals},
    weights_file::Model,
};

/// List the models: parameters, multiply-adds, and the size and accuracy of those that are inside, trained
#[derive(clap::Args)]
pub struct Args {}

/// Prints the table.
pub fn run(Args {}: Args) -> anyhow::Result<()> {
    let mut text = format!(
        "{:<11} {:>10} {:>13} {:>9} {:>14}  {}\n",
        "model", "parameters", "multiply-adds", "bytes", "test accuracy", "trained with"
    );
    for &model in Model::value_variants() {
        let (parameters, multiply_adds) = totals(&model.architecture())?;
        let (parameters, multiply_adds) = (grouped(parameters), grouped(multiply_adds));
        let _ = write!(text, "{:<11} {parameters:>10} {multiply_adds:>13} ", model.name());
        let _ = match model.pretrained() {
            Some((network, provenance)) => {
                let bytes = grouped(weights::to_bytes(&network, &provenance)?.len());
                let accuracy =
                    provenance.test_accuracy.map_or("-".to_owned(), |part| format!("{:.2}%", 100.0 * part));
                let (recipe, epochs, seed) = (&provenance.recipe.name, provenance.epochs, provenance.seed);
                writeln!(text, "{bytes:>9} {accuracy:>14}  recipe {recipe}, {epochs} epochs, seed {seed}")
            }
            None => writeln!(text, "{:>9} {:>14}  (lenet train {})", "-", "-", model.name()),
        };
    }
    print(text)
}
