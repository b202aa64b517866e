//! What is drawn on a page: ink and rules, each with its coverage of the pixels and its darkness.

use rand_pcg::rand_core::Rng;

use crate::{
    data::random::{uniform, uniform_below},
    image::draw_strokes,
};

/// Height and width of the canvas that a page is drawn on, in pixels.
pub const CANVAS_SIDE: usize = super::PATCH_SIDE + 2 * super::PATCH_MARGIN;

/// One kind of marks on the canvas.
pub struct MarkLayer {
    /// `(row, column)`: the fraction of the pixel that is covered, 0 to 1.
    pub coverage: Vec<f32>,
    /// `(row, column)`: the fraction of the light that is absorbed, 0 to 1.
    pub darkness: Vec<f32>,
}

impl MarkLayer {
    /// Returns a layer without marks.
    pub fn new() -> Self {
        let [coverage, darkness] = [0; 2].map(|_| vec![0.0; CANVAS_SIDE * CANVAS_SIDE]);
        Self { coverage, darkness }
    }

    /// Covers a fraction of a pixel with a mark. Where marks overlap, the maximum stays.
    pub fn cover(&mut self, at: usize, coverage: f32, darkness: f32) {
        self.coverage[at] = self.coverage[at].max(coverage);
        self.darkness[at] = self.darkness[at].max(coverage * darkness);
    }

    /// Draws strokes, polylines through points `[x, y]` of the canvas, with a round pen of `radius` pixels. What is outside
    /// the canvas is not drawn.
    pub fn draw_strokes(&mut self, mut strokes: Vec<Vec<[f32; 2]>>, radius: f32, darkness: f32) {
        let range = |axis: usize| {
            let coordinates = || strokes.iter().flatten().map(move |point| point[axis]);
            let limit = |at: f32| at.clamp(0.0, CANVAS_SIDE as f32) as usize;
            limit(coordinates().fold(f32::MAX, f32::min) - radius - 1.0)
                ..limit(coordinates().fold(f32::MIN, f32::max) + radius + 2.0)
        };
        let (columns, rows) = (range(0), range(1));
        if columns.is_empty() || rows.is_empty() {
            return;
        }
        for [x, y] in strokes.iter_mut().flatten() {
            (*x, *y) = (*x - columns.start as f32, *y - rows.start as f32);
        }
        let map = draw_strokes(columns.len(), rows.len(), &strokes, radius);
        for (y, row) in rows.zip(map.values.chunks(map.width)) {
            for (x, &value) in columns.clone().zip(row).filter(|(_, value)| **value > 0) {
                self.cover(y * CANVAS_SIDE + x, f32::from(value) / 255.0, darkness);
            }
        }
    }

    /// Removes the marks where `keeps` is false.
    pub fn retain_marks(&mut self, keeps: impl Fn(usize) -> bool) {
        for at in (0..self.coverage.len()).filter(|&at| !keeps(at)) {
            (self.coverage[at], self.darkness[at]) = (0.0, 0.0);
        }
    }

    /// Draws a straight line between two points `[x, y]` of the canvas, which may be outside.
    pub fn draw_rule(&mut self, [from, to]: [[f32; 2]; 2], style: &RuleStyle) {
        // Along the axis of the longer extent, each position covers a few pixels across.
        let along = usize::from((to[1] - from[1]).abs() > (to[0] - from[0]).abs());
        let (from, to) = if from[along] < to[along] { (from, to) } else { (to, from) };
        let length = (to[along] - from[along]).max(f32::EPSILON);
        let slope = (to[1 - along] - from[1 - along]) / length;
        let half_width = style.width / 2.0;
        // Short rules are bent as a part of a long one.
        let bow = style.bow * (length / CANVAS_SIDE as f32).powi(2);
        // Distance to the line for a pixel across.
        let cos = 1.0 / slope.hypot(1.0);
        let end = to[along].ceil().clamp(0.0, CANVAS_SIDE as f32) as usize;
        for position in from[along].floor().max(0.0) as usize..end {
            let distance = position as f32 + 0.5 - from[along];
            // A line that is thinner than a pixel is paler.
            let strength = style.pattern.visibility_at(position) * style.width.min(1.0);
            if strength == 0.0 {
                continue;
            }
            let relative = 2.0 * distance / length - 1.0;
            let center = from[1 - along] + slope * distance + bow * (1.0 - relative * relative);
            let reach = half_width / cos + 1.0;
            let first = (center - reach).max(0.0) as usize;
            for across in first..((center + reach).ceil().clamp(0.0, CANVAS_SIDE as f32) as usize) {
                let distance = (across as f32 + 0.5 - center).abs() * cos;
                let coverage = (half_width.max(0.5) + 0.5 - distance).clamp(0.0, 1.0) * strength;
                if coverage > 0.0 {
                    let (x, y) = if along == 0 { (position, across) } else { (across, position) };
                    self.cover(y * CANVAS_SIDE + x, coverage, style.darkness);
                }
            }
        }
    }
}

