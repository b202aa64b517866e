//! Layouts: where the rules of a page are, and where it is written on.

use std::ops::Range;

use rand_pcg::rand_core::Rng;

use super::{
    PageRotation,
    layer::{CANVAS_SIDE, DashPattern, MarkLayer, RuleStyle},
    writing::{Character, WritingStyle},
};
use crate::{
    Dataset,
    data::random::{chance, log_uniform, uniform, uniform_below, uniform_symmetric},
};

/// Distance from the middle of the canvas that a turned page must reach, in pixels.
const HALF_DIAGONAL: f32 = 0.71 * CANVAS_SIDE as f32;

/// The kinds of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Lines of writing without rules.
    Plain,
    /// One rule for each line, with or without a margin.
    Ruled,
    /// Squared paper.
    Squared,
    /// A grid with some digits in each cell.
    Table,
    /// Boxes or a comb with a digit in each.
    Boxes,
    /// Underlines, bars of fractions, rules through the writing and other single rules.
    Lines,
    /// One digit that may fill the picture.
    Crop,
}

impl Layout {
    /// Every layout, with its frequency in percent.
    pub const ALL: [(Self, usize); 7] = [
        (Self::Plain, 14),
        (Self::Ruled, 16),
        (Self::Squared, 12),
        (Self::Table, 18),
        (Self::Boxes, 18),
        (Self::Lines, 16),
        (Self::Crop, 6),
    ];

    /// Returns a random layout.
    pub fn random(random: &mut impl Rng) -> Self {
        let mut percent = uniform_below(100, random);
        let chosen = Self::ALL.into_iter().find(|&(_, frequency)| {
            let is_chosen = percent < frequency;
            percent = percent.saturating_sub(frequency);
            is_chosen
        });
        chosen.map_or(Self::Plain, |(layout, _)| layout)
    }
}

/// A page while it is drawn.
pub struct PageCanvas<'a> {
    pub digits: &'a Dataset,
    pub frame: PageRotation,
    pub writing: WritingStyle,
    /// The look of most rules.
    pub style: RuleStyle,
    pub ink: MarkLayer,
    pub rules: MarkLayer,
}

/// Returns the look of the rules of a page that is written on with ink of a darkness. Most are paler than the ink.
pub fn random_rule_style(writing: &mut WritingStyle, random: &mut impl Rng) -> RuleStyle {
    let max_width = (0.16 * writing.height + 1.5).min(8.0);
    let width = log_uniform(0.8, max_width, random);
    let darkness = if chance(0.2, random) {
        // A pale pen on a dark print.
        let darkness = uniform(0.4, 0.97, random);
        writing.darkness = (darkness * uniform(0.25, 1.0, random)).max(0.15);
        darkness
    } else {
        (writing.darkness * uniform(0.15, 1.0, random)).max(0.06)
    };
    let bow = if chance(0.3, random) { uniform(-3.0, 3.0, random) } else { 0.0 };
    RuleStyle { width, darkness, bow, pattern: DashPattern::random(width, random) }
}

