//! The segmentation lattice of a line: which components are cut, which neighboring segments may form one digit, and what each of
//! them may be.

use std::ops::Range;

use super::{
    candidate::Candidate,
    marks::MarkHypothesis,
    params::{LatticeParams, RecognizerParams, ScoreParams},
};
use crate::image::{self, Component, Mark, Rect, Stage, Stages};

/// The segmentation lattice of a line.
pub(super) struct Lattice {
    /// From left to right.
    pub segments: Vec<Segment>,
    /// Runs of neighboring segments that may be one digit, in the order of their first segments.
    pub spans: Vec<Range<usize>>,
}

/// A component, or a slice of one.
pub(super) struct Segment {
    pub component: Component,
    /// The component's index in the line.
    component_index: usize,
    /// Number of segments of the component.
    segments_of_component: usize,
    /// Whether the whole component is certainly a digit.
    is_certain: bool,
    /// Whether the whole component is lower than a digit.
    is_below_digit_height: bool,
}

/// What a span may be.
pub(super) struct Hypothesis {
    pub span: Range<usize>,
    pub meaning: Meaning,
    /// A logarithm of a probability, less the costs of improbable shapes.
    pub score: f32,
}

/// What a span of segments means. `candidate` is the index of the span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Digit {
        digit: u8,
        candidate: usize,
    },
    Mark {
        mark: Mark,
        confidence: f32,
    },
    /// A low component that is neither.
    Fragment {
        candidate: usize,
    },
}

impl Lattice {
    /// Makes the lattice of a line of which each component is one digit.
    pub fn of_components(line: Vec<Component>) -> Self {
        let segment = |(component_index, component)| Segment {
            component,
            component_index,
            segments_of_component: 1,
            is_certain: false,
            is_below_digit_height: false,
        };
        let segments: Vec<_> = line.into_iter().enumerate().map(segment).collect();
        let spans = (0..segments.len()).map(|index| index..index + 1).collect();
        Self { segments, spans }
    }

    /// Makes the lattice of a line that is one digit.
    pub fn of_one_digit(line: Vec<Component>) -> Self {
        let lattice = Self::of_components(line);
        let whole = Some(0..lattice.segments.len()).filter(|span| !span.is_empty());
        Self { spans: whole.into_iter().collect(), ..lattice }
    }

    /// Cuts the components of a line where they may be several digits, and lists the spans. `per_component` has each component
    /// as a candidate.
    pub fn new(
        line: Vec<Component>,
        per_component: &[Candidate],
        text_height: usize,
        params: &RecognizerParams,
        stages: Stages,
    ) -> Self {
        let mut segments = Vec::new();
        for (component_index, (component, candidate)) in line.into_iter().zip(per_component).enumerate() {
            let is_certain = candidate.is_certain(text_height, &params.lattice);
            let is_below_digit_height = candidate.is_below_digit_height(text_height, &params.lattice);
            let may_be_several =
                !(is_certain || is_below_digit_height) && has_split_aspect(&component, &params.lattice);
            let slices = if stages.contains(Stage::Split) && may_be_several {
                image::oversegment(&component, &params.oversegment)
            } else {
                vec![component]
            };
            let segments_of_component = slices.len();
            segments.extend(slices.into_iter().map(|component| Segment {
                component,
                component_index,
                segments_of_component,
                is_certain,
                is_below_digit_height,
            }));
        }
        let spans = candidate_spans(&segments, text_height, &params.lattice, stages);
        Self { segments, spans }
    }

    /// Returns the components of each span.
    pub fn span_components(&self) -> impl Iterator<Item = Vec<&Component>> {
        self.spans
            .iter()
            .map(|span| self.segments[span.clone()].iter().map(|segment| &segment.component).collect())
    }

