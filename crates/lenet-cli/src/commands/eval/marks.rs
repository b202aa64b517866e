//! `lenet eval` of a network that tells marks.

use lenet::{Dataset, metrics::evaluate_marks, nn::Network};
use lenet_report::{EVAL_MARK_SAMPLES, marks_json, marks_table};

use crate::output::print;

/// Evaluates the network on parts of lines with digits of `data`, and prints the metrics as JSON or as a table.
pub fn run(network: &Network, data: &Dataset, json: bool) -> anyhow::Result<()> {
    let evaluation = evaluate_marks(network, data, EVAL_MARK_SAMPLES)?;
    if json {
        return print(format_args!("{}\n", marks_json(&evaluation)));
    }
    print(marks_table(&evaluation))
}