impl PageCanvas<'_> {
    /// Draws the rules and the writing of a layout. Returns the box of the writing, if there is one digit only, as
    /// `[left, top, right, bottom]` in pixels of the canvas.
    pub fn draw(&mut self, layout: Layout, random: &mut impl Rng) -> Option<[f32; 4]> {
        let height = self.writing.height;
        match layout {
            Layout::Plain => self.write_lines(height * uniform(1.2, 3.0, random), None, random),
            Layout::Ruled => {
                let pitch = height * uniform(0.6, 2.2, random);
                let phase = uniform(0.0, pitch, random) - HALF_DIAGONAL - pitch;
                for v in evenly_spaced(phase, pitch) {
                    self.draw_horizontal_rule(v, -HALF_DIAGONAL..HALF_DIAGONAL, random);
                }
                if chance(0.4, random) {
                    let own = random_rule_style(&mut self.writing, random);
                    let usual = std::mem::replace(&mut self.style, own);
                    let u = uniform(-HALF_DIAGONAL, HALF_DIAGONAL, random);
                    self.draw_vertical_rule(u, -HALF_DIAGONAL..HALF_DIAGONAL, random);
                    if chance(0.4, random) {
                        self.draw_vertical_rule(
                            u + uniform(3.0, 10.0, random),
                            -HALF_DIAGONAL..HALF_DIAGONAL,
                            random,
                        );
                    }
                    self.style = usual;
                }
                // Narrow rules have writing on every second line.
                let every = if pitch < 1.1 * height { 2.0 } else { 1.0 };
                self.write_lines(every * pitch, Some(phase), random);
            }
            Layout::Squared => {
                let pitch = (height * uniform(0.45, 1.6, random)).max(6.0);
                let phases = [0; 2].map(|_| uniform(0.0, pitch, random) - HALF_DIAGONAL - pitch);
                for v in evenly_spaced(phases[1], pitch) {
                    self.draw_horizontal_rule(v, -HALF_DIAGONAL..HALF_DIAGONAL, random);
                }
                for u in evenly_spaced(phases[0], pitch) {
                    self.draw_vertical_rule(u, -HALF_DIAGONAL..HALF_DIAGONAL, random);
                }
                let lines = (1.2 * height / pitch).ceil();
                self.write_lines(lines * pitch, Some(phases[1]), random);
            }
            Layout::Table => {
                let size = [height * log_uniform(1.0, 5.0, random), height * uniform(1.0, 2.6, random)];
                self.draw_grid(size, [0.0; 2], 3, random);
            }
            Layout::Boxes => {
                let size = [height * uniform(0.65, 1.7, random), height * uniform(1.0, 1.8, random)];
                let gaps = if chance(0.5, random) {
                    [0.0, height * uniform(0.2, 2.0, random)]
                } else {
                    [height * uniform(0.1, 1.0, random), height * uniform(0.2, 2.0, random)]
                };
                self.draw_grid(size, gaps, 1, random);
            }
            Layout::Lines => {
                let pitch = height * uniform(1.2, 3.0, random);
                let phase = uniform(0.0, pitch, random) - HALF_DIAGONAL - pitch;
                self.write_lines(pitch, Some(phase), random);
                for v in evenly_spaced(phase, pitch) {
                    // Below the writing, through it or above it.
                    if chance(0.5, random) {
                        let v = v + height * uniform(-1.3, 0.4, random);
                        let start = uniform(-1.5 * HALF_DIAGONAL, 0.8 * HALF_DIAGONAL, random);
                        let end = start + height * log_uniform(1.6, 12.0, random);
                        self.draw_horizontal_rule(v, start..end, random);
                    }
                }
                for _ in 0..uniform_below(4, random) {
                    let (at, start) = (
                        uniform(-HALF_DIAGONAL, HALF_DIAGONAL, random),
                        uniform(-1.5 * HALF_DIAGONAL, HALF_DIAGONAL, random),
                    );
                    let end = start + height * log_uniform(1.6, 12.0, random);
                    self.style.width = (self.style.width * uniform(0.6, 1.6, random)).clamp(0.8, 8.0);
                    if chance(0.35, random) {
                        self.draw_horizontal_rule(at, start..end, random);
                    } else {
                        self.draw_vertical_rule(at, start..end, random);
                    }
                }
            }
            Layout::Crop => {
                let character = self.writing.random_character(self.digits, random);
                let [left, top, right, bottom] = character.bounds();
                let origin = [-(left + right) / 2.0, -(top + bottom) / 2.0];
                character.draw(&mut self.ink, &self.frame, origin);
                if chance(0.3, random) {
                    let start = uniform(-HALF_DIAGONAL, 0.0, random);
                    self.draw_horizontal_rule(
                        bottom + origin[1] + uniform(-0.3, 0.2, random) * height,
                        start..HALF_DIAGONAL,
                        random,
                    );
                }
                let middle = 0.5 * CANVAS_SIDE as f32;
                return Some(
                    [left + origin[0], top + origin[1], right + origin[0], bottom + origin[1]]
                        .map(|at| middle + at),
                );
            }
        }
        None
    }

    /// Writes lines with a distance of `pitch` between their baselines. A line may stand on the rules, from the first at
    /// `phase`, or cross them.
    fn write_lines(&mut self, pitch: f32, phase: Option<f32>, random: &mut impl Rng) {
        let height = self.writing.height;
        let phase = phase.unwrap_or_else(|| uniform(0.0, pitch, random) - HALF_DIAGONAL - pitch);
        let baseline = height
            * if chance(0.5, random) { uniform(-0.15, 0.1, random) } else { uniform(-0.8, 0.8, random) };
        // Lines of writing are seldom as long as the page.
        let density = uniform(0.7, 1.0, random);
        for v in evenly_spaced(phase, pitch) {
            if !chance(density, random) {
                continue;
            }
            let mut u = uniform(-2.0 * height, 0.5 * height, random) - HALF_DIAGONAL;
            let usual_gap = uniform(-0.08, 0.5, random);
            while u < HALF_DIAGONAL {
                if chance(0.1, random) {
                    u += height * uniform(0.3, 2.0, random);
                    continue;
                }
                let character = self.writing.random_character(self.digits, random);
                let [left, top, right, bottom] = character.bounds();
                // A low character is anywhere in the line.
                let lift = if bottom - top < 0.6 * height { uniform(0.0, height, random) } else { 0.0 };
                let v = v + baseline + height * uniform(-0.1, 0.1, random) - bottom - lift;
                character.draw(&mut self.ink, &self.frame, [u - left, v]);
                let gap = usual_gap + uniform(-0.05, 0.1, random);
                u += (right - left + height * gap).max(0.1 * height);
            }
        }
    }

    /// Draws a grid of cells of a size with gaps between them, and up to `max_marks` in each cell.
    fn draw_grid(&mut self, size: [f32; 2], gaps: [f32; 2], max_marks: usize, random: &mut impl Rng) {
        let pitch = [size[0] + gaps[0], size[1] + gaps[1]];
        let [first_u, first_v] = pitch.map(|pitch| uniform(0.0, pitch, random) - HALF_DIAGONAL - pitch);
        // Some combs are open at the top, and some tables have rules in one direction only.
        let (has_top, has_sides) = (!chance(0.15, random), !chance(0.15, random));
        // The dividers of some combs are short.
        let divider = if has_top { 1.0 } else { uniform(0.2, 1.0, random) };
        let limits = if chance(0.3, random) {
            // A corner or the end of the grid is in the picture.
            [0; 2].map(|_| {
                if chance(0.5, random) {
                    uniform(-HALF_DIAGONAL, HALF_DIAGONAL, random)
                } else {
                    HALF_DIAGONAL
                }
            })
        } else {
            [HALF_DIAGONAL; 2]
        };
        let flip = [0; 2].map(|_| if chance(0.5, random) { -1.0 } else { 1.0 });
        let is_inside = |axis: usize, start: f32| flip[axis] * (start + 0.5 * size[axis]) < limits[axis];
        let occupied = uniform(0.5, 1.0, random);
        // The writing is in the middle of the cells, or touches their rules.
        let spread = if chance(0.5, random) { 0.08 } else { 0.35 };
        for v in evenly_spaced(first_v, pitch[1]).filter(|&v| is_inside(1, v)) {
            for u in evenly_spaced(first_u, pitch[0]).filter(|&u| is_inside(0, u)) {
                let (right, bottom) = (u + size[0], v + size[1]);
                if has_top {
                    self.draw_horizontal_rule(v, u..right, random);
                }
                self.draw_horizontal_rule(bottom, u..right, random);
                if has_sides {
                    let top = bottom - divider * size[1];
                    self.draw_vertical_rule(u, top..bottom, random);
                    self.draw_vertical_rule(right, top..bottom, random);
                }
                if chance(occupied, random) {
                    let offset = [0; 2].map(|_| self.writing.height * spread * uniform_symmetric(random));
                    let middle = [u + 0.5 * size[0] + offset[0], v + 0.5 * size[1] + offset[1]];
                    self.write_cell(middle, 1 + uniform_below(max_marks, random), random);
                }
            }
        }
    }

    /// Writes some characters side by side around a point.
    fn write_cell(&mut self, middle: [f32; 2], count: usize, random: &mut impl Rng) {
        let characters: Vec<Character> =
            (0..count).map(|_| self.writing.random_character(self.digits, random)).collect();
        let gap = self.writing.height * uniform(-0.05, 0.25, random);
        let width = |character: &Character| character.bounds()[2] - character.bounds()[0];
        let total = characters.iter().map(width).sum::<f32>() + gap * (count - 1) as f32;
        let mut u = middle[0] - 0.5 * total;
        for character in characters {
            let [left, top, _, bottom] = character.bounds();
            let v = middle[1] - 0.5 * (top + bottom) + self.writing.height * uniform(-0.06, 0.06, random);
            character.draw(&mut self.ink, &self.frame, [u - left, v]);
            u += width(&character) + gap;
        }
    }

    /// Draws a rule along a line of the page, nearly horizontal.
    fn draw_horizontal_rule(&mut self, v: f32, columns: Range<f32>, random: &mut impl Rng) {
        let ends = [columns.start, columns.end].map(|u| [u, v + uniform(-0.4, 0.4, random)]);
        self.rules.draw_rule(ends.map(|end| self.frame.to_canvas(end)), &self.style);
    }

    /// Draws a rule along a column of the page, nearly vertical.
    fn draw_vertical_rule(&mut self, u: f32, rows: Range<f32>, random: &mut impl Rng) {
        let ends = [rows.start, rows.end].map(|v| [u + uniform(-0.4, 0.4, random), v]);
        self.rules.draw_rule(ends.map(|end| self.frame.to_canvas(end)), &self.style);
    }
}

/// Returns the positions from `first` to [`HALF_DIAGONAL`] with a distance of `pitch`.
fn evenly_spaced(first: f32, pitch: f32) -> impl Iterator<Item = f32> {
    (0..)
        .map(move |index| first + pitch * index as f32)
        .take_while(move |&position| position < HALF_DIAGONAL + pitch)
}
