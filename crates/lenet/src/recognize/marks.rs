//! Marks between digits: which components of a line are marks.

use std::{ops::Range, sync::LazyLock};

use super::{
    Recognizer,
    classifier::Classifier,
    constraint::{Character, Charset, Constraint},
};
use crate::{
    image::{self, Component, LeftOutComponent, LeftOutReason, Line, Mark, Rect, leave_out},
    nn::argmax,
    pretrained,
};

/// Components of a line that are one mark.
pub(super) struct MarkCandidate {
    pub mark: Mark,
    /// The probability of `mark`.
    pub confidence: f32,
    /// The bounding box in the ink map.
    pub bounds: Rect,
    /// Number of pixels of ink.
    pub area: usize,
}

/// Neighboring components of a line that may be one mark.
pub(super) struct MarkHypothesis {
    /// Their indices in the line.
    pub components: Range<usize>,
    /// The probability of each mark.
    pub probabilities: [f32; Mark::ALL.len()],
}

/// The marks of a line.
#[derive(Default)]
pub(super) struct LineMarks {
    /// The marks that were removed from the line, from left to right.
    pub marks: Vec<MarkCandidate>,
    /// What may be a mark, where the best path that meets a constraint decides it.
    pub hypotheses: Vec<MarkHypothesis>,
}

impl Recognizer {
    /// Returns whether a mark is too doubtful for the text. Those that meet a constraint are not.
    pub(super) fn is_doubtful_mark(&self, mark: &MarkCandidate) -> bool {
        mark.confidence < self.params.mark_decision.min_certain_probability
            && !self.decides_marks_by_constraint()
    }

    /// Returns whether a constraint says which marks there may be.
    pub(super) fn decides_marks_by_constraint(&self) -> bool {
        self.constraint.as_ref().is_some_and(|constraint| constraint.characters().is_some())
    }

    /// Removes the marks from lines and returns those of each line. If a constraint says which marks there may be, what may be one is
    /// not removed. Points are also found among the specks of `left_out`.
    pub(super) fn take_marks(
        &self,
        lines: &mut Vec<Line>,
        left_out: &mut Vec<LeftOutComponent>,
    ) -> Vec<LineMarks> {
        let params = &self.params.marks;
        image::join_hanging_commas(lines, params);
        left_out.extend(lines.iter_mut().flat_map(image::leave_out_zero_slashes));
        let specks = image::take_points(lines, left_out, params);
        // One batch for all lines.
        let (mut windows, mut budget) = (Vec::new(), params.max_groups);
        let groups: Vec<_> =
            lines.iter().map(|line| self.mark_windows(line, &mut budget, &mut windows)).collect();
        let mut probabilities = mark_classifier().classify(&windows).into_iter();
        let charset = self.constraint.as_deref().and_then(Constraint::characters);
        let mut marks = Vec::new();
        for (line, groups) in lines.iter_mut().zip(groups) {
            let probabilities = probabilities.by_ref().take(groups.len());
            let classified: Vec<_> = groups.into_iter().zip(probabilities).collect();
            marks.push(match charset {
                Some(charset) => {
                    let hypotheses = classified.into_iter().filter_map(|it| mark_hypothesis(it, charset));
                    LineMarks { marks: Vec::new(), hypotheses: hypotheses.collect() }
                }
                None => {
                    LineMarks { marks: self.take_marks_of_line(line, classified), hypotheses: Vec::new() }
                }
            });
        }
        if charset.is_none() && !specks.is_empty() {
            // What is no point is a speck again.
            for line in lines.iter_mut() {
                leave_out(&mut line.components, left_out, LeftOutReason::Speck, |component| {
                    specks.contains(component)
                });
            }
        }
        marks
    }

