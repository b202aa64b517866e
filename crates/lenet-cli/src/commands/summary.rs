//! `lenet summary`: prints the layers of an architecture.

use std::fmt::Write;

use lenet::nn::Architecture;
use lenet_report::format::with_thousands_separators;

use crate::{catalog::ArchitectureName, output::print};

/// Print the layers of an architecture with output shapes, parameters and multiply-adds
#[derive(clap::Args)]
pub struct Args {
    /// The architecture
    architecture: ArchitectureName,
}

/// Prints the table.
pub fn run(args: Args) -> anyhow::Result<()> {
    print(layer_table(&args.architecture.architecture())?)
}

/// Formats one line for each layer and one for the totals. Shapes and multiply-adds are those of one image.
fn layer_table(architecture: &Architecture) -> anyhow::Result<String> {
    let mut text = format!(
        "{}\n\n{:<9} {:<10} {:>12} {:>11} {:>14}\n",
        architecture.name(),
        "layer",
        "type",
        "output",
        "parameters",
        "multiply-adds"
    );
    let count = |number: usize| if number == 0 { String::new() } else { with_thousands_separators(number) };
    let mut line = |name: &str, kind: &str, output: &str, parameters, multiply_adds| {
        let (parameters, multiply_adds) = (count(parameters), count(multiply_adds));
        // A long type takes the space of the output.
        let width = 24 - kind.len().max(11);
        let line = format!("{name:<9} {kind:<11}{output:>width$} {parameters:>11} {multiply_adds:>14}");
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line("input", "", &architecture.input_shape().to_string(), 0, 0);
    for row in &architecture.summary()? {
        line(row.name, row.layer.type_name(), &row.output.to_string(), row.parameters, row.multiply_adds);
    }
    let complexity = architecture.complexity()?;
    line("total", "", "", complexity.parameters, complexity.multiply_adds);
    Ok(text)
}
