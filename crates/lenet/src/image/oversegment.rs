//! Pieces that may be several digits.

use super::{Component, Rect, components::Run};

/// Cuts for each part as wide as it is high, at most.
const CUTS: usize = 8;

/// Cuts a part between columns where that parts least ink, into slices from left to right: digits, or pieces of one.
pub fn oversegment(part: &Component) -> Vec<Component> {
    let Rect { x: left, width, height, .. } = part.bounds;
    // For each column its ink, and how much of that hangs together with the column before.
    let (mut ink, mut joined) = (vec![0; width], vec![0; width]);
    for run in &part.runs {
        let columns = run.x - left..run.end - left;
        ink[columns.clone()].iter_mut().for_each(|count| *count += 1);
        joined[columns].iter_mut().skip(1).for_each(|count| *count += 1);
    }
    // The ink before each column, and all.
    let mut before = vec![0];
    before.extend(ink.iter().scan(0, |sum, ink| {
        *sum += ink;
        Some(*sum)
    }));
    // The ink of a sixteenth of the height, on the mean: with less nothing is a digit, not even a 1.
    let least = (before[width] * height / (16 * width)).max(1);
    // Digits touch at a stroke, or along a part of one: what hangs together over more is a bar, or a shadow.
    let mut columns: Vec<usize> = (1..width).filter(|&x| 5 * joined[x] <= 3 * height).collect();
    columns.sort_by_key(|&x| (joined[x], x.abs_diff(width / 2)));
    let mut cuts = vec![0, width];
    for x in columns {
        let apart = |&cut: &usize| before[cut].abs_diff(before[x]) >= least;
        if (cuts.len() - 2) * height < CUTS * width && cuts.iter().all(apart) {
            cuts.push(x);
        }
    }
    cuts.sort_unstable();
    cuts.windows(2).filter_map(|pair| slice(part, left + pair[0], left + pair[1])).collect()
}

/// The ink of a part in the columns from `start` to before `end`, if any.
fn slice(part: &Component, start: usize, end: usize) -> Option<Component> {
    let clip = |run: &Run| Run { x: run.x.max(start), end: run.end.min(end), ..*run };
    Component::new(part.runs.iter().map(clip).filter(|run| run.x < run.end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rings_that_touch_can_be_cut_where_they_do() {
        // Two rings of 20 x 20 that share the column 19.
        let inner = 3..17;
        let ring = move |x: usize, y: usize| x < 20 && y < 20 && !(inner.contains(&x) && inner.contains(&y));
        let runs = (0..20).flat_map(|y| {
            let ring = ring.clone();
            (0..39).filter(move |&x| ring(x, y) || (x >= 19 && ring(x - 19, y))).map(move |x| Run {
                y,
                x,
                end: x + 1,
            })
        });
        let part = Component::new(runs.collect()).unwrap();
        let slices = oversegment(&part);
        assert_eq!(slices.iter().map(Component::area).sum::<usize>(), part.area());
        assert!(slices.windows(2).all(|pair| pair[0].bounds.right() <= pair[1].bounds.x));
        assert!(slices.iter().all(|slice| 16 * 39 * slice.area() > 20 * part.area() - 16 * 39));
        assert!([18, 19, 20].iter().any(|&x| slices.iter().any(|slice| slice.bounds.x == x)));
        assert!(slices.len() > 4 && slices.len() <= 1 + CUTS * 2);
    }

    #[test]
    fn a_dot_and_a_bar_are_not_cut() {
        for (width, height) in [(1, 1), (60, 20)] {
            let part = Component::new((0..height).map(|y| Run { y, x: 0, end: width }).collect()).unwrap();
            assert_eq!(oversegment(&part), [part]);
        }
    }
}