    /// Returns the groups of components of a line that may be marks, and appends their windows to `windows`. Returns none if the
    /// line has more than `budget`, which is reduced by those that it has.
    fn mark_windows(&self, line: &Line, budget: &mut usize, windows: &mut Vec<u8>) -> Vec<Vec<usize>> {
        let params = &self.params.marks;
        // A mark stands beside a digit.
        if line.components.len() < 2 || line.components.len() > *budget {
            return Vec::new();
        }
        let mut groups = image::mark_groups(&line.components, line.height, params);
        if groups.len() > *budget {
            return Vec::new();
        }
        *budget -= groups.len();
        groups.retain(|group| {
            let window = image::mark_window(&line.components, group, line.height, params);
            windows.extend(window.iter().flatten());
            window.is_some()
        });
        groups
    }

    /// Removes the groups of components from a line that are marks, by their probabilities. Groups of several components come
    /// before their parts. If nothing of a digit's height would be left, the line is not of marks.
    fn take_marks_of_line(
        &self,
        line: &mut Line,
        mut classified: Vec<(Vec<usize>, [f32; Mark::ALL.len()])>,
    ) -> Vec<MarkCandidate> {
        let params = &self.params.mark_decision;
        classified.sort_by_key(|(group, _)| std::cmp::Reverse(group.len()));
        let min_height = self.params.marks.min_digit_height * line.height as f64;
        let is_tall = |component: &Component| component.bounds().height as f64 >= min_height;
        let mut is_mark = vec![false; line.components.len()];
        let mut marks = Vec::new();
        for (group, probabilities) in classified {
            let class = usize::from(argmax(&probabilities));
            let (mark, confidence) = (Mark::ALL[class], probabilities[class]);
            let components = || group.iter().map(|&index| &line.components[index]);
            let min_probability =
                if components().any(is_tall) { params.min_tall_probability } else { params.min_probability };
            let has_digit = |range: &[Component]| range.iter().any(is_tall);
            let (first, last) = (group.iter().min(), group.iter().max());
            let is_between = first.is_some_and(|&first| has_digit(&line.components[..first]))
                && last.is_some_and(|&last| has_digit(&line.components[last + 1..]));
            if confidence < min_probability
                || (mark.is_between_digits() && !is_between)
                || group.iter().any(|&index| is_mark[index])
            {
                continue;
            }
            group.iter().for_each(|&index| is_mark[index] = true);
            let bounds = components().map(Component::bounds).reduce(|a, b| a.union(&b));
            marks.extend(bounds.map(|bounds| MarkCandidate {
                mark,
                confidence,
                bounds,
                area: components().map(Component::area).sum(),
            }));
        }
        let mut others = line.components.iter().zip(&is_mark).filter(|(_, is_mark)| !**is_mark);
        if !others.any(|(component, _)| is_tall(component)) {
            return Vec::new();
        }
        let mut is_mark = is_mark.into_iter();
        line.components.retain(|_| is_mark.next() == Some(false));
        marks.sort_by_key(|mark| mark.bounds.doubled_center_x());
        marks
    }
}

/// Returns the hypothesis that components are one of the marks of a set, or `None` if they are not next to each other.
fn mark_hypothesis(
    (mut group, mut probabilities): (Vec<usize>, [f32; Mark::ALL.len()]),
    charset: Charset,
) -> Option<MarkHypothesis> {
    for (mark, probability) in Mark::ALL.into_iter().zip(&mut probabilities) {
        if !charset.contains(Character::Mark(mark)) {
            *probability = 0.0;
        }
    }
    group.sort_unstable();
    let components = *group.first()?..group.last()? + 1;
    (components.len() == group.len()).then_some(MarkHypothesis { components, probabilities })
}

/// Returns the classifier of marks, decoded for the first picture that has several components.
fn mark_classifier() -> &'static Classifier<{ Mark::ALL.len() }> {
    static CLASSIFIER: LazyLock<Classifier<{ Mark::ALL.len() }>> =
        LazyLock::new(|| Classifier::new(pretrained::marks().0));
    &CLASSIFIER
}
