//! `lenet summary`: the layers of a model.

use std::fmt::Write;

use lenet::nn::Architecture;

use crate::{output::print, weights_file::Model};

/// Print the layers of a model: output shapes, parameters and multiply-adds
#[derive(clap::Args)]
pub struct Args {
    /// The model
    model: Model,
}

/// Prints the table.
pub fn run(args: Args) -> anyhow::Result<()> {
    print(table(&args.model.architecture())?)
}

/// One line a layer, with what it makes of one image, and the sums.
fn table(architecture: &Architecture) -> anyhow::Result<String> {
    let rows = architecture.summary()?;
    let mut text = format!(
        "{}\n\n{:<9} {:<10} {:>12} {:>11} {:>14}\n",
        architecture.name(),
        "layer",
        "type",
        "output",
        "parameters",
        "multiply-adds"
    );
    let mut line = |name: &str, kind: &str, output: &str, parameters, multiply_adds| {
        let (parameters, multiply_adds) = (grouped(parameters), grouped(multiply_adds));
        let line = format!("{name:<9} {kind:<11} {output:>12} {parameters:>11} {multiply_adds:>14}");
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line("input", "", "(1, 28, 28)", 0, 0);
    for row in &rows {
        line(row.name, row.layer.type_name(), &row.output.to_string(), row.parameters, row.multiply_adds);
    }
    let (parameters, multiply_adds) = totals(architecture)?;
    line("total", "", "", parameters, multiply_adds);
    Ok(text)
}

/// All weights and biases, and the multiply-adds that one image takes.
pub fn totals(architecture: &Architecture) -> anyhow::Result<(usize, usize)> {
    let rows = architecture.summary()?;
    Ok(rows.iter().fold((0, 0), |sum, row| (sum.0 + row.parameters, sum.1 + row.multiply_adds)))
}

/// `616,520`; nothing for 0.
pub fn grouped(number: usize) -> String {
    if number == 0 {
        return String::new();
    }
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
