//! Cutting of components that may be several touching digits.

use super::{Component, Rect, components::Run};

/// Parameters of [`oversegment`]. Chosen on generated strings of touching digits of MNIST's training images;
/// `docs/experiments/recognition.md` has the trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OversegmentParams {
    /// Number of cuts through a component as wide as it is high, at most; in proportion for others.
    pub max_cuts_per_height: usize,
    /// Width of a segment, at least, in heights of the component. It is measured in ink: a segment holds as much as this width
    /// of the component does on average. With less ink nothing is a digit, not even a 1.
    pub min_segment_width: f64,
    /// Maximum height of the ink that a cut separates, as a fraction of the component's height. Touching digits share a
    /// stroke; ink that is connected over more of the height is a bar or a shadow.
    pub max_cut_height: f64,
}

impl Default for OversegmentParams {
    fn default() -> Self {
        Self { max_cuts_per_height: 8, min_segment_width: 1.0 / 16.0, max_cut_height: 0.6 }
    }
}

/// Cuts a component into segments, from left to right, each a digit or a fragment of one.
///
/// Cuts go between two columns where these are connected over the fewest rows, those nearest to the middle first.
pub fn oversegment(component: &Component, params: &OversegmentParams) -> Vec<Component> {
    let Rect { x: left, width, height, .. } = component.bounds();
    // For each column the ink, and how much of it is connected to the column before.
    let (mut ink, mut connected) = (vec![0; width], vec![0; width]);
    for run in component.runs() {
        let columns = run.x - left..run.end - left;
        ink[columns.clone()].iter_mut().for_each(|count| *count += 1);
        connected[columns].iter_mut().skip(1).for_each(|count| *count += 1);
    }
    // The ink before each column, and all of it.
    let mut cumulative_ink = vec![0];
    cumulative_ink.extend(ink.iter().scan(0, |sum, ink| {
        *sum += ink;
        Some(*sum)
    }));
    let ink_of_square = (cumulative_ink[width] * height) as f64 / width as f64;
    let min_ink = ((params.min_segment_width * ink_of_square) as usize).max(1);
    let max_connected = params.max_cut_height * height as f64;
    let mut columns: Vec<usize> = (1..width).filter(|&x| connected[x] as f64 <= max_connected).collect();
    columns.sort_by_key(|&x| (connected[x], x.abs_diff(width / 2)));
    let mut cuts = vec![0, width];
    for x in columns {
        let is_far = |&cut: &usize| cumulative_ink[cut].abs_diff(cumulative_ink[x]) >= min_ink;
        if (cuts.len() - 2) * height < params.max_cuts_per_height * width && cuts.iter().all(is_far) {
            cuts.push(x);
        }
    }
    cuts.sort_unstable();
    cuts.windows(2).filter_map(|pair| crop_columns(component, left + pair[0], left + pair[1])).collect()
}

/// Returns the ink of a component in the columns from `start` to before `end`, if there is any.
fn crop_columns(component: &Component, start: usize, end: usize) -> Option<Component> {
    let clip = |run: &Run| Run { x: run.x.max(start), end: run.end.min(end), ..*run };
    Component::new(component.runs().iter().map(clip).filter(|run| run.x < run.end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_oversegment(component: &Component) -> Vec<Component> {
        oversegment(component, &OversegmentParams::default())
    }

    #[test]
    fn cuts_two_touching_rings_where_they_touch() {
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
        let component = Component::new(runs.collect()).unwrap();
        let segments = default_oversegment(&component);
        assert_eq!(segments.iter().map(Component::area).sum::<usize>(), component.area());
        assert!(segments.windows(2).all(|pair| pair[0].bounds().right() <= pair[1].bounds().x));
        let min_ink = 20 * component.area() - 16 * 39;
        assert!(segments.iter().all(|segment| 16 * 39 * segment.area() > min_ink));
        assert!([18, 19, 20].iter().any(|&x| segments.iter().any(|segment| segment.bounds().x == x)));
        assert!(
            segments.len() > 4 && segments.len() <= 1 + 2 * OversegmentParams::default().max_cuts_per_height
        );
    }

    #[test]
    fn does_not_cut_a_dot_or_a_bar() {
        for (width, height) in [(1, 1), (60, 20)] {
            let runs = (0..height).map(|y| Run { y, x: 0, end: width }).collect();
            let component = Component::new(runs).unwrap();
            assert_eq!(default_oversegment(&component), [component]);
        }
    }
}