/// How a rule looks.
#[derive(Debug, Clone, Copy)]
pub struct RuleStyle {
    /// Width in pixels.
    pub width: f32,
    /// The fraction of the light that the rule absorbs, 0 to 1.
    pub darkness: f32,
    /// Distance in pixels of the middle of a rule across the canvas from the straight line between its ends, as on paper
    /// that is not flat.
    pub bow: f32,
    /// Gaps.
    pub pattern: DashPattern,
}

/// Gaps of a rule.
#[derive(Debug, Clone, Copy)]
pub enum DashPattern {
    /// No gaps.
    Solid,
    /// Dots or dashes.
    Dashed {
        /// Distance from one dash to the next in pixels.
        period: usize,
        /// Length of a dash in pixels.
        dash: usize,
    },
    /// Irregular gaps and pale parts, as of a worn print.
    Broken {
        /// Determines where the gaps are.
        seed: u32,
    },
}

impl DashPattern {
    /// Returns a random pattern for a rule of a width in pixels, mostly without gaps.
    pub fn random(width: f32, random: &mut impl Rng) -> Self {
        match uniform_below(10, random) {
            0 => {
                let dash = (width * uniform(1.0, 4.0, random)).max(1.0) as usize;
                Self::Dashed { period: dash + 1 + (dash as f32 * uniform(0.3, 1.5, random)) as usize, dash }
            }
            1 => Self::Broken { seed: random.next_u32() },
            _ => Self::Solid,
        }
    }

    /// Returns the fraction of the rule that is visible at a position along it.
    fn visibility_at(self, position: usize) -> f32 {
        match self {
            Self::Solid => 1.0,
            Self::Dashed { period, dash } => f32::from(u8::from(position % period < dash)),
            Self::Broken { seed } => {
                // A hash of each stretch of four pixels (the multiplier of Knuth's multiplicative hash).
                let hash = ((position / 4) as u32 ^ seed).wrapping_mul(2_654_435_761) >> 28;
                match hash {
                    0..3 => 0.0,
                    3..6 => 0.5,
                    _ => 1.0,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(width: f32) -> RuleStyle {
        RuleStyle { width, darkness: 0.5, bow: 0.0, pattern: DashPattern::Solid }
    }

    #[test]
    fn rules_cover_their_width_and_length() {
        let mut layer = MarkLayer::new();
        layer.draw_rule([[10.0, 20.5], [100.0, 20.5]], &style(3.0));
        let at = |x: usize, y: usize| layer.coverage[y * CANVAS_SIDE + x];
        assert_eq!([18, 19, 20, 21, 22].map(|y| at(50, y)), [0.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!([9, 10, 99, 100].map(|x| at(x, 20)), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(layer.darkness[20 * CANVAS_SIDE + 50], 0.5);
        assert_eq!(layer.coverage.iter().sum::<f32>(), 270.0);
    }

    #[test]
    fn sloped_rules_have_the_same_width_across() {
        for (from, to) in [([0.0, 30.0], [128.0, 60.0]), ([90.0, 128.0], [40.0, 0.0])] {
            let mut layer = MarkLayer::new();
            layer.draw_rule([from, to], &style(4.0));
            let length = (to[0] - from[0]).hypot(to[1] - from[1]);
            let area = layer.coverage.iter().sum::<f32>();
            assert!((area / length - 4.0).abs() < 0.1, "{}", area / length);
        }
    }

    #[test]
    fn patterns_have_gaps() {
        let visible =
            |pattern: DashPattern| (0..1000).map(|at| pattern.visibility_at(at)).sum::<f32>() / 1000.0;
        assert_eq!(visible(DashPattern::Solid), 1.0);
        assert_eq!(visible(DashPattern::Dashed { period: 5, dash: 2 }), 0.4);
        assert!((0.5..0.9).contains(&visible(DashPattern::Broken { seed: 7 })));
    }

    #[test]
    fn strokes_outside_the_canvas_are_not_drawn() {
        let mut layer = MarkLayer::new();
        layer.draw_strokes(vec![vec![[-50.0, -50.0], [-9.0, 200.0]], vec![]], 5.0, 1.0);
        assert!(layer.coverage.iter().all(|&coverage| coverage == 0.0));
        layer.draw_strokes(vec![vec![[-50.0, 64.0], [400.0, 64.0]]], 2.0, 1.0);
        assert!((layer.coverage.iter().sum::<f32>() - 4.0 * CANVAS_SIDE as f32).abs() < 1.0);
    }
}
