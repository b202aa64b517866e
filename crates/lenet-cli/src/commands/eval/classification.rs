//! `lenet eval` without `--pictures`: evaluates networks on a dataset.

use std::{
    fmt::{Display, Write},
    path::Path,
};

use anyhow::Context;
use lenet::{CLASSES, Dataset, metrics::Evaluation, nn::Network};
use lenet_report::format::percent;
use serde_json::json;

use super::metrics::{half_accuracies, save_figures, to_json, to_text};
use crate::output::print;

/// Evaluates each network on `data`, and all of them as an ensemble. Prints the metrics as JSON or as tables, and writes figures
/// about the ensemble to the folder `out`.
pub fn run<'a>(
    networks: impl Iterator<Item = (&'a Path, Network)>,
    data: &Dataset,
    json: bool,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let mut sums = vec![[0.0; CLASSES]; data.len()];
    let mut members = Vec::new();
    for (source, network) in networks {
        let probabilities = network.probabilities(data.images());
        let (rows, _) = probabilities.as_chunks::<CLASSES>();
        let evaluation =
            Evaluation::new(data.labels(), &probabilities).with_context(|| source.display().to_string())?;
        members.push(EnsembleMember { source, evaluation });
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = std::array::from_fn(|class| sum[class] + row[class]);
        }
    }
    let count = members.len() as f32;
    let means: Vec<_> = sums.iter().map(|sum| sum.map(|value| value / count)).collect();
    let ensemble = Evaluation::new(data.labels(), means.as_flattened())?;
    if json {
        let mut object = to_json(&ensemble);
        if members.len() > 1 {
            object["networks"] = members.iter().map(EnsembleMember::to_json).collect();
        }
        print(format_args!("{object}\n"))?;
    } else {
        if members.len() > 1 {
            print(format_args!("{}\nensemble\n", member_accuracy_table(&members)))?;
        }
        print(to_text(&ensemble))?;
    }
    if let Some(folder) = out {
        save_figures(folder, &ensemble, data)?;
        if !json {
            print(format_args!("\nconfusion.png and mistakes.png written to {}\n", folder.display()))?;
        }
    }
    Ok(())
}

/// A network of the ensemble.
struct EnsembleMember<'a> {
    source: &'a Path,
    evaluation: Evaluation,
}

impl EnsembleMember<'_> {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "network": self.source.display().to_string(),
            "accuracy": self.evaluation.accuracy(),
            "halves": half_accuracies(&self.evaluation),
        })
    }
}

/// Formats a line for each network, and one each for their mean and sample standard deviation.
fn member_accuracy_table(members: &[EnsembleMember]) -> String {
    let mut text = "accuracy  first half  second half  network\n".to_owned();
    let mut line = |[whole, first, second]: [f64; 3], name: &dyn Display| {
        let _ =
            writeln!(text, "{:>8}  {:>10}  {:>11}  {name}", percent(whole), percent(first), percent(second));
    };
    let rows: Vec<[f64; 3]> = members
        .iter()
        .map(|member| {
            let [first, second] = half_accuracies(&member.evaluation);
            [member.evaluation.accuracy(), first, second]
        })
        .collect();
    for (row, member) in rows.iter().zip(members) {
        line(*row, &member.source.display());
    }
    let count = rows.len() as f64;
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / count;
    let means = [0, 1, 2].map(mean);
    let deviation = |column: usize| {
        let squares = rows.iter().map(|row| (row[column] - means[column]).powi(2));
        (squares.sum::<f64>() / (count - 1.0)).sqrt()
    };
    line(means, &"mean");
    line([0, 1, 2].map(deviation), &"standard deviation");
    text
}
