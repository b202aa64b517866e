//! Spaces between the numbers of a line.

use super::Rect;

/// Parameters of [`spaces`]. Gaps are in text heights. Empirically chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpaceParams {
    /// Gap between numbers, at least.
    pub min_gap: f64,
    /// Gap between numbers, as a multiple of the median of the line's other gaps, at least, unless it is `min_certain_gap`.
    pub min_gap_ratio: f64,
    /// Gap that is certainly one between numbers, unless all gaps of the line are alike.
    pub min_certain_gap: f64,
    /// Distance between the middles of neighbors, as a multiple of the line's smallest one, up to which all are alike: digits in
    /// boxes of their own are one number.
    pub max_regular_ratio: f64,
    /// Number of gaps, at least, that can be alike.
    pub min_regular_gaps: usize,
}

impl Default for SpaceParams {
    fn default() -> Self {
        Self {
            min_gap: 0.6,
            min_gap_ratio: 2.2,
            min_certain_gap: 1.3,
            max_regular_ratio: 1.5,
            min_regular_gaps: 2,
        }
    }
}

/// Returns for each of the bounding boxes of a line, from left to right, whether there is a space before it.
pub fn spaces(boxes: &[Rect], text_height: usize, params: &SpaceParams) -> Vec<bool> {
    let in_heights = |px: f64| px / text_height.max(1) as f64;
    let pairs = || boxes.iter().zip(boxes.iter().skip(1));
    let gaps: Vec<f64> =
        pairs().map(|(left, right)| in_heights(right.x as f64 - left.right() as f64)).collect();
    let pitches = pairs()
        .map(|(left, right)| (right.doubled_center_x() as f64 - left.doubled_center_x() as f64).max(1.0));
    let (min, max) = pitches.fold((f64::MAX, 0.0_f64), |(min, max), pitch| (min.min(pitch), max.max(pitch)));
    let is_regular = gaps.len() >= params.min_regular_gaps && max <= params.max_regular_ratio * min;
    let is_space = |index: usize| {
        let mut others: Vec<f64> = [&gaps[..index], &gaps[index + 1..]].concat();
        others.sort_by(f64::total_cmp);
        let median = others.get(others.len().saturating_sub(1) / 2).copied();
        let stands_out = median.is_some_and(|median| gaps[index] >= params.min_gap_ratio * median.max(0.0));
        !is_regular && gaps[index] >= params.min_gap && (stands_out || gaps[index] >= params.min_certain_gap)
    };
    let first = boxes.first().map(|_| false);
    first.into_iter().chain((0..gaps.len()).map(is_space)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the spaces between digits of 20 x 40 pixels with these gaps.
    fn spaces_of(gaps: &[usize]) -> Vec<bool> {
        let mut x = 10;
        let mut boxes = vec![Rect { x, y: 10, width: 20, height: 40 }];
        for gap in gaps {
            x += 20 + gap;
            boxes.push(Rect { x, y: 10, width: 20, height: 40 });
        }
        spaces(&boxes, 40, &SpaceParams::default()).split_off(1)
    }

    #[test]
    fn wide_gaps_are_spaces_unless_all_are_alike() {
        for (name, gaps, expected) in [
            ("one number", vec![8, 10, 5], vec![false, false, false]),
            ("two numbers", vec![8, 10, 40, 5], vec![false, false, true, false]),
            ("two digits far apart", vec![60], vec![true]),
            ("two digits", vec![30], vec![false]),
            ("digits in boxes", vec![60, 62, 55, 60], vec![false; 4]),
            ("touching digits", vec![0, 0, 30, 0], vec![false, false, true, false]),
            ("none", vec![], vec![]),
        ] {
            assert_eq!(spaces_of(&gaps), expected, "{name}");
        }
        assert!(spaces(&[], 40, &SpaceParams::default()).is_empty());
    }
}
