//! Curves of a chart.

use lenet::train::EpochMetrics;

/// Epochs of a curve with dots, at most. The dots of more epochs would touch.
const MAX_EPOCHS_WITH_DOTS: usize = 40;

/// A polyline.
pub struct Curve {
    /// CSS class.
    pub class: &'static str,
    /// Whether each point has a dot.
    pub dots: bool,
    /// (epochs, value)
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// Returns a curve with a point at the end of each epoch that has a value.
    pub fn of_epochs(
        class: &'static str,
        history: &[EpochMetrics],
        value: impl Fn(&EpochMetrics) -> Option<f64>,
    ) -> Self {
        let points =
            (1..).zip(history).filter_map(|(number, epoch)| Some((f64::from(number), value(epoch)?)));
        Self { class, dots: history.len() <= MAX_EPOCHS_WITH_DOTS, points: points.collect() }
    }
}
