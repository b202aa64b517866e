//! Reading: a picture in, digits out.
//!
//! ```
//! # use lenet::{image::ImageView, models, nn::{Network, Normalize}, recognize::Recognizer};
//! # let network = Network::new(models::lenet5(), Normalize::MNIST, 0)?;
//! # let (width, height, bytes) = (28, 28, [255; 28 * 28]);
//! let recognizer = Recognizer::new(network);
//! let picture = ImageView::new(width, height, &bytes)?; // grey, grey with alpha, RGB or RGBA
//! let reading = recognizer.read(&picture);
//! println!("{} {:?}", reading.text, reading.remarks);
//! # assert_eq!(reading.remarks, ["blank"]);
//! # Ok::<(), lenet::Error>(())
//! ```

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex},
};

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    CLASSES, PIXELS,
    image::{
        self, Binarized, Component, Drawing, GrayImage, ImageView, NormalizedDigit, Rect, Stages,
        TextComponents,
    },
    metrics,
    nn::{CHUNK, FeatureMaps, Memory, Network, argmax},
};

/// Reads pictures with a network; to be made once and shared between threads.
#[derive(Clone)]
pub struct Recognizer {
    network: Network,
    steps: Stages,
    /// What nobody reads with: to make it anew for each picture would take a quarter of the time of a small one.
    spare: Arc<Mutex<Vec<Memory>>>,
}

impl fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { network, steps, .. } = self;
        f.debug_struct("Recognizer").field("network", network).field("steps", steps).finish_non_exhaustive()
    }
}

/// What was read in a picture.
#[derive(Debug, Clone, Serialize)]
pub struct Reading {
    /// The digits, with `\n` between lines and `?` for those that were refused.
    pub text: String,
    /// The digits, line by line from left to right.
    pub digits: Vec<Digit>,
    /// What was found, and what was mended.
    pub remarks: Vec<String>,
}

impl Reading {
    /// The confidence of the digit that is least sure, if there are any.
    pub fn min_confidence(&self) -> Option<f32> {
        self.digits.iter().map(|digit| digit.confidence).min_by(f32::total_cmp)
    }
}

/// What was read at a place.
#[derive(Debug, Clone, Serialize)]
pub struct Digit {
    /// The most probable digit, even if it was refused.
    pub digit: u8,
    /// Its probability.
    pub confidence: f32,
    /// The probability of each digit.
    pub probabilities: [f32; CLASSES],
    /// Where it stands in the picture, in pixels.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// Its line of text, from 0.
    pub line: usize,
    /// Whether this is hardly one digit.
    pub rejected: bool,
    /// Why it was refused, and what was mended.
    pub remarks: Vec<String>,
    /// What the network saw: (row, column).
    #[serde(skip)]
    pub tile: [u8; PIXELS],
}

/// Pictures of the steps from a picture to its reading.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The picture in grey, perhaps smaller.
    pub grey: GrayImage,
    /// What was taken for ink, if anything.
    pub ink: Option<GrayImage>,
    /// The answer.
    pub reading: Reading,
}

/// A reading with what the network saw and made of its digits.
#[derive(Debug, Clone, Serialize)]
pub struct Details {
    /// The reading.
    #[serde(flatten)]
    pub reading: Reading,
    /// For each of the digits, or of the first [`MAX_DETAILS`] if there are more.
    pub details: Vec<DigitDetail>,
}

/// What the network saw and made of a digit.
#[derive(Debug, Clone, Serialize)]
pub struct DigitDetail {
    /// The image that it saw: (row, column).
    pub tile: Vec<u8>,
    /// What its first two convolutions made of that, or the one if it has no more.
    pub maps: Vec<QuantizedMaps>,
}

/// Feature maps in 256 levels.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizedMaps {
    /// The name of the convolution.
    pub layer: String,
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// The least and the greatest value.
    pub range: [f32; 2],
    /// 0 for the least value to 255 for the greatest: (channel, row, column).
    pub levels: Vec<u8>,
}

