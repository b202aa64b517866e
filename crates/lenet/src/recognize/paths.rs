//! The best paths through the hypotheses of a line, under a constraint if there is one.

use std::collections::HashMap;

use super::{
    constraint::{Character, Constraint, State},
    lattice::{Hypothesis, Meaning},
    params::PathParams,
};

/// A path: hypotheses that cover each segment of a line once.
pub(super) struct Path {
    /// The indices of its hypotheses, from left to right.
    pub hypotheses: Vec<usize>,
    /// The sum of the scores of its hypotheses.
    pub score: f32,
}

/// The end of a partial path. Paths with the same start share its nodes.
struct Node {
    score: f32,
    state: Option<State>,
    /// The last hypothesis and the node before it; `None` at the start of the line.
    last: Option<(usize, usize)>,
}

/// Returns the best paths to the last of `boundaries` boundaries between segments, from the best to the worst. Hypotheses are sorted
/// by their start.
///
/// This is the Viterbi algorithm over pairs of a boundary and a state of the constraint, with the `params.paths_per_state` best
/// partial paths of each pair instead of one.
pub(super) fn best_paths(
    hypotheses: &[Hypothesis],
    boundaries: usize,
    constraint: Option<&Constraint>,
    params: &PathParams,
) -> Vec<Path> {
    let mut nodes = vec![Node { score: 0.0, state: constraint.map(Constraint::start), last: None }];
    let mut nodes_at = vec![Vec::new(); boundaries];
    nodes_at[0].push(0);
    let mut next = hypotheses.iter().enumerate().peekable();
    for boundary in 0..boundaries - 1 {
        let from = keep_best(std::mem::take(&mut nodes_at[boundary]), &nodes, params);
        while let Some((index, hypothesis)) = next.next_if(|(_, it)| it.span.start == boundary) {
            for &node in &from {
                let Some(state) = step(constraint, nodes[node].state, hypothesis.meaning) else { continue };
                let score = nodes[node].score + hypothesis.score;
                nodes_at[hypothesis.span.end].push(nodes.len());
                nodes.push(Node { score, state, last: Some((index, node)) });
            }
        }
    }
    let mut complete = nodes_at.swap_remove(boundaries - 1);
    complete.retain(|&node| match (constraint, &nodes[node].state) {
        (Some(constraint), Some(state)) => constraint.accepts(state),
        _ => true,
    });
    complete.sort_by(|&a, &b| nodes[b].score.total_cmp(&nodes[a].score));
    complete.truncate(params.max_paths);
    let path = |end: usize| {
        let steps = std::iter::successors(nodes[end].last, |&(_, node)| nodes[node].last);
        let mut hypotheses: Vec<_> = steps.map(|(hypothesis, _)| hypothesis).collect();
        hypotheses.reverse();
        Path { hypotheses, score: nodes[end].score }
    };
    complete.into_iter().map(path).collect()
}

/// Returns the state after a hypothesis, or `None` if the constraint excludes it. The state is `None` without a constraint.
fn step(constraint: Option<&Constraint>, state: Option<State>, meaning: Meaning) -> Option<Option<State>> {
    let (Some(constraint), Some(state)) = (constraint, state) else { return Some(None) };
    let character = match meaning {
        Meaning::Digit { digit, .. } => Character::Digit(digit),
        Meaning::Mark { mark, .. } => Character::Mark(mark),
        Meaning::Fragment { .. } => return Some(Some(state)),
    };
    constraint.step(&state, character).map(Some)
}

