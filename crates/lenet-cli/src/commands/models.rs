//! `lenet models`: lists the architectures and the built-in trained networks.

use std::fmt::Write;

use clap::ValueEnum;
use lenet::weights;

use crate::{
    catalog::{ArchitectureName, totals},
    format::{percent_or_dash, thousands},
    output::print,
};

/// List the architectures, with the size and the accuracy of the built-in trained networks
#[derive(clap::Args)]
pub struct Args {}

/// Prints the table.
pub fn run(Args {}: Args) -> anyhow::Result<()> {
    let mut text = format!(
        "{:<11} {:>10} {:>13} {:>9} {:>14}  {}\n",
        "model", "parameters", "multiply-adds", "bytes", "test accuracy", "trained with"
    );
    for &name in ArchitectureName::value_variants() {
        let totals = totals(&name.architecture())?;
        let (parameters, multiply_adds) = (thousands(totals.parameters), thousands(totals.multiply_adds));
        let _ = write!(text, "{:<11} {parameters:>10} {multiply_adds:>13} ", name.as_str());
        let _ = match name.pretrained() {
            Some(pretrained) => {
                let (network, provenance) = pretrained.load();
                let bytes = thousands(weights::to_bytes(&network, &provenance)?.len());
                let accuracy = percent_or_dash(provenance.test_accuracy);
                let (recipe, epochs, seed) = (&provenance.recipe.name, provenance.epochs, provenance.seed);
                writeln!(text, "{bytes:>9} {accuracy:>14}  recipe {recipe}, {epochs} epochs, seed {seed}")
            }
            None => writeln!(text, "{:>9} {:>14}  (lenet train {})", "-", "-", name.as_str()),
        };
    }
    print(text)
}