/// Digits of which details are told at most: they are many times as long as the reading.
pub const MAX_DETAILS: usize = 16;

impl From<FeatureMaps> for QuantizedMaps {
    fn from(FeatureMaps { layer, shape, values }: FeatureMaps) -> Self {
        let least = values.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = 255.0 / (greatest - least).max(f32::MIN_POSITIVE);
        let levels = values.iter().map(|value| ((value - least) * scale).round() as u8).collect();
        let shape = [shape.channels, shape.height, shape.width];
        Self { layer, shape, range: [least, greatest], levels }
    }
}

impl Recognizer {
    /// A recognizer that reads with `network`.
    pub fn new(network: Network) -> Self {
        Self { network, steps: Stages::default(), spare: Arc::default() }
    }

    /// The same with some steps left out.
    pub fn with_stages(self, steps: Stages) -> Self {
        Self { steps, ..self }
    }

    /// Reads all digits.
    pub fn read(&self, picture: &ImageView) -> Reading {
        self.trace(picture, false).reading
    }

    /// Reads a picture of one digit: all of the writing is taken for one.
    pub fn read_single(&self, picture: &ImageView) -> Reading {
        self.trace(picture, true).reading
    }

    /// Reads what was drawn, as one digit if it is a `single` one, with boxes in the units of its strokes.
    pub fn read_drawing(&self, drawing: &Drawing, single: bool) -> Reading {
        let mut reading = self.trace(&drawing.picture(), single).reading;
        for digit in &mut reading.digits {
            digit.bounds = drawing.place(digit.bounds);
        }
        reading
    }

    /// Adds to a reading what the network saw and made of its digits.
    pub fn details(&self, reading: Reading) -> Details {
        let detail = |digit: &Digit| {
            let maps = self.network.feature_maps(&digit.tile);
            DigitDetail {
                tile: digit.tile.to_vec(),
                maps: maps.into_iter().take(2).map(QuantizedMaps::from).collect(),
            }
        };
        let details = reading.digits.iter().take(MAX_DETAILS).map(detail).collect();
        Details { reading, details }
    }

    /// Reads, as one digit if it is a `single` one, and shows the steps.
    pub fn trace(&self, picture: &ImageView, single: bool) -> Trace {
        let grey = picture.grey();
        let mut reading = Reading { text: String::new(), digits: Vec::new(), remarks: Vec::new() };
        let Some((Binarized { map, inverted }, writing)) = self.find(&grey) else {
            reading.remarks.push("blank".into());
            return Trace { grey, ink: None, reading };
        };
        let lines = match single {
            true => vec![self.read_one(&map, &writing)],
            false => {
                let lines = image::lines(writing.parts, writing.height);
                self.read_lines(&map, lines, writing.height, MOST_TRIES)
            }
        };
        for (line, digits) in lines.into_iter().filter(|digits| !digits.is_empty()).enumerate() {
            if line > 0 {
                reading.text.push('\n');
            }
            for digit in digits {
                reading.text.push(if digit.rejected { '?' } else { char::from(b'0' + digit.digit) });
                reading.digits.push(Digit { line, bounds: digit.bounds.within(&map, picture), ..digit });
            }
        }
        if inverted {
            reading.remarks.push("inverted".into());
        }
        match &reading.digits[..] {
            [] => reading.remarks.push("nothing like a digit".into()),
            [digit] if is_off_centre(&digit.bounds, picture) => reading.remarks.push("off-centre".into()),
            [_] => (),
            digits => reading.remarks.push(format!("{} digits", digits.len())),
        }
        if reading.digits.iter().any(|digit| digit.rejected) {
            reading.remarks.extend(self.doubt().map(str::to_owned));
        }
        Trace { grey, ink: Some(map), reading }
    }

