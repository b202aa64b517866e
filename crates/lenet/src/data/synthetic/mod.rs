//! What a network is shown in training instead of some of the images, so that it reads the handwriting of the world.
//!
//! Digits written in other ways than MNIST's, and digits as they are cut out of a line with a bit of their neighbour, have
//! a label. What is no digit has none: its target is a probability of 0 for each class, so that the network learns what
//! is none (after D. Hendrycks, M. Mazeika and T. Dietterich, "Deep anomaly detection with outlier exposure", 2019).
//! Either may be seen as a small bitmap, as some have their digits. All go through the one normalisation, as what is
//! found in a picture does.

mod glyphs;

use std::ops::Range;

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use crate::{
    CLASSES, Dataset, Error, PIXELS, SIDE,
    data::random::{below, between, symmetric},
    error::ensure,
    image::{self, GrayImage, Stages, strokes},
    nn::Targets,
};
use glyphs::Sign;

/// Shares of the images of a step instead of which the network sees something else: each at least 0, together below 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticData {
    /// Digits drawn with a pen in ways that MNIST's writers seldom had.
    pub drawn: f32,
    /// Digits cut out of a line, with a bit of their neighbours or without a bit of themselves.
    pub cut: f32,
    /// Something that is no digit. Few of these count as answered right.
    pub outliers: f32,
    /// BatchSlice of all these and of the images that are seen as small bitmaps, digits often made to fill a square.
    #[serde(default)]
    pub bitmaps: f32,
}

impl SyntheticData {
    /// # Errors
    /// [`Error::Setting`] if a share is not in its range.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let Self { drawn, cut, outliers, bitmaps } = *self;
        for (name, share) in
            [("drawn", drawn), ("cut", cut), ("outliers", outliers), ("outliers", drawn + cut + outliers)]
        {
            ensure(name, (0.0..1.0).contains(&share), "at least 0, and all together below 1", share)?;
        }
        ensure("bitmaps", (0.0..=1.0).contains(&bitmaps), "0 to 1", bitmaps)
    }

    /// What takes the place of one of `digits`, if anything: it follows from the `key` of the place.
    pub(crate) fn substitute(&self, key: u64, digits: &Dataset) -> Option<Substitute> {
        // Not the numbers of the warp, which begin with the key itself.
        let mut random = Pcg64Mcg::seed_from_u64(!key);
        let at = between(0.0, 1.0, &mut random);
        let kind = if at < self.drawn {
            Kind::Drawn(glyphs::digit(&mut random))
        } else if at < self.drawn + self.cut {
            Kind::Cut(below(digits.len(), &mut random))
        } else if at < self.drawn + self.cut + self.outliers {
            Kind::Outlier
        } else {
            Kind::Image(below(digits.len(), &mut random))
        };
        let bitmap = between(0.0, 1.0, &mut random) < self.bitmaps;
        let unchanged = matches!(kind, Kind::Image(_)) && !bitmap;
        (!unchanged).then_some(Substitute { kind, bitmap, random })
    }
}

/// What takes the place of an image.
pub(crate) struct Substitute {
    kind: Kind,
    bitmap: bool,
    random: Pcg64Mcg,
}

#[derive(Clone, Copy)]
enum Kind {
    Drawn(Sign),
    /// The index of a digit.
    Cut(usize),
    Outlier,
    /// The index of a digit.
    Image(usize),
}

impl Substitute {
    /// The right answer.
    pub fn target(&self, targets: Targets) -> [f32; CLASSES] {
        match self.kind {
            Kind::Drawn(sign) => Targets::Labels(&[sign.digit]).row(0),
            Kind::Cut(index) | Kind::Image(index) => targets.row(index),
            Kind::Outlier => [0.0; CLASSES],
        }
    }

    /// The image, as MNIST would have it: (row, column).
    pub fn draw(self, digits: &Dataset) -> [u8; PIXELS] {
        let Self { kind, bitmap, mut random } = self;
        loop {
            let mut page = match kind {
                Kind::Drawn(sign) => sign.draw(PAGE, &mut random),
                Kind::Cut(index) => line(digits, index, &mut random).digit(&mut random),
                Kind::Outlier => outlier(digits, &mut random),
                Kind::Image(index) => middle(digits, index),
            };
            if bitmap {
                // What is no digit might become one: half of a 0 made as wide as it is high is a fat 1.
                let most = if matches!(kind, Kind::Outlier) { 1.0 } else { WIDEST };
                page = coarse(&page, most, &mut random);
            }
            let writing = image::find_text(&page, Stages::NONE);
            let parts: Vec<_> = writing.parts.iter().collect();
            if !parts.is_empty() {
                return image::normalize_digit(&page, &parts, Stages::NONE).pixels;
            }
            // Too little is left of a digit: of the same one perhaps always.
            if let Kind::Cut(index) | Kind::Image(index) = kind {
                return std::array::from_fn(|pixel| digits.image(index)[pixel]);
            }
        }
    }
}

