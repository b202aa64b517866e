//! `lenet models`: lists the architectures and the built-in trained networks.

use std::fmt::Write;

use clap::ValueEnum;
use lenet::weights;
use lenet_report::format::{percent_or_dash, with_thousands_separators};

use crate::{catalog::ArchitectureName, output::print};

/// List the architectures and the built-in trained weights
#[derive(clap::Args)]
pub struct Args {}

/// Prints the table.
pub fn run(Args {}: Args) -> anyhow::Result<()> {
    let mut text = format!(
        "{:<12} {:>10} {:>13}  {:<11} {:>9} {:>14}  {}\n",
        "architecture", "parameters", "multiply-adds", "weights", "bytes", "test accuracy", "trained with"
    );
    for &name in ArchitectureName::value_variants() {
        let complexity = name.architecture().complexity()?;
        let (parameters, multiply_adds) = (
            with_thousands_separators(complexity.parameters),
            with_thousands_separators(complexity.multiply_adds),
        );
        let _ = write!(text, "{:<12} {parameters:>10} {multiply_adds:>13}  ", name.as_str());
        let _ = match name.pretrained() {
            Some(pretrained) => {
                let (network, provenance) = pretrained.load();
                let bytes = with_thousands_separators(weights::to_bytes(&network, &provenance)?.len());
                let accuracy = percent_or_dash(provenance.test_accuracy);
                let (recipe, epochs, seed) = (&provenance.recipe.name, provenance.epochs, provenance.seed);
                let remark = if name == ArchitectureName::Ink { " (F1 of ink)" } else { "" };
                writeln!(
                    text,
                    "{:<11} {bytes:>9} {accuracy:>14}  recipe {recipe}, {epochs} epochs, seed {seed}{remark}",
                    pretrained.as_str()
                )
            }
            None => {
                writeln!(text, "{:<11} {:>9} {:>14}  (lenet train {})", "-", "-", "-", name.as_str())
            }
        };
    }
    print(text)
}