    /// Finds the writing, in a smaller copy if it is large. `None` if nothing is written.
    fn find(&self, grey: &GrayImage) -> Option<(Binarized, TextComponents)> {
        let look = |part| {
            let ink = image::binarize(grey, part, self.steps)?;
            let writing = image::find_text(&ink.map, self.steps);
            Some((ink, writing))
        };
        let (mut ink, mut writing) = look(2)?;
        if writing.doubtful {
            // There is more shadow than writing: narrower shadows are taken for paper.
            let closer = [4, 8, 16].into_iter().filter_map(look).find(|(_, writing)| !writing.doubtful);
            (ink, writing) = closer.unwrap_or((ink, writing));
        }
        while self.steps.shrink && writing.height > LARGE {
            let map = ink.map.shrink(2);
            let smaller = image::find_text(&map, self.steps);
            // Thin strokes would vanish.
            if 5 * image::area(&smaller.parts) < image::area(&writing.parts) {
                break;
            }
            (ink.map, writing) = (map, smaller);
        }
        Some((ink, writing))
    }

    /// What is said of a reading in which something was refused.
    fn doubt(&self) -> Option<&'static str> {
        let alone = "refused by confidence alone: the network has not learned what is no digit";
        self.network.threshold().is_none().then_some(alone)
    }

    /// Reads all parts as one digit.
    fn read_one(&self, ink: &GrayImage, writing: &TextComponents) -> Vec<Digit> {
        let all: Vec<_> = writing.parts.iter().collect();
        let groups = if all.is_empty() { Vec::new() } else { vec![all] };
        self.guess(ink, groups).into_iter().map(|guess| self.digit(guess, false)).collect()
    }

    /// Reads lines of parts, in writing of this height, with at most so many `tries` of what may be one digit: a line that
    /// needs more than are left is read part by part.
    fn read_lines(
        &self,
        ink: &GrayImage,
        lines: Vec<Vec<Component>>,
        height: usize,
        mut tries: usize,
    ) -> Vec<Vec<Digit>> {
        let mut alone = self.guess(ink, lines.iter().flatten().map(|part| vec![part]).collect()).into_iter();
        let lines: Vec<(Vec<Candidate>, bool, Option<Lattice>)> = lines
            .into_iter()
            .map(|line| {
                let guesses: Vec<_> = alone.by_ref().take(line.len()).collect();
                let sure = guesses.iter().filter(|guess| guess.is_sure(height)).count();
                let low = guesses.iter().filter(|guess| guess.is_low(height)).count();
                let among = sure >= 2 && 2 * sure + low >= guesses.len();
                let lattice = (sure < guesses.len()).then(|| self.lattice(line, &guesses, height));
                let lattice = lattice.filter(|lattice| lattice.spans.len() <= tries);
                tries -= lattice.as_ref().map_or(0, |lattice| lattice.spans.len());
                (guesses, among, lattice)
            })
            .collect();
        let groups = lines.iter().filter_map(|(.., lattice)| lattice.as_ref()).flat_map(Lattice::groups);
        let mut tried = self.guess(ink, groups.collect()).into_iter();
        let read = |(alone, among, lattice): (Vec<Candidate>, bool, Option<Lattice>)| match lattice {
            Some(lattice) => {
                let guesses = tried.by_ref().take(lattice.spans.len()).collect();
                self.line(self.best_path(&lattice, guesses, height, among), height, among)
            }
            None => self.line(alone, height, among),
        };
        lines.into_iter().map(read).collect()
    }

    /// The digits of a line in which these guesses stand, and what is refused; `among` digits or not.
    fn line(&self, mut guesses: Vec<Candidate>, height: usize, among: bool) -> Vec<Digit> {
        guesses.retain(|guess| !guess.is_low(height));
        let mut digits: Vec<_> = guesses.into_iter().map(|guess| self.digit(guess, among)).collect();
        let refused = digits.iter().filter(|digit| digit.rejected).count();
        if 2 * refused >= digits.len() {
            // In such company what looks like a digit is a letter, or a piece of one.
            for digit in digits.iter_mut().filter(|digit| !digit.rejected) {
                digit.rejected = true;
                digit.remarks.insert(0, "among what is no digit".into());
            }
        }
        digits
    }

    /// The parts of a line, cut into slices where they may be several digits, and which neighbours may be one digit: what
    /// each part would be `alone` tells.
    fn lattice(&self, line: Vec<Component>, alone: &[Candidate], height: usize) -> Lattice {
        let mut pieces = Vec::new();
        for (index, (part, guess)) in line.into_iter().zip(alone).enumerate() {
            let (sure, low) = (guess.is_sure(height), guess.is_low(height));
            let narrow = 10 * part.bounds.width < 8 * part.bounds.height;
            let long = part.bounds.width > LONGEST * part.bounds.height;
            let cut = self.steps.split && !(sure || low || narrow || long);
            let parts = if cut { image::oversegment(&part) } else { vec![part] };
            let slices = parts.len();
            pieces.extend(parts.into_iter().map(|part| Segment { part, index, slices, sure, low }));
        }
        let mut spans: Vec<Range<usize>> = Vec::new();
        for start in 0..pieces.len() {
            let mut bounds = pieces[start].part.bounds;
            spans.push(start..start + 1);
            for end in start + 1..pieces.len() {
                bounds = bounds.union(&pieces[end].part.bounds);
                if 2 * bounds.width > 3 * height.max(bounds.height)
                    || !self.joins(&pieces[end - 1], &pieces[end], height)
                {
                    break;
                }
                spans.push(start..end + 1);
            }
            // However wide it is, a whole part may be one digit, or none.
            let first = start == 0 || pieces[start - 1].index < pieces[start].index;
            let whole = start + pieces[start].slices;
            if first && spans.last().is_some_and(|last| last.end < whole) {
                spans.push(start..whole);
            }
        }
        Lattice { pieces, spans }
    }

    /// Of all ways to take neighbouring pieces for digits, or a whole part for none, the one that fits best: `guesses` tell
    /// what each span would be, `among` digits or not.
    fn best_path(
        &self,
        lattice: &Lattice,
        guesses: Vec<Candidate>,
        height: usize,
        among: bool,
    ) -> Vec<Candidate> {
        let Lattice { pieces, spans } = lattice;
        // The best way to read the pieces before each: its score, and its last span.
        let mut best = vec![(f32::NEG_INFINITY, 0); pieces.len() + 1];
        best[0].0 = 0.0;
        for (index, (span, guess)) in spans.iter().zip(&guesses).enumerate() {
            let (first, last) = (&pieces[span.start], &pieces[span.end - 1]);
            let whole = first.index == last.index && span.len() == first.slices;
            let mut score = guess.score(height);
            if whole {
                score = score.max(guess.score_of_none());
            } else if self.doubts(guess, among) {
                score -= DOUBTFUL_SLICE;
            }
            let score = best[span.start].0 + score;
            if score > best[span.end].0 {
                best[span.end] = (score, index);
            }
        }
        let mut path = vec![false; spans.len()];
        let mut end = pieces.len();
        while end > 0 {
            path[best[end].1] = true;
            end = spans[best[end].1].start;
        }
        guesses.into_iter().zip(path).filter(|(_, chosen)| *chosen).map(|(guess, _)| guess).collect()
    }

    /// Whether two neighbouring pieces may be of one digit: they were cut apart, or they are near, and one of them can hardly
    /// be a digit, or they stand above each other.
    fn joins(&self, left: &Segment, right: &Segment, height: usize) -> bool {
        let (a, b) = (left.part.bounds, right.part.bounds);
        let gap = b.x.saturating_sub(a.right());
        let above = 2 * a.right().saturating_sub(b.x) > a.width.min(b.width);
        let unsure = !(left.sure && right.sure) && 10 * gap <= height;
        left.index == right.index
            || (self.steps.join && 4 * gap <= height && (left.low || right.low || above || unsure))
    }

    /// Whether a slice, or several parts as one, are doubtful. What stands `among` digits is probably one too; elsewhere
    /// pieces of a letter are digits more often than the letter is, so that they must be better ones.
    fn doubts(&self, guess: &Candidate, among: bool) -> bool {
        match self.network.threshold() {
            Some(_) if !among => guess.any_digit() < LEAST_SLICE,
            _ => self.refuses(guess, among),
        }
    }

    /// Whether a guess is hardly a digit: by the network's threshold, after a second look, or, if it has not learned what
    /// is none, for want of confidence. What stands `among` digits is probably one too.
    fn refuses(&self, guess: &Candidate, among: bool) -> bool {
        match self.network.threshold() {
            Some(threshold) if among => guess.any_digit() < threshold.min(LEAST_AMONG),
            Some(threshold) => self.look_twice(guess, threshold) < threshold,
            None => guess.confidence() < LEAST,
        }
    }

    /// The probability of being a digit, after a second look at what has sharp edges and may fall on either side of
    /// `threshold`: what is below its square stays below, however sure the second look is.
    fn look_twice(&self, guess: &Candidate, threshold: f32) -> f32 {
        let first = guess.any_digit();
        let open = (threshold * threshold..=SURELY).contains(&first);
        if !open || guess.tile.enlarged || !self.steps.soften {
            return first;
        }
        let second = self.classify_images(&image::soften(&guess.tile.pixels));
        of_two_looks(first, any_digit(&second[0]))
    }

    /// The digit of a guess, or what is refused.
    fn digit(&self, guess: Candidate, among: bool) -> Digit {
        let confidence = guess.confidence();
        let rejected = self.refuses(&guess, among);
        let mut remarks = Vec::new();
        if rejected {
            remarks.push(if self.network.threshold().is_some() { "not a digit" } else { "unsure" }.into());
        }
        if guess.tile.thickened {
            remarks.push("thickened".into());
        }
        Digit {
            digit: argmax(&guess.probabilities),
            confidence,
            probabilities: guess.probabilities,
            bounds: guess.bounds,
            line: 0,
            rejected,
            remarks,
            tile: guess.tile.pixels,
        }
    }

    /// What each group of parts would be as one digit.
    fn guess(&self, ink: &GrayImage, groups: Vec<Vec<&Component>>) -> Vec<Candidate> {
        let tiles: Vec<_> =
            groups.iter().map(|parts| image::normalize_digit(ink, parts, self.steps)).collect();
        let pixels: Vec<u8> = tiles.iter().flat_map(|tile| tile.pixels).collect();
        let answers = self.classify_images(&pixels);
        let bounds =
            groups.iter().map(|parts| parts.iter().map(|part| part.bounds).reduce(|a, b| a.union(&b)));
        tiles
            .into_iter()
            .zip(answers)
            .zip(bounds)
            .filter_map(|((tile, probabilities), bounds)| {
                Some(Candidate { tile, probabilities, bounds: bounds? })
            })
            .collect()
    }

    /// The probability of each digit for each of `images`, as [`Network::probabilities`].
    fn classify_images(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        let mut logits = vec![[0.0; CLASSES]; images.len() / PIXELS];
        images.par_chunks(CHUNK * PIXELS).zip(logits.par_chunks_mut(CHUNK)).for_each(|(images, logits)| {
            let spare = self.spare.lock().ok().and_then(|mut spare| spare.pop());
            let mut memory = spare.unwrap_or_else(|| Memory::new(&self.network, 0, CHUNK));
            memory.read(&self.network, images, logits);
            if let Ok(mut spare) = self.spare.lock() {
                spare.push(memory);
            }
        });
        logits.into_iter().map(|logits| self.network.calibrated_softmax(logits)).collect()
    }
}

