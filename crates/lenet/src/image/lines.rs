//! Lines of text.

use super::{Component, Rect};

/// Groups parts that stand side by side into lines: the lines from top to bottom, the parts of each from left to right.
/// A line may slope: a part belongs to that whose last part before it overlaps it most in height.
pub fn lines(mut parts: Vec<Component>, height: usize) -> Vec<Vec<Component>> {
    parts.sort_by_key(|part| (2 * part.bounds.x + part.bounds.width, part.bounds.y));
    // What is low, such as the bar of a 5, is placed when the lines stand.
    let (parts, low): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| 2 * part.bounds.height >= height);
    let mut lines: Vec<Vec<Component>> = Vec::new();
    for part in parts {
        let overlap =
            |line: &Vec<Component>| line.last().map_or(0.0, |last| overlap(&last.bounds, &part.bounds));
        match lines.iter_mut().max_by(|a, b| overlap(a).total_cmp(&overlap(b))) {
            Some(line) if overlap(line) > 0.4 => line.push(part),
            _ => lines.push(vec![part]),
        }
    }
    for part in low {
        let distance = |other: &Component| (distance(&part.bounds, &other.bounds), other.bounds.x);
        let nearest = |line: &Vec<Component>| line.iter().map(distance).min();
        match lines.iter_mut().filter(|line| nearest(line).is_some()).min_by_key(|line| nearest(line)) {
            Some(line) if nearest(line).is_some_and(|(distance, _)| 2 * distance < height) => {
                let at = line.partition_point(|other| other.bounds.x <= part.bounds.x);
                line.insert(at, part);
            }
            _ => (),
        }
    }
    lines.sort_by_key(|line| {
        line.iter().map(|part| 2 * part.bounds.y + part.bounds.height).sum::<usize>() / line.len()
    });
    lines
}

/// How much of the lower of two rectangles is beside the other.
fn overlap(a: &Rect, b: &Rect) -> f32 {
    let common = a.bottom().min(b.bottom()).saturating_sub(a.y.max(b.y));
    common as f32 / a.height.min(b.height) as f32
}

/// Pixels between two rectangles, along the axis where there are more.
fn distance(a: &Rect, b: &Rect) -> usize {
    let gap =
        |a: usize, a_end: usize, b: usize, b_end: usize| b.saturating_sub(a_end).max(a.saturating_sub(b_end));
    gap(a.x, a.right(), b.x, b.right()).max(gap(a.y, a.bottom(), b.y, b.bottom()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::components::Run;

    fn part([x, y, width, height]: [usize; 4]) -> Component {
        Component::new((y..y + height).map(|y| Run { y, x, end: x + width }).collect()).unwrap()
    }

    #[test]
    fn lines_go_down_and_parts_to_the_right_also_where_they_slope() {
        let upper = (0..6).map(|digit| [30 * digit, 40 - 6 * digit, 15, 20]);
        let lower = (0..6).map(|digit| [30 * digit + 4, 80 - 6 * digit, 15, 20]);
        let mut boxes: Vec<_> = upper.clone().chain(lower.clone()).collect();
        fastrand::Rng::with_seed(3).shuffle(&mut boxes);
        let found: Vec<Vec<[usize; 4]>> = lines(boxes.into_iter().map(part).collect(), 20)
            .iter()
            .map(|line| line.iter().map(|part| part.bounds.into()).collect())
            .collect();
        assert_eq!(found, [upper.collect::<Vec<_>>(), lower.collect()]);
    }

    #[test]
    fn a_low_piece_belongs_to_the_digit_beside_it_and_to_none_far_away() {
        let digits = [[0, 10, 12, 20], [30, 10, 12, 20]];
        let (bar, dot) = ([40, 6, 8, 3], [200, 80, 4, 4]);
        let found = lines([digits[0], digits[1], bar, dot].map(part).to_vec(), 20);
        assert_eq!(found, [[digits[0], digits[1], bar].map(part).to_vec()]);
    }
}
