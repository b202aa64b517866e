//! Digits that a recognizer misreads or rejects.

use crate::{
    CLASSES, Dataset, Error, calibrate,
    data::Task,
    nn::{Network, argmax},
    recognize::{DEFAULT_REJECTION_THRESHOLD, RejectParams},
};

/// How many digits of a dataset a [`Recognizer`](crate::recognize::Recognizer) misreads or rejects by the network's threshold.
///
/// As in recognition, the probability of being a digit is the geometric mean of those of the image and of the blurred image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitErrors {
    /// Number of digits.
    pub total: usize,
    /// Digits that are read as another digit.
    pub misread: usize,
    /// Digits that are rejected, whatever they would be read as.
    pub rejected: usize,
}

impl DigitErrors {
    /// Classifies all images of `data` and counts the errors.
    ///
    /// # Errors
    /// [`Error::WrongTask`] if the network has another task than [`Task::Digits`].
    pub fn of_network(network: &Network, data: &Dataset) -> Result<Self, Error> {
        Task::Digits.check(network)?;
        let probabilities = network.probabilities(data.images());
        let rows = probabilities.as_chunks::<CLASSES>().0;
        let is_rejected: Vec<bool> = if network.architecture().has_outlier_class() {
            let threshold = network.rejection_threshold().unwrap_or(DEFAULT_REJECTION_THRESHOLD);
            let any_digit = calibrate::any_digit_probabilities(network, data.images());
            any_digit.into_iter().map(|probability| probability < threshold).collect()
        } else {
            let min = RejectParams::default().min_confidence_without_outlier_class;
            rows.iter().map(|row| row[usize::from(argmax(row))] < min).collect()
        };
        let readings = rows.iter().zip(data.labels()).zip(&is_rejected);
        let is_misread = readings.map(|((row, &label), &rejected)| !rejected && argmax(row) != label);
        Ok(Self {
            total: data.len(),
            misread: is_misread.filter(|&misread| misread).count(),
            rejected: is_rejected.iter().filter(|&&rejected| rejected).count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PIXELS, SIDE, pretrained};

    #[test]
    fn counts_misread_and_rejected_digits() {
        let (network, _) = pretrained::handwriting();
        let bar = |i: usize| (12..16).contains(&(i % SIDE)) && (4..24).contains(&(i / SIDE));
        let comb = |i: usize| i.is_multiple_of(4) && (4..24).contains(&(i / SIDE));
        let image = |ink: &dyn Fn(usize) -> bool| {
            (0..PIXELS).map(|i| if ink(i) { 255 } else { 0 }).collect::<Vec<u8>>()
        };
        let images = [image(&bar), image(&bar), image(&comb)].concat();
        let data = Dataset::new(images, vec![1, 7, 1]).unwrap();
        let errors = DigitErrors::of_network(&network, &data).unwrap();
        assert_eq!(errors, DigitErrors { total: 3, misread: 1, rejected: 1 });
        assert!(DigitErrors::of_network(&pretrained::ink().0, &data).is_err());
    }
}