/// The threshold of `network` below which at most `share`, from 0 to 1, of `images` (image, row, column), all of digits,
/// are refused.
pub fn threshold(network: &Network, images: &[u8], share: f64) -> f32 {
    let soft: Vec<u8> = images.as_chunks().0.iter().flat_map(image::soften).collect();
    let looks = network.probabilities(images).into_iter().zip(network.probabilities(&soft));
    let digits = looks.map(|(first, second)| of_two_looks(any_digit(&first), any_digit(&second)));
    metrics::quantile(digits.collect(), share)
}

/// The probability of being a digit that two looks at the same give: their geometric mean, as either may doubt it.
fn of_two_looks(first: f32, second: f32) -> f32 {
    (first * second).sqrt()
}

/// The probability of being a digit, whichever.
fn any_digit(probabilities: &[f32; CLASSES]) -> f32 {
    probabilities.iter().sum()
}

/// Whether the middle of a digit is further from that of its picture than an eighth of the width or the height.
fn is_off_centre(bounds: &Rect, picture: &ImageView) -> bool {
    let off = |start: usize, length: usize, all: usize| 4 * (2 * start + length).abs_diff(all) > all;
    off(bounds.x, bounds.width, picture.width()) || off(bounds.y, bounds.height, picture.height())
}

/// Height of writing above which it is made smaller, in pixels.
const LARGE: usize = 96;
/// Probability below which a digit is refused by a network that has not learned what is none.
const LEAST: f32 = 0.5;
/// Probability of being a digit at all below which something is refused in a line of which two parts at least, and half of
/// all, surely are digits.
const LEAST_AMONG: f32 = 0.03;