/// Returns the best nodes of each state, and of all states at most `params.max_nodes`, from the best to the worst, without those
/// that are much worse than the best.
fn keep_best(mut at: Vec<usize>, nodes: &[Node], params: &PathParams) -> Vec<usize> {
    let best = at.iter().map(|&node| nodes[node].score).fold(f32::NEG_INFINITY, f32::max);
    at.retain(|&node| nodes[node].score >= best - params.max_score_gap);
    at.sort_by(|&a, &b| nodes[b].score.total_cmp(&nodes[a].score));
    let mut counts: HashMap<Option<State>, usize> = HashMap::new();
    at.retain(|&node| {
        let count = counts.entry(nodes[node].state).or_default();
        *count += 1;
        *count <= params.paths_per_state
    });
    at.truncate(params.max_nodes);
    at
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::image::Mark;

    const SEGMENTS: usize = 5;

    /// Returns hypotheses of spans of one or two segments.
    fn random_hypotheses(random: &mut Rng) -> Vec<Hypothesis> {
        let mut hypotheses = Vec::new();
        for start in 0..SEGMENTS {
            for _ in 0..random.usize(1..6) {
                let end = (start + random.usize(1..=2)).min(SEGMENTS);
                let meaning = match random.u8(..8) {
                    0 => Meaning::Mark { mark: Mark::Slash, confidence: 0.5 },
                    1 => Meaning::Fragment { candidate: 0 },
                    _ => Meaning::Digit { digit: random.u8(..10), candidate: 0 },
                };
                hypotheses.push(Hypothesis { span: start..end, meaning, score: -random.f32() });
            }
        }
        hypotheses
    }

    /// Returns the scores of all paths that meet a constraint, from the highest to the lowest, by enumeration.
    fn scores_of_all_paths(hypotheses: &[Hypothesis], constraint: &Constraint) -> Vec<f32> {
        let mut partial = vec![(0, String::new(), 0.0)];
        let mut scores = Vec::new();
        while let Some((at, text, score)) = partial.pop() {
            if at == SEGMENTS {
                scores.extend(constraint.is_met_by(&text).then_some(score));
            }
            for hypothesis in hypotheses.iter().filter(|hypothesis| hypothesis.span.start == at) {
                let character = match hypothesis.meaning {
                    Meaning::Digit { digit, .. } => digit.to_string(),
                    Meaning::Mark { mark, .. } => mark.to_string(),
                    Meaning::Fragment { .. } => String::new(),
                };
                partial.push((hypothesis.span.end, text.clone() + &character, score + hypothesis.score));
            }
        }
        scores.sort_by(|a, b| b.total_cmp(a));
        scores
    }

    #[test]
    fn best_paths_are_those_of_an_enumeration() {
        let mut random = Rng::with_seed(0);
        let constraints = [
            Constraint::default(),
            Constraint { pattern: Some("d/?d{1,3}".parse().unwrap()), ..Constraint::default() },
            Constraint { checksum: Some("luhn".parse().unwrap()), ..Constraint::default() },
            Constraint {
                length: Some("3-4".parse().unwrap()),
                checksum: Some("mod11".parse().unwrap()),
                charset: Some("0123456789".parse().unwrap()),
                ..Constraint::default()
            },
        ];
        let params = PathParams { paths_per_state: 4, max_nodes: 4096, max_score_gap: 100.0, max_paths: 4 };
        let mut met = 0;
        for _ in 0..200 {
            let hypotheses = random_hypotheses(&mut random);
            for constraint in &constraints {
                let expected = scores_of_all_paths(&hypotheses, constraint);
                let constrained = (*constraint != Constraint::default()).then_some(constraint);
                let paths = best_paths(&hypotheses, SEGMENTS + 1, constrained, &params);
                assert_eq!(paths.len(), expected.len().min(4));
                for (path, expected) in paths.iter().zip(&expected) {
                    assert!((path.score - expected).abs() < 1e-5, "{} instead of {expected}", path.score);
                    let sum: f32 = path.hypotheses.iter().map(|&index| hypotheses[index].score).sum();
                    assert!((path.score - sum).abs() < 1e-5);
                }
                met += usize::from(!expected.is_empty());
            }
        }
        assert!(met > 400, "{met}");
    }
}
