//! `lenet eval` of a network that tells ink from rules.

use lenet::{Dataset, metrics::PixelEvaluation, nn::Network};
use lenet_report::{EVAL_PATCHES, ink_json, ink_table};

use crate::output::print;

/// Evaluates the network on page patches with digits of `data`, and prints the metrics as JSON or as a table.
pub fn run(network: &Network, data: &Dataset, json: bool) -> anyhow::Result<()> {
    let evaluation = PixelEvaluation::of_network(network, data, EVAL_PATCHES)?;
    if json {
        return print(format_args!("{}\n", ink_json(&evaluation)));
    }
    print(format_args!("{EVAL_PATCHES} page patches\n\n{}", ink_table(&evaluation)))
}