/// Probability of being a digit at all above which something needs no second look.
const SURELY: f32 = 0.99;

/// Probability of being a digit at all below which a slice, or several parts as one, are doubtful, unless in such a line.
const LEAST_SLICE: f32 = 0.97;
/// What a path loses for what is doubtful: such a cut is worth less than to take the whole part for none.
const DOUBTFUL_SLICE: f32 = 3.0;
/// Width in heights above which no part is cut: a ruled line, or a texture, rather than so many digits that touch.
const LONGEST: usize = 16;
/// Spans of pieces that are tried in a picture, at most. Hundreds of digits don't need so many, and a texture could take
/// minutes.
const MOST_TRIES: usize = 4096;

/// What a line may be taken for.
struct Lattice {
    pieces: Vec<Segment>,
    /// Neighbouring pieces that may be one digit.
    spans: Vec<Range<usize>>,
}

impl Lattice {
    /// The parts of each span.
    fn groups(&self) -> impl Iterator<Item = Vec<&Component>> {
        self.spans.iter().map(|span| self.pieces[span.clone()].iter().map(|piece| &piece.part).collect())
    }
}

/// A part of a line, or a slice of one.
struct Segment {
    part: Component,
    /// The part's place in the line.
    index: usize,
    /// Slices of the part.
    slices: usize,
    /// Whether the whole part is surely a digit.
    sure: bool,
    /// Whether it is lower than a digit.
    low: bool,
}