/// Side of the pages on which something is drawn.
const PAGE: usize = 2 * SIDE;

fn blank(width: usize) -> GrayImage {
    GrayImage { width, height: PAGE, values: vec![0; width * PAGE], scale: 1 }
}

/// Draws an image with its corner at column `x` and row `y`; the darker ink stays.
fn place(page: &mut GrayImage, image: &[u8], x: usize, y: usize) {
    for (row, values) in image.chunks(SIDE).enumerate() {
        let start = (y + row) * page.width + x;
        for (old, new) in page.values[start..start + SIDE].iter_mut().zip(values) {
            *old = (*old).max(*new);
        }
    }
}

/// A page with one digit.
fn middle(digits: &Dataset, index: usize) -> GrayImage {
    let mut page = blank(PAGE);
    place(&mut page, digits.image(index), SIDE / 2, SIDE / 2);
    page
}

/// By how much a bitmap is stretched at most: a 1 doesn't become a block.
const WIDEST: f32 = 2.5;

/// A bitmap of what is on a page, its longer side 12 to 32 pixels, the other stretched up to `most`fold towards a square,
/// and often all the way.
fn coarse(page: &GrayImage, most: f32, random: &mut impl Rng) -> GrayImage {
    let (towards, edge) = (between(0.0, 2.0, random).min(1.0), between(0.25, 0.6, random));
    let side = 12.0 + below(21, random) as f32;
    let size = |[width, height]: [f32; 2]| {
        let aspect = width / height;
        let stretched = aspect * aspect.powf(-towards).clamp(1.0 / most, most);
        if stretched < 1.0 { [side * stretched, side] } else { [side, side / stretched] }
    };
    image::bitmap(page, size, edge)
}

/// Three digits side by side.
struct Line {
    page: GrayImage,
    /// The columns of each, which may overlap.
    columns: [Range<usize>; 3],
}

/// The digit of an index between two others, with gaps from 4 pixels to an overlap of 2.
fn line(digits: &Dataset, index: usize, random: &mut impl Rng) -> Line {
    let mut page = blank(5 * SIDE);
    let [left, right] = [0; 2].map(|_| neighbour(digits, random));
    let mut end = SIDE + 2;
    let columns = [left, index, right].map(|index| {
        let image = digits.image(index);
        let filled = |x: &usize| (0..SIDE).any(|y| image[y * SIDE + x] > 0);
        let inked = (0..SIDE).find(filled).unwrap_or(0)..(0..SIDE).rfind(filled).unwrap_or(0) + 1;
        let start = end + below(7, random) - 2;
        place(&mut page, image, start - inked.start, SIDE / 2 + below(7, random));
        end = start + inked.len();
        start..end
    });
    Line { page, columns }
}

/// The index of a digit, often a 1: the one that is most easily taken for a part of what is beside it.
fn neighbour(digits: &Dataset, random: &mut impl Rng) -> usize {
    let mut draw = || below(digits.len(), random);
    (0..3).map(|_| draw()).find(|&index| digits.labels()[index] == 1).unwrap_or_else(draw)
}

impl Line {
    /// Only what is in these columns.
    fn only(mut self, columns: Range<usize>) -> GrayImage {
        for row in self.page.values.chunks_mut(self.page.width) {
            row[..columns.start].fill(0);
            row[columns.end..].fill(0);
        }
        self.page
    }

    /// The digit in the middle, cut out where it meets the others, or a pixel beside.
    fn digit(self, random: &mut impl Rng) -> GrayImage {
        let [left, middle, right] = self.columns.clone();
        let mut between = |a: usize, b: usize| a.min(b) - 1 + below(a.abs_diff(b) + 3, random);
        let (start, end) = (between(left.end, middle.start), between(middle.end, right.start));
        self.only(start..end.max(start + 1))
    }

    /// A part of the digit in the middle, or that with a part of others, or all of two or three.
    fn span(self, random: &mut impl Rng) -> GrayImage {
        let [left, middle, right] = self.columns.clone();
        let within = |columns: &Range<usize>, random: &mut _| {
            columns.start + (columns.len() as f32 * between(0.35, 0.65, random)).round() as usize
        };
        let columns = match below(8, random) {
            0 => middle.start..within(&middle, random),
            1 => within(&middle, random)..middle.end,
            2 => middle.start..within(&right, random),
            3 => within(&left, random)..middle.end,
            4 => within(&left, random)..within(&middle, random),
            5 => left.start..middle.end,
            _ => middle.start..right.end,
        };
        self.only(columns.start..columns.end.max(columns.start + 1))
    }
}

