//! The segmentation lattice of a line: which components are cut, which neighboring segments may form one digit, and the best
//! path through the candidates.

use std::ops::Range;

use super::{
    candidate::Candidate,
    params::{LatticeParams, RecognizerParams, ScoreParams},
};
use crate::image::{self, Component, Stage, Stages};

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

impl Lattice {
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

    /// Returns the candidates of the path with the highest score, where a path covers each segment once. `candidates` has one
    /// for each span. Whole components may also be outliers; candidates of other spans are penalized where `is_doubtful`.
    ///
    /// This is the Viterbi algorithm over the segment boundaries.
    pub fn best_path(
        &self,
        candidates: Vec<Candidate>,
        text_height: usize,
        params: &ScoreParams,
        is_doubtful: impl Fn(&Candidate) -> bool,
    ) -> Vec<Candidate> {
        // For each boundary the best score of the segments before it, and the index of the last span.
        let mut best = vec![(f32::NEG_INFINITY, 0); self.segments.len() + 1];
        best[0].0 = 0.0;
        for (index, (span, candidate)) in self.spans.iter().zip(&candidates).enumerate() {
            let mut score = candidate.digit_score(text_height, params);
            if self.is_whole_component(span) {
                score = score.max(candidate.outlier_log_prior(params));
            } else if is_doubtful(candidate) {
                score -= params.doubtful_segment_cost;
            }
            let score = best[span.start].0 + score;
            if score > best[span.end].0 {
                best[span.end] = (score, index);
            }
        }
        let mut is_on_path = vec![false; self.spans.len()];
        let mut end = self.segments.len();
        while end > 0 {
            let (_, span) = best[end];
            is_on_path[span] = true;
            end = self.spans[span].start;
        }
        candidates.into_iter().zip(is_on_path).filter(|(_, chosen)| *chosen).map(|(it, _)| it).collect()
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