/// What some ink would be as one digit.
struct Candidate {
    tile: NormalizedDigit,
    probabilities: [f32; CLASSES],
    bounds: Rect,
}

impl Candidate {
    fn confidence(&self) -> f32 {
        self.probabilities[usize::from(argmax(&self.probabilities))]
    }

    /// The probability of being a digit, whichever.
    fn any_digit(&self) -> f32 {
        any_digit(&self.probabilities)
    }

    /// Whether it need not be looked at otherwise, in a line of this height.
    fn is_sure(&self, height: usize) -> bool {
        let least = if self.aspect() < 0.9 { 0.8 } else { 0.97 };
        self.confidence() > least && !self.is_low(height)
    }

    /// Width in heights.
    fn aspect(&self) -> f32 {
        self.bounds.width as f32 / self.bounds.height as f32
    }

    /// How well it fits, in writing of this height, as a logarithm: the network's confidence, less something for each digit,
    /// so that one is preferred to two, and for shapes that digits seldom have.
    fn score(&self, height: usize) -> f32 {
        let low = (0.6 - self.bounds.height as f32 / height as f32).max(0.0);
        let wide = (self.aspect() - 1.0).max(0.0);
        self.confidence().max(f32::MIN_POSITIVE).ln() - 0.2 - 5.0 * wide - 10.0 * low
    }