fn outlier(digits: &Dataset, random: &mut impl Rng) -> GrayImage {
    match below(22, random) {
        0..5 => glyphs::letter(PAGE, random),
        5..8 => line(digits, no_one(digits, random), random).span(random),
        8..12 => half(digits, random),
        12..16 => pair(digits, random),
        16..19 => scribble(random),
        19..21 => glyphs::scrawl(PAGE, random),
        _ => spots(random),
    }
}

/// The index of a digit, seldom a 1: half of it would be one again.
fn no_one(digits: &Dataset, random: &mut impl Rng) -> usize {
    let index = below(digits.len(), random);
    if digits.labels()[index] == 1 { below(digits.len(), random) } else { index }
}

/// What is on one side of a line near the middle of a digit; the line is often straight up or across, as the edges of
/// pictures are.
fn half(digits: &Dataset, random: &mut impl Rng) -> GrayImage {
    let mut page = middle(digits, no_one(digits, random));
    let (turn, straight) = (2.0 * symmetric(random), below(2, random) == 0);
    let (sin, cos) = (std::f32::consts::FRAC_PI_2 * if straight { turn.round() } else { turn }).sin_cos();
    let middle = SIDE as f32 + between(-2.0, 2.0, random);
    for (at, value) in page.values.iter_mut().enumerate() {
        let (x, y) = ((at % PAGE) as f32 - middle, (at / PAGE) as f32 - middle);
        if x * cos + y * sin > 0.0 {
            *value = 0;
        }
    }
    page
}

/// Two digits one over the other; the same would often be one again.
fn pair(digits: &Dataset, random: &mut impl Rng) -> GrayImage {
    let (first, mut second) = (below(digits.len(), random), below(digits.len(), random));
    if digits.labels()[first] == digits.labels()[second] {
        second = below(digits.len(), random);
    }
    let mut page = middle(digits, first);
    place(
        &mut page,
        digits.image(second),
        SIDE / 2 + below(13, random) - 6,
        SIDE / 2 + below(25, random) - 12,
    );
    page
}

/// A line that turns as it likes.
fn scribble(random: &mut impl Rng) -> GrayImage {
    let lines = (0..1 + below(3, random)).map(|_| {
        let middle = PAGE as f32 / 2.0;
        let [mut x, mut y] = [0; 2].map(|_| middle + between(-12.0, 12.0, random));
        let (mut heading, mut turn) = (std::f32::consts::PI * symmetric(random), 0.0);
        (0..8 + below(40, random))
            .map(|_| {
                turn = (0.7 * turn + 0.5 * symmetric(random)).clamp(-1.0, 1.0);
                heading += turn;
                // Back to the middle where the page ends.
                let (sin, cos) = heading.sin_cos();
                x = (x + 3.0 * cos).clamp(4.0, PAGE as f32 - 4.0);
                y = (y + 3.0 * sin).clamp(4.0, PAGE as f32 - 4.0);
                [x, y]
            })
            .collect()
    });
    let lines: Vec<Vec<_>> = lines.collect();
    strokes(PAGE, PAGE, &lines, between(1.0, 3.0, random))
}

