//! Evaluation of a network that tells marks.

use super::Evaluation;
use crate::{
    CLASSES, Dataset, Error,
    data::{Task, synthetic::MarkSample},
    image::Mark,
    nn::Network,
};

/// The class of samples that show no mark, beside those of [`Mark::ALL`], in the evaluation of a network that tells marks.
pub const NO_MARK: usize = Mark::ALL.len();

// An evaluation has a class for each mark, and one for none.
const _: () = assert!(NO_MARK + 1 == CLASSES);

/// The key of the first sample of an evaluation. Those of a training are random.
const FIRST_SAMPLE_KEY: u64 = 1 << 63;

/// Evaluates a network on samples that are always the same: the first `samples` of a series, with digits of `data`. Classes are
/// those of [`Mark::ALL`], and [`NO_MARK`].
///
/// # Errors
/// [`Error::WrongTask`] if the network doesn't tell marks, and those of [`Evaluation::new`].
pub fn evaluate_marks(network: &Network, data: &Dataset, samples: usize) -> Result<Evaluation, Error> {
    Task::Marks.check(network)?;
    let samples: Vec<_> =
        (0..samples).map(|sample| MarkSample::draw(FIRST_SAMPLE_KEY + sample as u64, data)).collect();
    let class = |mark: Mark| Mark::ALL.iter().position(|&other| other == mark);
    let labels: Vec<u8> =
        samples.iter().map(|sample| sample.mark.and_then(class).unwrap_or(NO_MARK) as u8).collect();
    let pixels: Vec<u8> = samples.iter().flat_map(|sample| &sample.pixels).copied().collect();
    let rows = network.probabilities(&pixels);
    let with_no_mark = |row: &[f32]| {
        let any_mark: f32 = row.iter().sum();
        row.iter().copied().chain([1.0 - any_mark]).collect::<Vec<_>>()
    };
    let rows: Vec<f32> = rows.chunks_exact(Mark::ALL.len()).flat_map(with_no_mark).collect();
    Evaluation::new(&labels, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{models, nn::Normalize, pretrained};

    #[test]
    fn counts_the_samples_of_each_class() {
        let network = Network::new(models::marks(), Normalize::UNIT, 0).unwrap();
        // Without a dataset the digits are drawn with a pen.
        let digits = Dataset::new(Vec::new(), Vec::new()).unwrap();
        let evaluation = evaluate_marks(&network, &digits, 200).unwrap();
        assert_eq!(evaluation.total(), 200);
        let found = evaluate_marks(&pretrained::lenet5().0, &digits, 1);
        assert!(matches!(found, Err(Error::WrongTask { expected: Task::Marks, .. })));
    }
}