    /// How well it fits to be no digit: better than to be cut into digits of which one is doubtful, and worse the more digits
    /// have room in it.
    fn score_of_none(&self) -> f32 {
        let digits = (self.aspect() / 0.75).max(1.0);
        digits * if digits > 2.0 { -2.0 } else { -1.3 }
    }

    /// Whether it is lower than any digit in a line of this height.
    fn is_low(&self, height: usize) -> bool {
        2 * self.bounds.height < height
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{models, nn::Normalize, pretrained};

    /// Strokes on a page of 100 x 100.
    type Sign = &'static [&'static [[f32; 2]]];

    const SEVEN: Sign = &[&[[30.0, 20.0], [70.0, 20.0], [45.0, 80.0]]];
    const FOUR: Sign = &[&[[40.0, 15.0], [25.0, 55.0], [70.0, 55.0]], &[[58.0, 30.0], [55.0, 85.0]]];
    const E: Sign =
        &[&[[65.0, 20.0], [30.0, 20.0], [30.0, 80.0], [65.0, 80.0]], &[[30.0, 50.0], [60.0, 50.0]]];
    /// A seven whose strokes don't touch.
    const BROKEN: Sign = &[&[[30.0, 20.0], [70.0, 20.0]], &[[65.0, 33.0], [45.0, 80.0]]];

    /// What is read where signs of 100 x 100 pixels stand, each with its corner at some (x, y), on a page of 300 x 120.
    fn read(recognizer: &Recognizer, signs: &[(Sign, [f32; 2])], inverted: bool) -> Reading {
        recognizer.read(&ImageView::new(300, 120, &page(signs, inverted)).unwrap())
    }

    /// That page's grey pixels.
    fn page(signs: &[(Sign, [f32; 2])], inverted: bool) -> Vec<u8> {
        let strokes: Vec<Vec<_>> = signs
            .iter()
            .flat_map(|(sign, [x, y])| {
                sign.iter()
                    .map(move |stroke| stroke.iter().map(|point| [point[0] + x, point[1] + y]).collect())
            })
            .collect();
        let mut page = image::strokes(300, 120, &strokes, 4.0).values;
        if !inverted {
            page.iter_mut().for_each(|value| *value = 255 - *value);
        }
        page
    }

    #[test]
    fn digits_are_read_letters_refused_and_what_was_mended_told() {
        let recognizer = Recognizer::new(pretrained::handwriting().0);
        let said = |signs: &[_], inverted| {
            let reading = read(&recognizer, signs, inverted);
            (reading.text, reading.remarks)
        };
        let remarks = |remarks: &[&str]| remarks.iter().map(|&remark| remark.to_owned()).collect::<Vec<_>>();
        assert_eq!(said(&[(SEVEN, [100.0, 10.0])], false), ("7".into(), remarks(&[])));
        assert_eq!(said(&[(SEVEN, [0.0, 10.0])], true), ("7".into(), remarks(&["inverted", "off-centre"])));
        assert_eq!(
            said(&[(FOUR, [0.0, 10.0]), (SEVEN, [100.0, 10.0]), (FOUR, [190.0, 10.0])], false),
            ("474".into(), remarks(&["3 digits"]))
        );
        assert_eq!(said(&[(E, [100.0, 10.0])], false).0, "?");
        let company = read(&recognizer, &[(E, [20.0, 10.0]), (SEVEN, [130.0, 10.0])], false);
        assert_eq!(company.text, "??");
        assert_eq!(company.digits[0].remarks, ["not a digit"]);
        assert_eq!(company.digits[1].remarks, ["among what is no digit"]);
    }

