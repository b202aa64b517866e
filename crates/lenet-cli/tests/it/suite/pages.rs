//! Synthetic pages: handwritten numbers on ruled and squared paper, in boxes, combs and tables.
//!
//! The generator shares no code with that of the training data of the ink network, so that it measures more than how well the
//! network remembers its training pages.

use std::ops::RangeInclusive;

use fastrand::Rng;
use lenet::{Dataset, SIDE};

use super::Canvas;

/// A kind of page.
#[derive(Clone, Copy, PartialEq)]
pub enum PageKind {
    /// Horizontal rules; the numbers stand on them or cross them.
    Ruled,
    /// Squares smaller or larger than a digit.
    Squared,
    /// A box for each digit, with gaps between the boxes.
    Boxed,
    /// A row of boxes that share their sides, one for each digit. Some have no top.
    Comb,
    /// A grid with a number in most of its cells.
    Table,
}

/// Slope of a page, in degrees.
const MAX_SLOPE_DEGREES: f32 = 10.0;
/// Gray level of the rules. Paper has 240.
const RULE_GRAY: RangeInclusive<u8> = 120..=230;
/// Thickness of the rules, in pixels.
const RULE_PX: RangeInclusive<usize> = 1..=4;

/// Ink and rules of a page, both from 0 to 1, before they are composed.
struct Page {
    ink: Canvas,
    rules: Canvas,
    thickness: usize,
    /// Whether digits keep a distance to the rules.
    clear: bool,
    /// Height and width of a digit's square, in pixels: 28 at the scale of MNIST.
    side: usize,
}

impl Page {
    fn new(width: usize, height: usize, side: usize, random: &mut Rng) -> Self {
        Self {
            ink: Canvas::new(width, height),
            rules: Canvas::new(width, height),
            thickness: random.usize(RULE_PX),
            clear: random.bool(),
            side,
        }
    }

    /// Draws a filled rectangle of the rules' thickness from (`x`, `y`), `length` pixels to the right or down.
    fn rule(&mut self, x: usize, y: usize, length: usize, vertical: bool) {
        let (width, height) = if vertical { (self.thickness, length) } else { (length, self.thickness) };
        for row in y..(y + height).min(self.rules.height) {
            let end = (x + width).min(self.rules.width);
            self.rules.values[row * self.rules.width + x.min(end)..][..end.saturating_sub(x)].fill(1.0);
        }
    }

    /// Draws a grid of `columns` by `rows` cells with its top left corner at (`x`, `y`).
    fn grid(&mut self, [x, y]: [usize; 2], [columns, rows]: [usize; 2], [width, height]: [usize; 2]) {
        for row in 0..=rows {
            self.rule(x, y + row * height, columns * width + self.thickness, false);
        }
        for column in 0..=columns {
            self.rule(x + column * width, y, rows * height + self.thickness, true);
        }
    }

    /// Draws a random digit so that its ink is centered at (`x`, `y`), with a random offset of up to `play` pixels along
    /// each axis. Returns its label and the width of its ink.
    fn digit(&mut self, data: &Dataset, [x, y]: [usize; 2], play: usize, random: &mut Rng) -> (char, usize) {
        let index = random.usize(..data.len());
        let digit = Canvas::digit(data.image(index)).enlarge_to(self.side);
        let mut offset = || random.usize(..=2 * play) as isize - play as isize;
        let left = (x as isize - digit.width as isize / 2 + offset()).max(0) as usize;
        let top = (y as isize - digit.height as isize / 2 + offset()).max(0) as usize;
        self.ink.draw(
            &digit,
            left.min(self.ink.width - digit.width),
            top.min(self.ink.height - digit.height),
        );
        (char::from(b'0' + data.labels()[index]), digit.width)
    }

    /// Draws a number with its left edge at `x`, centered at `y`. The gaps are an eighth to half of a digit's width.
    fn number(
        &mut self,
        data: &Dataset,
        [x, y]: [usize; 2],
        digits: usize,
        play: usize,
        random: &mut Rng,
    ) -> String {
        let mut text = String::new();
        let mut left = x + self.side / 4;
        for _ in 0..digits {
            let (digit, width) = self.digit(data, [left + self.side / 4, y], play, random);
            left += width + random.usize(self.side / 8..=self.side / 3);
            text.push(digit);
        }
        text
    }

    /// Rotates the page and composes it as a photo.
    fn photograph(self, random: &mut Rng) -> Canvas {
        let degrees = MAX_SLOPE_DEGREES * (2.0 * random.f32() - 1.0) * random.f32();
        let (ink, rules) = (self.ink.rotate(degrees), self.rules.rotate(degrees));
        let contrast = 0.6 + 0.35 * random.f32();
        let rule_darkness = 1.0 - f32::from(random.u8(RULE_GRAY)) / 240.0;
        let mut page = Canvas::new(ink.width, ink.height);
        for ((value, ink), rule) in page.values.iter_mut().zip(&ink.values).zip(&rules.values) {
            *value = 1.0 - (1.0 - contrast * ink) * (1.0 - rule_darkness * rule);
        }
        page.develop(1.0, false, random).compressed(random)
    }
}

