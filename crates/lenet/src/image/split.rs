//! Pieces that may be several digits.

use super::{Bounds, Part, parts::Run};

/// Cuts for each part as wide as it is high, at most.
const CUTS: usize = 5;

/// Cuts a part where its columns have least ink, into slices from left to right: digits, or pieces of one.
pub fn slices(part: &Part) -> Vec<Part> {
    let Bounds { x: left, width, height, .. } = part.bounds;
    let mut ink = vec![0; width];
    for run in &part.runs {
        ink[run.x - left..run.end - left].iter_mut().for_each(|count| *count += 1);
    }
    // Narrower than this nothing is a digit, not even a 1.
    let least = (height / 8).max(1);
    let mut columns: Vec<usize> = (least..(width + 1).saturating_sub(least)).collect();
    columns.sort_by_key(|&x| (ink[x - 1] + ink[x], x.abs_diff(width / 2)));
    let mut cuts: Vec<usize> = Vec::new();
    for x in columns {
        if cuts.len() * height < CUTS * width && cuts.iter().all(|cut| cut.abs_diff(x) >= least) {
            cuts.push(x);
        }
    }
    cuts.sort_unstable();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([width]);
    starts.zip(ends).filter_map(|(start, end)| slice(part, left + start, left + end)).collect()
}

/// The ink of a part in the columns from `start` to before `end`, if any.
fn slice(part: &Part, start: usize, end: usize) -> Option<Part> {
    let clip = |run: &Run| Run { x: run.x.max(start), end: run.end.min(end), ..*run };
    Part::new(part.runs.iter().map(clip).filter(|run| run.x < run.end).collect())
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
        let part = Part::new(runs.collect()).unwrap();
        let slices = slices(&part);
        assert_eq!(slices.iter().map(Part::area).sum::<usize>(), part.area());
        assert!(slices.windows(2).all(|pair| pair[0].bounds.right() <= pair[1].bounds.x));
        assert!(slices.iter().all(|slice| slice.bounds.width >= 2), "{slices:?}");
        assert!(slices.len() > 4 && slices.len() <= 1 + CUTS * 2);
    }

    #[test]
    fn a_dot_is_not_cut() {
        let part = Part::new(vec![Run { y: 0, x: 0, end: 1 }]).unwrap();
        assert_eq!(slices(&part), [part]);
    }
}