    #[test]
    fn a_network_that_has_not_learned_what_is_no_digit_says_so() {
        let network = Network::new(models::lenet5(), Normalize::MNIST, 0).unwrap();
        let reading = read(&Recognizer::new(network), &[(SEVEN, [100.0, 10.0])], false);
        assert_eq!(
            (reading.text.as_str(), reading.digits[0].remarks.as_slice()),
            ("?", &["unsure".into()][..])
        );
        assert!(reading.remarks[0].starts_with("refused by confidence alone"), "{:?}", reading.remarks);
    }

    #[test]
    fn what_is_doubtful_is_a_digit_among_digits_or_after_a_second_look() {
        let recognizer = Recognizer::new(pretrained::handwriting().0);
        let [seven, e] =
            [SEVEN, E].map(|sign| read(&recognizer, &[(sign, [100.0, 10.0])], false).digits[0].tile);
        let refused = |pixels, enlarged, among, probability| {
            let tile = NormalizedDigit { pixels, enlarged, thickened: false };
            let probabilities = std::array::from_fn(|digit| if digit == 7 { probability } else { 0.0 });
            let guess = Candidate { tile, probabilities, bounds: Rect { x: 0, y: 0, width: 10, height: 20 } };
            recognizer.digit(guess, among).rejected
        };
        let doubtful = [0.02, 0.2, 0.98, 0.995];
        for (tile, enlarged, among, expected) in [
            (e, false, true, [true, false, false, false]),
            (e, false, false, [true, true, true, false]),
            (e, true, false, [true, true, false, false]),
            (seven, false, false, [true, false, false, false]),
        ] {
            let found = doubtful.map(|probability| refused(tile, enlarged, among, probability));
            assert_eq!(found, expected, "{enlarged}, {among}");
        }
    }

    #[test]
    fn a_line_that_needs_too_many_tries_is_read_part_by_part() {
        let recognizer = Recognizer::new(pretrained::handwriting().0);
        let page = page(&[(FOUR, [0.0, 10.0]), (BROKEN, [100.0, 10.0])], false);
        let grey = ImageView::new(300, 120, &page).unwrap().grey();
        let answers = |tries| {
            let (ink, writing) = recognizer.find(&grey).unwrap();
            let lines = image::lines(writing.parts, writing.height);
            let digits = recognizer.read_lines(&ink.map, lines, writing.height, tries).concat();
            digits.iter().map(|digit| digit.digit).collect::<Vec<_>>()
        };
        assert_eq!(answers(MOST_TRIES), [4, 7]);
        assert_eq!(answers(3), [4, 1]);
    }

    /// The lattice of a ladder of this length, 20 pixels high, with two of its rungs.
    fn ladder(length: usize) -> Lattice {
        let recognizer = Recognizer::new(Network::new(models::lenet5(), Normalize::MNIST, 0).unwrap());
        let inked = |x: usize, y: usize| x < length && (x == 0 || x + 1 == length || !(3..17).contains(&y));
        let values = (0..400 * 20).map(|at| if inked(at % 400, at / 400) { 255 } else { 0 }).collect();
        let ink = GrayImage { width: 400, height: 20, values, scale: 1 };
        let parts = image::find_text(&ink, Stages::NONE).parts;
        let alone = recognizer.guess(&ink, parts.iter().map(|part| vec![part]).collect());
        recognizer.lattice(parts, &alone, 20)
    }

    #[test]
    fn what_is_longer_than_digits_that_touch_is_not_cut() {
        assert_eq!([320, 321].map(|length| ladder(length).pieces.len()), [129, 1]);
    }

    #[test]
    fn a_part_may_be_one_digit_or_none_however_wide_it_is() {
        let Lattice { pieces, spans } = ladder(100);
        assert!(pieces.len() > 1);
        assert_eq!(spans.iter().filter(|span| **span == (0..pieces.len())).count(), 1);
    }
}