/// Returns `count` pages of a kind, with their labels: lines separated by `\n`, the cells of a row by spaces.
pub fn pages(
    data: &Dataset,
    kind: PageKind,
    count: usize,
    seed: u64,
) -> impl Iterator<Item = (Canvas, String)> {
    let mut random = Rng::with_seed(seed);
    (0..count).map(move |_| {
        let (page, label) = match kind {
            PageKind::Ruled | PageKind::Squared => notebook(data, kind, &mut random),
            PageKind::Boxed | PageKind::Comb => boxes(data, kind, &mut random),
            PageKind::Table => table(data, &mut random),
        };
        (page.photograph(&mut random), label)
    })
}

fn random_side(random: &mut Rng) -> usize {
    random.usize(SIDE..=3 * SIDE)
}

/// Draws one to three lines of a number on ruled or squared paper.
fn notebook(data: &Dataset, kind: PageKind, random: &mut Rng) -> (Page, String) {
    let side = random_side(random);
    let lines = random.usize(1..=3);
    // The ink of MNIST's digits is 20 of 28 pixels high.
    let spacing = side * random.usize(100..=160) / 100;
    let mut page = Page::new(9 * side, (lines + 1) * spacing + side, side, random);
    let (first, margin) = (random.usize(..side), side / 2);
    let pitch = if kind == PageKind::Ruled { spacing } else { side * random.usize(40..=110) / 100 };
    let mut y = first % pitch;
    while y < page.rules.height {
        page.rule(0, y, page.rules.width, false);
        y += pitch;
    }
    if kind == PageKind::Squared {
        let mut x = random.usize(..pitch);
        while x < page.rules.width {
            page.rule(x, 0, page.rules.height, true);
            x += pitch;
        }
    }
    let mut text = Vec::new();
    for line in 0..lines {
        let middle = first % spacing + line * spacing + spacing / 2 + side / 4;
        let play = if page.clear { 0 } else { side / 6 };
        let x = margin + random.usize(..side);
        text.push(page.number(data, [x, middle], random.usize(2..=6), play, random));
    }
    (page, text.join("\n"))
}

/// Draws one row of boxes, or a comb, with a digit in each.
fn boxes(data: &Dataset, kind: PageKind, random: &mut Rng) -> (Page, String) {
    let side = random_side(random);
    let count = random.usize(2..=8);
    let (width, height) = (side * random.usize(85..=130) / 100, side * random.usize(95..=150) / 100);
    let gap = if kind == PageKind::Boxed { side * random.usize(10..=40) / 100 } else { 0 };
    let margin = side / 2;
    let mut page = Page::new(count * (width + gap) + 2 * margin, height + 2 * margin, side, random);
    let has_top = random.usize(..3) > 0;
    let mut text = String::new();
    for cell in 0..count {
        let x = margin + cell * (width + gap);
        if kind == PageKind::Boxed || has_top {
            page.grid([x, margin], [1, 1], [width, height]);
        } else {
            page.rule(x, margin + height, width + page.thickness, false);
            page.rule(x, margin + height / 2, height / 2, true);
            page.rule(x + width, margin + height / 2, height / 2, true);
        }
        let play = if page.clear { 0 } else { side / 6 };
        text.push(page.digit(data, [x + width / 2, margin + height / 2], play, random).0);
    }
    (page, text)
}

/// Draws a table with numbers of one to three digits; about one cell of six is empty.
fn table(data: &Dataset, random: &mut Rng) -> (Page, String) {
    let side = random.usize(SIDE..=2 * SIDE);
    let [columns, rows] = [random.usize(2..=5), random.usize(1..=4)];
    let (width, height) = (3 * side, side * random.usize(110..=150) / 100);
    let margin = side / 2;
    let mut page = Page::new(columns * width + 2 * margin, rows * height + 2 * margin, side, random);
    page.grid([margin, margin], [columns, rows], [width, height]);
    let mut text = Vec::new();
    for row in 0..rows {
        let mut line: Vec<String> = Vec::new();
        for column in 0..columns {
            // The first cell is never empty, so that no line is.
            if column > 0 && random.usize(..6) == 0 {
                continue;
            }
            let digits = random.usize(1..=3);
            let x = margin + column * width + random.usize(..=(3 - digits) * side / 2);
            let play = if page.clear { 0 } else { side / 8 };
            let y = margin + row * height + height / 2;
            line.push(page.number(data, [x, y], digits, play, random));
        }
        text.push(line.join(" "));
    }
    (page, text.join("\n"))
}
