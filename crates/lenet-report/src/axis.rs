//! Axes of charts: ranges and ticks.

use crate::{curve::Curve, format::trim_trailing_zeros};

/// Ticks of a logarithmic axis, at most, so that their labels don't overlap.
const MAX_LOGARITHMIC_TICKS: usize = 8;
/// Ticks of a linear axis beyond 0, at most.
const MAX_LINEAR_TICKS: f64 = 6.0;
/// Tolerance of comparisons, because learning rates are in single precision.
const F32_TOLERANCE: f64 = 1e-6;

/// Relative tolerance within which a value counts as lying on a tick.
const TICK_TOLERANCE: f64 = 1e-9;

/// An axis of a chart.
pub struct Axis {
    /// The value at the left or lower end.
    pub low: f64,
    /// The value at the right or upper end.
    pub high: f64,
    logarithmic: bool,
    /// Values and labels.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Returns a linear axis from 0 to a number of epochs, with integers at the ticks.
    pub fn of_epochs(epochs: usize) -> Self {
        let high = epochs as f64;
        let spacing = tick_spacing(high).max(1.0);
        let ticks = (0..).map(|i| f64::from(i) * spacing).take_while(|tick| *tick <= high);
        Self {
            low: 0.0,
            high,
            logarithmic: false,
            ticks: ticks.map(|tick| (tick, trim_trailing_zeros(tick))).collect(),
        }
    }

    /// Returns a linear axis from 0 to the first tick that is not below the highest value.
    pub fn linear(curves: &[Curve]) -> Self {
        let highest = curve_values(curves).fold(f64::MIN_POSITIVE, f64::max);
        let spacing = tick_spacing(highest);
        let count = (highest / spacing - F32_TOLERANCE).ceil() as i32;
        let ticks = (0..=count)
            .map(|i| (f64::from(i) * spacing, trim_trailing_zeros(f64::from(i) * spacing)))
            .collect();
        Self { low: 0.0, high: f64::from(count) * spacing, logarithmic: false, ticks }
    }

    /// Returns a logarithmic axis that encloses all values, with ticks at round numbers, labeled by `label`.
    ///
    /// Values of 0 have no logarithm. If there are any, they have a tick of their own at the low end.
    pub fn logarithmic(curves: &[Curve], label: impl Fn(f64) -> String) -> Self {
        let (lowest, highest) = curve_values(curves)
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)));
        let (lowest, highest) = if lowest <= highest { (lowest, highest) } else { (0.1, 1.0) };
        // The mantissas, times 10, of the ticks: the finest set that has at most `MAX_LOGARITHMIC_TICKS` ticks is used.
        let tenths: Vec<u32> = (10..100).collect();
        let sets = [
            &tenths[..],
            &[10, 12, 15, 20, 25, 30, 40, 50, 60, 80],
            &[10, 20, 30, 50, 70],
            &[10, 20, 50],
            &[10],
        ];
        let decades = lowest.log10().floor() as i32 - 1..=highest.log10().ceil() as i32;
        let marks = |set: &[u32]| -> Vec<f64> {
            let all = decades
                .clone()
                .flat_map(|decade| set.iter().map(move |&m| f64::from(m) / 10.0 * 10f64.powi(decade)));
            let all: Vec<f64> = all.collect();
            let first = all.iter().rposition(|mark| *mark < lowest * (1.0 - TICK_TOLERANCE)).unwrap_or(0);
            let last = all
                .iter()
                .position(|mark| *mark >= highest * (1.0 - TICK_TOLERANCE))
                .unwrap_or(all.len() - 1);
            all[first..=last].to_vec()
        };
        let marks = sets.map(marks);
        let marks =
            marks.iter().find(|marks| marks.len() <= MAX_LOGARITHMIC_TICKS).unwrap_or(&marks[sets.len() - 1]);
        let mut ticks: Vec<_> = marks.iter().map(|&mark| (mark, label(mark))).collect();
        if curve_values(curves).any(|value| value <= 0.0) {
            ticks.insert(0, (marks[0] / 2.0, label(0.0)));
        }
        Self { low: ticks[0].0, high: ticks[ticks.len() - 1].0, logarithmic: true, ticks }
    }

    /// Exchanges the ends.
    pub fn upside_down(self) -> Self {
        Self { low: self.high, high: self.low, ..self }
    }

    /// Returns the position of `value` between the ends, from 0 to 1. A value beyond an end is moved to it.
    pub fn fraction(&self, value: f64) -> f64 {
        let value = value.clamp(self.low.min(self.high), self.low.max(self.high));
        if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

fn curve_values(curves: &[Curve]) -> impl Iterator<Item = f64> {
    curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1))
}

/// Returns the smallest of 1, 2, 5, 10, 20, 50, ... and of their fractions by powers of ten that divides the range from 0 to
/// `high` into at most six intervals.
fn tick_spacing(high: f64) -> f64 {
    let decade = 10f64.powf((high / MAX_LINEAR_TICKS).log10().floor());
    let candidates = [1.0, 2.0, 5.0].map(|factor| factor * decade);
    candidates
        .into_iter()
        .find(|spacing| high / spacing <= MAX_LINEAR_TICKS + F32_TOLERANCE)
        .unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> [Curve; 1] {
        [Curve { class: "training", dots: true, points: values.iter().map(|&value| (0.0, value)).collect() }]
    }

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn logarithmic_ticks_enclose_the_values() {
        for (values, expected) in [
            (&[0.11, 0.009][..], &["0.007", "0.01", "0.02", "0.03", "0.05", "0.07", "0.1", "0.2"][..]),
            (&[0.09, 0.003], &["0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]),
            (&[0.71, 0.5], &["0.4", "0.5", "0.6", "0.8"]),
            (&[1.0], &["0.99", "1"]),
            (&[0.4, 0.0], &["0", "0.39", "0.4"]),
            (&[0.0], &["0", "0.07", "0.1", "0.2", "0.3", "0.5", "0.7", "1"]),
            (&[3e-5, 2.0], &["1.0e-5", "0.0001", "0.001", "0.01", "0.1", "1", "10"]),
        ] {
            let axis = Axis::logarithmic(&curve(values), trim_trailing_zeros);
            assert_eq!(labels(&axis), expected, "{values:?}");
            assert_eq!((axis.fraction(axis.low), axis.fraction(axis.high)), (0.0, 1.0));
            for &value in values {
                assert!((0.0..=1.0).contains(&axis.fraction(value)), "{value} of {values:?}");
            }
        }
        let axis = Axis::logarithmic(&curve(&[0.1, 0.9]), trim_trailing_zeros).upside_down();
        assert!(axis.fraction(0.9) < 0.2 && axis.fraction(0.1) > 0.8);
        assert_eq!(axis.fraction(0.0), 1.0);
    }

    #[test]
    fn linear_ticks_are_few_and_round() {
        for (highest, expected) in [
            (f64::from(0.002f32), &["0", "0.0005", "0.001", "0.0015", "0.002"][..]),
            (0.0042, &["0", "0.001", "0.002", "0.003", "0.004", "0.005"]),
            (30.0, &["0", "5", "10", "15", "20", "25", "30"]),
        ] {
            assert_eq!(labels(&Axis::linear(&curve(&[0.0, highest]))), expected);
        }
        for (epochs, expected) in [
            (1, &["0", "1"][..]),
            (4, &["0", "1", "2", "3", "4"]),
            (13, &["0", "5", "10"]),
            (100_000, &["0", "20000", "40000", "60000", "80000", "100000"]),
        ] {
            assert_eq!(labels(&Axis::of_epochs(epochs)), expected);
        }
    }
}