    /// Returns what each span may be, by the start of the span. `candidates` has one for each span. Candidates that are no whole
    /// component are penalized where `is_doubtful`.
    ///
    /// Without a constraint, whole components may also be outliers. With one, there are no outliers, low components may be left
    /// out, and groups of neighboring components may be marks: `constrained_marks` has those that may occur.
    pub fn hypotheses(
        &self,
        candidates: &[Candidate],
        constrained_marks: Option<&[MarkHypothesis]>,
        text_height: usize,
        params: &ScoreParams,
        is_doubtful: impl Fn(&Candidate) -> bool,
    ) -> Vec<Hypothesis> {
        let marks = constrained_marks.unwrap_or_default();
        // For each component.
        let mut no_mark_scores = vec![0.0; self.segments.last().map_or(0, |last| last.component_index + 1)];
        for MarkHypothesis { components, probabilities } in marks.iter().filter(|it| it.components.len() == 1)
        {
            let no_mark = 1.0 - probabilities.iter().sum::<f32>();
            no_mark_scores[components.start] = no_mark.max(params.min_probability).ln();
        }
        let mut hypotheses = Vec::new();
        for (candidate_index, (span, candidate)) in self.spans.iter().zip(candidates).enumerate() {
            let is_whole_component = self.is_whole_component(span);
            let is_penalized = !is_whole_component && is_doubtful(candidate);
            let (first, last) = (&self.segments[span.start], &self.segments[span.end - 1]);
            let no_mark: f32 = no_mark_scores[first.component_index..=last.component_index].iter().sum();
            for digit in candidate.probable_digits(params.min_probability) {
                let mut score = candidate.digit_score(digit, text_height, params) + no_mark;
                if is_penalized {
                    score -= params.doubtful_segment_cost;
                }
                if is_whole_component && digit == candidate.digit && constrained_marks.is_none() {
                    score = score.max(candidate.outlier_log_prior(params));
                }
                let meaning = Meaning::Digit { digit, candidate: candidate_index };
                hypotheses.push(Hypothesis { span: span.clone(), meaning, score });
            }
            if is_whole_component && first.is_below_digit_height && constrained_marks.is_some() {
                let score = no_mark + params.fragment_log_prior;
                let meaning = Meaning::Fragment { candidate: candidate_index };
                hypotheses.push(Hypothesis { span: span.clone(), meaning, score });
            }
        }
        for MarkHypothesis { components, probabilities } in marks {
            let boundary = |component: usize| {
                self.segments.partition_point(|segment| segment.component_index < component)
            };
            let span = boundary(components.start)..boundary(components.end);
            // Also improbable ones, because a pattern may require them.
            for (mark, &confidence) in Mark::ALL.into_iter().zip(probabilities) {
                let score = confidence.max(params.min_probability).ln() - params.digit_cost;
                let meaning = Meaning::Mark { mark, confidence };
                hypotheses.push(Hypothesis { span: span.clone(), meaning, score });
            }
        }
        hypotheses.sort_by_key(|hypothesis| hypothesis.span.start);
        hypotheses
    }

    /// Returns the bounding box of a span in the ink map.
    pub fn bounds(&self, span: &Range<usize>) -> Rect {
        let bounds = self.segments[span.clone()].iter().map(|segment| segment.component.bounds());
        // A span has at least one segment.
        bounds.reduce(|a, b| a.union(&b)).expect("segments")
    }

    /// Returns the number of pixels of ink of a span.
    pub fn area(&self, span: &Range<usize>) -> usize {
        self.segments[span.clone()].iter().map(|segment| segment.component.area()).sum()
    }

    fn is_whole_component(&self, span: &Range<usize>) -> bool {
        let (first, last) = (&self.segments[span.start], &self.segments[span.end - 1]);
        first.component_index == last.component_index && span.len() == first.segments_of_component
    }
}

/// Returns whether a component is wide enough to be several digits, and not too long.
fn has_split_aspect(component: &Component, params: &LatticeParams) -> bool {
    let bounds = component.bounds();
    bounds.width as f64 >= params.min_split_aspect * bounds.height as f64
        && bounds.width <= params.max_split_aspect * bounds.height
}

/// Returns the spans that may be one digit: each segment, neighbors that can be joined up to the largest aspect ratio, and each
/// whole component, because it may be one digit or an outlier however wide it is.
fn candidate_spans(
    segments: &[Segment],
    text_height: usize,
    params: &LatticeParams,
    stages: Stages,
) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for start in 0..segments.len() {
        let mut bounds = segments[start].component.bounds();
        spans.push(start..start + 1);
        for end in start + 1..segments.len() {
            bounds = bounds.union(&segments[end].component.bounds());
            let max_width = params.max_candidate_aspect * text_height.max(bounds.height) as f64;
            if bounds.width as f64 > max_width
                || !can_join(&segments[end - 1], &segments[end], text_height, params, stages)
            {
                break;
            }
            spans.push(start..end + 1);
        }
        let starts_component =
            start == 0 || segments[start - 1].component_index < segments[start].component_index;
        let component_end = start + segments[start].segments_of_component;
        if starts_component && spans.last().is_some_and(|last| last.end < component_end) {
            spans.push(start..component_end);
        }
    }
    spans
}

/// Returns whether two neighboring segments may belong to one digit: they are slices of one component, or they are near each
/// other, and one of them is uncertain or low, or they are stacked.
fn can_join(
    left: &Segment,
    right: &Segment,
    text_height: usize,
    params: &LatticeParams,
    stages: Stages,
) -> bool {
    if left.component_index == right.component_index {
        return true;
    }
    let (a, b) = (left.component.bounds(), right.component.bounds());
    let gap = b.x.saturating_sub(a.right()) as f64 / text_height as f64;
    let overlap = a.right().saturating_sub(b.x) as f64;
    let are_stacked = overlap > params.min_stacked_overlap * a.width.min(b.width) as f64;
    let are_uncertain = !(left.is_certain && right.is_certain) && gap <= params.max_uncertain_join_gap;
    stages.contains(Stage::Join)
        && gap <= params.max_join_gap
        && (left.is_below_digit_height || right.is_below_digit_height || are_stacked || are_uncertain)
}
