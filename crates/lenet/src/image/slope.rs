//! The slope of lines of writing and rules.

use super::Component;

/// Parameters of [`slope_degrees`]. Empirically chosen; `docs/experiments/recognition.md` has the trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlopeParams {
    /// Largest slope that is looked for, in degrees.
    pub max_degrees: f64,
    /// Slope in degrees below which a picture counts as level.
    pub min_degrees: f64,
    /// How many times the energy of the projection profile is that of a level picture, at least.
    pub min_gain: f64,
    /// Longer side in pixels below which a component says nothing about the slope.
    pub min_side_px: usize,
}

impl Default for SlopeParams {
    fn default() -> Self {
        Self { max_degrees: 20.0, min_degrees: 3.0, min_gain: 1.3, min_side_px: 7 }
    }
}

/// Distances in degrees between the slopes that are tried: first in the whole range, then around the best of the step before.
const STEPS_DEGREES: [f64; 3] = [1.0, 0.25, 0.0625];
/// Steps on either side of the best slope of the step before.
const REFINEMENT_STEPS: i32 = 4;
/// Longest piece of a run that counts as one point, in pixels.
const MAX_PIECE_PX: usize = 8;

/// Returns the slope of the lines that components form, writing or rules, in degrees: positive if they descend to the right. It is 0
/// if they are level or form no lines.
///
/// It is the slope along which the profile of the ink's projection has the highest energy (W. Postl, "Detection of linear
/// oblique structures and skew scan in digitized documents", 1986).
pub fn slope_degrees<'a>(components: impl IntoIterator<Item = &'a Component>, params: &SlopeParams) -> f64 {
    let large =
        components.into_iter().filter(|component| component.bounds().longer_side() >= params.min_side_px);
    // The column of the middle of each piece of a run, its row and its number of pixels.
    let pieces: Vec<(f64, f64, u32)> = large
        .flat_map(Component::runs)
        .flat_map(|run| {
            (run.x..run.end).step_by(MAX_PIECE_PX).map(|x| {
                let length = MAX_PIECE_PX.min(run.end - x);
                (x as f64 + 0.5 * length as f64, run.y as f64, length as u32)
            })
        })
        .collect();
    let limits = |coordinate: fn(&(f64, f64, u32)) -> f64| {
        let coordinates = || pieces.iter().map(coordinate);
        [coordinates().fold(f64::MAX, f64::min), coordinates().fold(f64::MIN, f64::max)]
    };
    let ([left, right], [top, bottom]) = (limits(|piece| piece.0), limits(|piece| piece.1));
    if right <= left || bottom <= top {
        return 0.0;
    }
    let max_rise = (right - left) * params.max_degrees.to_radians().tan();
    let mut profile = vec![0_u32; (bottom - top + 2.0 * max_rise) as usize + 3];
    let mut energy = |degrees: f64| {
        let tangent = degrees.to_radians().tan();
        profile.fill(0);
        for &(x, y, length) in &pieces {
            let row = y - top - (x - left) * tangent + max_rise + 1.0;
            profile[row as usize] += length;
        }
        profile.iter().map(|&count| f64::from(count).powi(2)).sum::<f64>()
    };
    let level = energy(0.0);
    let mut best = (level, 0.0);
    let mut reach = (params.max_degrees / STEPS_DEGREES[0]) as i32;
    for step in STEPS_DEGREES {
        let middle = best.1;
        for index in -reach..=reach {
            let degrees = (middle + step * f64::from(index)).clamp(-params.max_degrees, params.max_degrees);
            let energy = energy(degrees);
            if energy > best.0 {
                best = (energy, degrees);
            }
        }
        reach = REFINEMENT_STEPS;
    }
    let is_sloped = best.0 >= params.min_gain * level && best.1.abs() >= params.min_degrees;
    if is_sloped { best.1 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ComponentParams, components, draw_strokes};

    #[test]
    fn finds_the_slope_of_rules_and_of_writing() {
        let params = SlopeParams::default();
        for degrees in [-19.0_f32, -7.5, 0.0, 4.0, 12.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let at = |x: f32, y: f32| [200.0 + cos * x - sin * y, 150.0 + sin * x + cos * y];
            let rules: Vec<_> =
                [-40.0, 0.0, 40.0].map(|y| vec![at(-120.0, y), at(120.0, y)]).into_iter().collect();
            // Six digits like a 0, 14 x 20 pixels.
            let writing: Vec<_> = (-3..3)
                .map(|digit| {
                    let x = 25.0 * digit as f32;
                    [[0.0, 0.0], [14.0, 0.0], [14.0, 20.0], [0.0, 20.0], [0.0, 0.0]]
                        .map(|[dx, dy]| at(x + dx, dy))
                        .to_vec()
                })
                .collect();
            for (name, strokes) in [("rules", rules), ("writing", writing)] {
                let ink = draw_strokes(400, 300, &strokes, 1.5);
                let found = slope_degrees(&components(&ink, &ComponentParams::default()), &params);
                assert!((found - f64::from(degrees)).abs() < 0.5, "{name}: {found} instead of {degrees}");
            }
        }
    }

    #[test]
    fn a_single_stroke_and_no_ink_are_level() {
        let params = SlopeParams::default();
        assert_eq!(slope_degrees(&[], &params), 0.0);
        let ink = draw_strokes(60, 60, &[vec![[30.0, 10.0], [26.0, 50.0]]], 2.0);
        assert_eq!(slope_degrees(&components(&ink, &ComponentParams::default()), &params), 0.0);
    }
}
