//! Numbers and results as text.

use lenet::metrics::Evaluation;

/// Mistakes that are shown, at most.
pub const MAX_MISTAKES_SHOWN: usize = 48;

/// Formats a fraction as a percentage with two decimals, such as `98.87%`.
pub fn percent(fraction: f64) -> String {
    format!("{:.2}%", 100.0 * fraction)
}

/// Formats a fraction like [`percent`], and an undefined one as `-`.
pub fn percent_or_dash(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "-".to_owned(), percent)
}

/// Formats the accuracy with its interval: `accuracy 98.87% (95% interval 98.64% to 99.06%), 9887 of 10000`.
pub fn accuracy_line(evaluation: &Evaluation) -> String {
    let (low, high) = evaluation.wilson_interval();
    format!(
        "accuracy {} (95% interval {} to {}), {} of {}",
        percent(evaluation.accuracy()),
        percent(low),
        percent(high),
        evaluation.correct(),
        evaluation.total()
    )
}

/// Formats an integer with a comma between groups of three digits, such as `616,520`.
pub fn with_thousands_separators(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Formats a number with at most five decimals and no trailing zeros, and a tiny one as `3.0e-5`.
pub fn trim_trailing_zeros(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-4 {
        return format!("{number:.1e}");
    }
    let text = format!("{number:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats a duration in seconds as `12.3 s`, or as `1h 2m 3s` from a minute on.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    humantime::format_duration(std::time::Duration::from_secs(seconds.round() as u64)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_durations_in_seconds_or_units() {
        assert_eq!([12.34, 60.2, 3723.0].map(duration), ["12.3 s", "1m", "1h 2m 3s"]);
    }

    #[test]
    fn groups_digits_by_three() {
        assert_eq!(
            [0, 999, 1000, 616_520, 25_109_952].map(with_thousands_separators),
            ["0", "999", "1,000", "616,520", "25,109,952"]
        );
    }
}