/// Thick dots, as of textures, stains and pictures.
fn spots(random: &mut impl Rng) -> GrayImage {
    let dots: Vec<_> = (0..1 + below(30, random))
        .map(|_| vec![[0; 2].map(|_| between(10.0, PAGE as f32 - 10.0, random))])
        .collect();
    strokes(PAGE, PAGE, &dots, between(1.0, 9.0, random))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rings and bars, and nothing at all.
    fn digits() -> Dataset {
        let distance = |i: usize| (i % SIDE).abs_diff(14).max((i / SIDE).abs_diff(14));
        let ring = |i: usize| if (6..10).contains(&distance(i)) { 255 } else { 0 };
        let bar =
            |i: usize| if (12..16).contains(&(i % SIDE)) && (4..24).contains(&(i / SIDE)) { 255 } else { 0 };
        let pixel = |i: usize| [ring(i % PIXELS), bar(i % PIXELS), 0][i / PIXELS];
        Dataset::new((0..3 * PIXELS).map(pixel).collect(), vec![0, 1, 7]).unwrap()
    }

    fn key(place: u64) -> u64 {
        place << 32
    }

    #[test]
    fn shares_are_kept_and_the_same_key_draws_the_same() {
        let (digits, mixture) =
            (digits(), SyntheticData { drawn: 0.1, cut: 0.2, outliers: 0.3, bitmaps: 0.0 });
        let mut counts = [0; 4];
        for key in (0..4000).map(key) {
            let Some(substitute) = mixture.substitute(key, &digits) else {
                counts[3] += 1;
                continue;
            };
            let target = substitute.target(Targets::Labels(digits.labels()));
            let kind = match substitute.kind {
                Kind::Drawn(_) => 0,
                Kind::Cut(_) => 1,
                Kind::Outlier => 2,
                Kind::Image(_) => 3,
            };
            counts[kind] += 1;
            assert_eq!(target.iter().sum::<f32>(), if kind == 2 { 0.0 } else { 1.0 });
            let image = substitute.draw(&digits);
            assert!(image == mixture.substitute(key, &digits).unwrap().draw(&digits));
            let mass: usize = image.iter().map(|&value| usize::from(value)).sum();
            assert!(mass > 255 * 8 || kind == 1, "{key}: {mass}");
        }
        for (count, expected) in counts.into_iter().zip([400_usize, 800, 1200, 1600]) {
            assert!(expected.abs_diff(count) < 120, "{counts:?}");
        }
    }

    #[test]
    fn digits_are_cut_out_where_they_meet_others() {
        let digits = digits();
        for key in (0..200).map(key) {
            let mut random = Pcg64Mcg::seed_from_u64(key);
            let line = line(&digits, 1, &mut random);
            let [left, bar, right] = line.columns.clone();
            assert_eq!(bar.len(), 4);
            assert!((bar.end - 2..=bar.end + 4).contains(&right.start));
            let page = line.digit(&mut random);
            let inked = |x: &usize| (0..PAGE).any(|y| page.row(y)[*x] > 0);
            let (first, last) = ((0..page.width).find(inked), (0..page.width).rfind(inked));
            // By a pixel the cut may miss, and so reach into the other.
            assert!(first.is_none_or(|first| first + 1 >= bar.start.min(left.end)), "{first:?}, {bar:?}");
            assert!(last.is_none_or(|last| last < bar.end.max(right.start) + 1), "{last:?}, {bar:?}");
        }
    }

    #[test]
    fn a_share_of_everything_is_seen_as_bitmaps() {
        let (digits, mixture) =
            (digits(), SyntheticData { drawn: 0.1, cut: 0.2, outliers: 0.3, bitmaps: 0.25 });
        let substitutes: Vec<_> =
            (0..4000).map(key).filter_map(|key| mixture.substitute(key, &digits)).collect();
        let bitmaps = substitutes.iter().filter(|substitute| substitute.bitmap).count();
        let images = substitutes.iter().filter(|substitute| matches!(substitute.kind, Kind::Image(_)));
        assert!(bitmaps.abs_diff(1000) < 100, "{bitmaps}");
        assert!(images.count().abs_diff(400) < 60);
    }

    #[test]
    fn a_bitmap_is_stretched_towards_a_square_but_not_too_far() {
        let digits = digits();
        let mut widest: f32 = 0.0;
        for key in (0..200).map(key) {
            let mut random = Pcg64Mcg::seed_from_u64(key);
            let [ring, bar, line] = [(0, WIDEST), (1, WIDEST), (1, 1.0)].map(|(index, most)| {
                let bitmap = coarse(&middle(&digits, index), most, &mut random);
                assert!(bitmap.values.iter().all(|&value| value == 0 || value == 255));
                let [width, height] = [bitmap.width, bitmap.height].map(|length| length as f32);
                assert!((12.0..=32.0).contains(&height), "{height}");
                width / height
            });
            assert_eq!(ring, 1.0);
            // Of a bar of 4 x 20 pixels, within half a pixel of twelve.
            assert!((0.15..0.55).contains(&bar) && (0.15..0.25).contains(&line), "{bar}, {line}");
            widest = widest.max(bar);
        }
        assert!(widest > 0.45, "{widest}");
        assert_eq!(coarse(&blank(PAGE), WIDEST, &mut Pcg64Mcg::seed_from_u64(0)), blank(PAGE));
    }

    #[test]
    fn impossible_shares_are_refused() {
        for (drawn, cut, outliers) in [(-0.1, 0.0, 0.0), (0.0, f32::NAN, 0.0), (0.4, 0.3, 0.3)] {
            assert!(SyntheticData { drawn, cut, outliers, bitmaps: 0.5 }.validate().is_err());
        }
        let mixture = |bitmaps| SyntheticData { drawn: 0.4, cut: 0.3, outliers: 0.2, bitmaps };
        assert!(mixture(1.0).validate().is_ok());
        assert!(mixture(1.1).validate().is_err());
    }
}
