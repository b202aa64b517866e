//! The confusion matrix and the most frequent mistakes.

use std::cmp::Reverse;

use lenet::{CLASSES, metrics::Evaluation};
use maud::{Markup, html};

/// Pairs in the list of frequent mistakes, at most.
const MAX_CONFUSED_PAIRS: usize = 8;

/// Returns the confusion matrix and the pairs of digits that are confused most often, in HTML.
pub fn confusion_matrix(evaluation: &Evaluation) -> String {
    html! { (matrix(evaluation)) (most_frequent_mistakes(evaluation)) }.into_string()
}

/// Renders the confusion matrix, with the recall of each digit at the end of its row and the precision of each prediction at
/// the end of its column.
pub fn matrix(evaluation: &Evaluation) -> Markup {
    let matrix = evaluation.confusion_matrix();
    let max_mistakes = off_diagonal_counts(evaluation).map(|(count, ..)| count).max().unwrap_or(0).max(1);
    let percentage = |fraction: Option<f64>| {
        fraction.map_or_else(|| "-".to_owned(), |fraction| format!("{:.1}", 100.0 * fraction))
    };
    html! {
        table.confusion {
            caption { "columns: prediction" }
            thead { tr {
                td.corner { "digit" }
                @for predicted in 0..CLASSES { th scope="col" { (predicted) } }
                th scope="col" { "recall %" }
            } }
            tbody { @for (label, counts) in matrix.iter().enumerate() { tr {
                th scope="row" { (label) }
                @for (predicted, &count) in counts.iter().enumerate() {
                    @if count == 0 {
                        td.none { "·" }
                    } @else if predicted == label {
                        @let recall = evaluation.recall(label).unwrap_or(0.0);
                        td.right style={ "--part:" (format!("{recall:.3}")) } { (count) }
                    } @else {
                        td.wrong style={ "--part:" (format!("{:.3}", count as f64 / max_mistakes as f64)) } { (count) }
                    }
                }
                td.share { (percentage(evaluation.recall(label))) }
            } } }
            tfoot { tr {
                th scope="row" { "precision %" }
                @for predicted in 0..CLASSES { td.share { (percentage(evaluation.precision(predicted))) } }
                td {}
            } }
        }
    }
}

/// Renders the pairs of digits that are confused most often.
pub fn most_frequent_mistakes(evaluation: &Evaluation) -> Markup {
    let mut pairs: Vec<_> = off_diagonal_counts(evaluation).filter(|(count, ..)| *count > 0).collect();
    // The sort is stable, so that pairs with the same count stay in the order of their digits.
    pairs.sort_by_key(|(count, ..)| Reverse(*count));
    html! {
        aside { @if !pairs.is_empty() {
            "Most frequent mistakes"
            ol { @for (count, label, predicted) in pairs.iter().take(MAX_CONFUSED_PAIRS) {
                li { span { (label) " read as " (predicted) } span.soft { (count) } }
            } }
        } }
    }
}

/// Returns the count, the label and the prediction of each cell off the diagonal.
fn off_diagonal_counts(evaluation: &Evaluation) -> impl Iterator<Item = (usize, usize, usize)> {
    let matrix = evaluation.confusion_matrix();
    (0..CLASSES)
        .flat_map(|label| (0..CLASSES).map(move |predicted| (label, predicted)))
        .filter(|(label, predicted)| label != predicted)
        .map(move |(label, predicted)| (matrix[label][predicted], label, predicted))
}
