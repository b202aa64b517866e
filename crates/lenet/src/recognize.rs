//! Reading: a picture in, digits out.
//!
//! ```
//! # use lenet::{image::Picture, models, nn::{Network, Scaling}, recognize::Recognizer};
//! # let network = Network::new(models::lenet5(), Scaling::STANDARD, 0)?;
//! # let (width, height, bytes) = (28, 28, [255; 28 * 28]);
//! let recognizer = Recognizer::new(network);
//! let picture = Picture::new(width, height, &bytes)?; // grey, grey with alpha, RGB or RGBA
//! let reading = recognizer.read(&picture);
//! println!("{} {:?}", reading.text, reading.remarks);
//! # assert_eq!(reading.remarks, ["blank"]);
//! # Ok::<(), lenet::Error>(())
//! ```

use serde::Serialize;

use crate::{
    CLASSES, PIXELS,
    image::{self, Bounds, Grey, Ink, Part, Picture, Steps, Tile, Writing},
    nn::{Network, answer},
};

/// Reads pictures with a network; to be made once and shared between threads.
#[derive(Debug, Clone)]
pub struct Recognizer {
    network: Network,
    steps: Steps,
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
    pub fn weakest(&self) -> Option<f32> {
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
    pub bounds: Bounds,
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
pub struct Explanation {
    /// The picture in grey, perhaps smaller.
    pub grey: Grey,
    /// What was taken for ink, if anything.
    pub ink: Option<Grey>,
    /// The answer.
    pub reading: Reading,
}

impl Recognizer {
    /// A recognizer that reads with `network`.
    pub fn new(network: Network) -> Self {
        Self { network, steps: Steps::default() }
    }

    /// The same with some steps left out.
    pub fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    /// Reads all digits.
    pub fn read(&self, picture: &Picture) -> Reading {
        self.explain(picture, false).reading
    }

    /// Reads a picture of one digit: all of the writing is taken for one.
    pub fn read_single(&self, picture: &Picture) -> Reading {
        self.explain(picture, true).reading
    }

    /// Reads, as one digit if it is a `single` one, and shows the steps.
    pub fn explain(&self, picture: &Picture, single: bool) -> Explanation {
        let grey = picture.grey();
        let mut reading = Reading { text: String::new(), digits: Vec::new(), remarks: Vec::new() };
        let Some((Ink { map, inverted }, writing)) = self.find(&grey) else {
            reading.remarks.push("blank".into());
            return Explanation { grey, ink: None, reading };
        };
        let lines = match single {
            true => vec![self.read_one(&map, &writing)],
            false => {
                let lines = image::lines(writing.parts, writing.height);
                lines.into_iter().map(|line| self.read_line(&map, line, writing.height)).collect()
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
        match reading.digits.len() {
            0 => reading.remarks.push("nothing like a digit".into()),
            1 => (),
            count => reading.remarks.push(format!("{count} digits")),
        }
        Explanation { grey, ink: Some(map), reading }
    }

    /// Finds the writing, in a smaller copy if it is large. `None` if nothing is written.
    fn find(&self, grey: &Grey) -> Option<(Ink, Writing)> {
        let look = |part| {
            let ink = image::ink(grey, part, self.steps)?;
            let writing = image::writing(&ink.map, self.steps);
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
            let smaller = image::writing(&map, self.steps);
            // Thin strokes would vanish.
            if 5 * image::area(&smaller.parts) < image::area(&writing.parts) {
                break;
            }
            (ink.map, writing) = (map, smaller);
        }
        Some((ink, writing))
    }

    /// Reads all parts as one digit.
    fn read_one(&self, ink: &Grey, writing: &Writing) -> Vec<Digit> {
        let all: Vec<_> = writing.parts.iter().collect();
        let groups = if all.is_empty() { Vec::new() } else { vec![all] };
        self.guess(ink, groups).into_iter().map(Guess::into_digit).collect()
    }

    /// Reads the parts of a line, in writing of this height: of all ways to take neighbouring pieces for digits the one
    /// that fits best.
    fn read_line(&self, ink: &Grey, line: Vec<Part>, height: usize) -> Vec<Digit> {
        let alone = self.guess(ink, line.iter().map(|part| vec![part]).collect());
        if alone.iter().all(|guess| guess.is_sure(height)) {
            return alone.into_iter().map(Guess::into_digit).collect();
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for (index, (part, guess)) in line.into_iter().zip(alone).enumerate() {
            let (sure, low) = (guess.is_sure(height), guess.is_low(height));
            let narrow = 10 * part.bounds.width < 7 * part.bounds.height;
            let slices =
                if sure || low || narrow || !self.steps.split { vec![part] } else { image::slices(&part) };
            pieces.extend(slices.into_iter().map(|part| Piece { part, index, sure, low }));
        }
        // (first piece, the one after the last): what may be a digit.
        let mut spans = Vec::new();
        for start in 0..pieces.len() {
            let mut bounds = pieces[start].part.bounds;
            spans.push((start, start + 1));
            for end in start + 1..pieces.len() {
                bounds = bounds.union(&pieces[end].part.bounds);
                if 2 * bounds.width > 3 * height.max(bounds.height)
                    || !self.joins(&pieces[end - 1], &pieces[end], height)
                {
                    break;
                }
                spans.push((start, end + 1));
            }
        }
        let parts_of =
            |&(start, end): &(usize, usize)| pieces[start..end].iter().map(|piece| &piece.part).collect();
        let guesses = self.guess(ink, spans.iter().map(parts_of).collect());

        // The best way to read the pieces before each: its score, and its last span.
        let mut best = vec![(f32::NEG_INFINITY, 0); pieces.len() + 1];
        best[0].0 = 0.0;
        for (index, &(start, end)) in spans.iter().enumerate() {
            let score = best[start].0 + guesses[index].score(height);
            if score > best[end].0 {
                best[end] = (score, index);
            }
        }
        let mut path = Vec::new();
        let mut end = pieces.len();
        while end > 0 {
            path.push(best[end].1);
            end = spans[best[end].1].0;
        }
        path.sort_unstable();
        let mut guesses: Vec<_> = guesses.into_iter().map(Some).collect();
        let digits = path.into_iter().filter_map(|index| guesses[index].take());
        digits.filter(|guess| !guess.is_low(height)).map(Guess::into_digit).collect()
    }

    /// Whether two neighbouring pieces may be of one digit: they were cut apart, or they are near, and one of them can hardly
    /// be a digit, or they stand above each other.
    fn joins(&self, left: &Piece, right: &Piece, height: usize) -> bool {
        let (a, b) = (left.part.bounds, right.part.bounds);
        let gap = b.x.saturating_sub(a.right());
        let above = 2 * a.right().saturating_sub(b.x) > a.width.min(b.width);
        let unsure = !(left.sure && right.sure) && 10 * gap <= height;
        left.index == right.index
            || (self.steps.join && 4 * gap <= height && (left.low || right.low || above || unsure))
    }

    /// What each group of parts would be as one digit.
    fn guess(&self, ink: &Grey, groups: Vec<Vec<&Part>>) -> Vec<Guess> {
        let tiles: Vec<_> = groups.iter().map(|parts| image::tile(ink, parts, self.steps)).collect();
        let pixels: Vec<u8> = tiles.iter().flat_map(|tile| tile.pixels).collect();
        let answers = self.network.predict(&pixels);
        let bounds =
            groups.iter().map(|parts| parts.iter().map(|part| part.bounds).reduce(|a, b| a.union(&b)));
        tiles
            .into_iter()
            .zip(answers)
            .zip(bounds)
            .filter_map(|((tile, probabilities), bounds)| {
                Some(Guess { tile, probabilities, bounds: bounds? })
            })
            .collect()
    }
}

/// Height of writing above which it is made smaller, in pixels.
const LARGE: usize = 96;
/// Probability below which a digit is refused.
const LEAST: f32 = 0.3;

/// A part of a line, or a slice of one.
struct Piece {
    part: Part,
    /// The part's place in the line.
    index: usize,
    /// Whether the whole part is surely a digit.
    sure: bool,
    /// Whether it is lower than a digit.
    low: bool,
}

/// What some ink would be as one digit.
struct Guess {
    tile: Tile,
    probabilities: [f32; CLASSES],
    bounds: Bounds,
}

impl Guess {
    fn confidence(&self) -> f32 {
        self.probabilities[usize::from(answer(&self.probabilities))]
    }

    /// Whether it need not be looked at otherwise, in a line of this height.
    fn is_sure(&self, height: usize) -> bool {
        let (confidence, aspect) = (self.confidence(), self.aspect());
        let good = (confidence > 0.8 && aspect < 1.1) || (confidence > 0.9 && aspect < 1.4);
        good && !self.is_low(height)
    }

    /// Width in heights.
    fn aspect(&self) -> f32 {
        self.bounds.width as f32 / self.bounds.height as f32
    }

    /// How well it fits, in writing of this height, as a logarithm: the network's confidence, less something for each digit,
    /// so that one is preferred to two, and for shapes that digits seldom have. A score that knows what is no digit
    /// belongs here.
    fn score(&self, height: usize) -> f32 {
        let low = (0.6 - self.bounds.height as f32 / height as f32).max(0.0);
        let wide = (self.aspect() - 1.0).max(0.0);
        self.confidence().ln() - 0.8 - 5.0 * wide - 10.0 * low
    }

    /// Whether it is lower than any digit in a line of this height.
    fn is_low(&self, height: usize) -> bool {
        2 * self.bounds.height < height
    }

    fn into_digit(self) -> Digit {
        let confidence = self.confidence();
        let rejected = confidence < LEAST;
        let mut remarks = Vec::new();
        if rejected {
            remarks.push("unsure".into());
        }
        if self.tile.thickened {
            remarks.push("thickened".into());
        }
        Digit {
            digit: answer(&self.probabilities),
            confidence,
            probabilities: self.probabilities,
            bounds: self.bounds,
            line: 0,
            rejected,
            remarks,
            tile: self.tile.pixels,
        }
    }
}
