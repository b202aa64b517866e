//! Recognition: a picture in, digits out.
//!
//! ```
//! use lenet::{image::ImageView, pretrained, recognize::{Recognizer, ReadingRemark}};
//!
//! let recognizer = Recognizer::new(pretrained::handwriting().0)?;
//! # let (width, height, bytes) = (28, 28, [255; 28 * 28]);
//! let picture = ImageView::new(width, height, &bytes)?; // gray, gray with alpha, RGB or RGBA
//! let reading = recognizer.read(&picture);
//! println!("{} {:?}", reading.text, reading.remarks);
//! # assert_eq!(reading.remarks, [ReadingRemark::Blank]);
//! # Ok::<(), lenet::Error>(())
//! ```
//!
//! The stages up to normalized digits are those of [`image`]. In between, each line becomes a lattice: components
//! that may be several digits are cut, runs of neighboring segments that may be one digit are classified as candidates, and the
//! path with the best score through the candidates is chosen. Candidates that are probably not digits are rejected.

mod reading;
mod params;
mod classifier;
mod candidate;
mod lattice;
mod reject;
mod details;
mod trace;
#[cfg(test)]
mod tests;

use std::fmt;

use candidate::Candidate;
use classifier::Classifier;
use lattice::Lattice;
use reject::{CandidateLine, LineContext, Verdict};

pub(crate) use {candidate::digit_probability, reject::geometric_mean};
pub use {
    details::{Details, DigitDetail, MAX_DETAILS, QuantizedMaps},
    params::{LatticeParams, RecognizerParams, RejectParams, RemarkParams, ScoreParams},
    reading::{Digit, DigitRemark, Reading, ReadingRemark},
    trace::Trace,
};

use crate::{
    Error,
    data::check_digit_network,
    image::{self, Component, Drawing, GrayImage, ImageView, LocatedText, Rect, Stages},
    nn::Network,
};

/// Recognizes the digits of pictures with a network. Make it once and share it between threads.
#[derive(Clone)]
pub struct Recognizer {
    classifier: Classifier,
    params: RecognizerParams,
    stages: Stages,
}

impl fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut fields = f.debug_struct("Recognizer");
        fields.field("network", self.network()).field("params", &self.params).field("stages", &self.stages);
        fields.finish_non_exhaustive()
    }
}

impl Recognizer {
    /// Makes a recognizer that classifies with `network`.
    ///
    /// # Errors
    /// [`Error::NotDigitNetwork`] if the network doesn't classify images of 28x28 pixels as ten digits.
    pub fn new(network: Network) -> Result<Self, Error> {
        check_digit_network(&network)?;
        let (params, stages) = (RecognizerParams::default(), Stages::ALL);
        Ok(Self { classifier: Classifier::new(network), params, stages })
    }

    /// Returns the recognizer with other parameters.
    #[must_use]
    pub fn with_params(self, params: RecognizerParams) -> Self {
        Self { params, ..self }
    }

    /// Returns the recognizer with another set of optional stages.
    #[must_use]
    pub fn with_stages(self, stages: Stages) -> Self {
        Self { stages, ..self }
    }

    /// Recognizes all digits of a picture.
    pub fn read(&self, picture: &ImageView) -> Reading {
        self.trace(picture, false).reading
    }

    /// Recognizes the digit of a picture that shows one: all of the writing is one candidate.
    pub fn read_single(&self, picture: &ImageView) -> Reading {
        self.trace(picture, true).reading
    }

    /// Recognizes the digits of a drawing, or the only one if it shows a `single` digit. Bounding boxes are in units of the
    /// drawing's strokes.
    pub fn read_drawing(&self, drawing: &Drawing, single: bool) -> Reading {
        self.run_stages(&drawing.view(), single, |bounds| drawing.to_stroke_units(bounds)).reading
    }

    /// Recognizes the digits of a picture, or the only one if it shows a `single` digit, and returns the intermediate images as
    /// well.
    pub fn trace(&self, picture: &ImageView, single: bool) -> Trace {
        self.run_stages(picture, single, |bounds| bounds)
    }

    /// Runs all stages. `convert` maps bounding boxes from pixels of the picture to those of the reading.
    fn run_stages(&self, picture: &ImageView, single: bool, convert: impl Fn(Rect) -> Rect) -> Trace {
        let gray = picture.to_gray();
        let Some(text) = image::locate_text(&gray, &self.params.locate, self.stages) else {
            let remarks = vec![ReadingRemark::Blank];
            let reading = Reading { text: String::new(), digits: Vec::new(), remarks };
            return Trace { gray, ink: None, reading };
        };
        let LocatedText { ink, inverted, components, height } = text;
        let lines = if single {
            vec![self.classify_as_one(&ink, &components)]
        } else {
            let lines = image::lines(components, height, &self.params.lines);
            self.segment(&ink, lines, height)
        };
        let verdicts = self.reject(lines);
        let to_picture = |bounds: Rect| bounds.to_picture(&ink, picture);
        let reading = self.assemble(verdicts, inverted, picture, to_picture, convert);
        Trace { gray, ink: Some(ink), reading }
    }

    /// Classifies all components as one candidate, or none if there are no components.
    fn classify_as_one(&self, ink: &GrayImage, components: &[Component]) -> CandidateLine {
        let group: Vec<_> = components.iter().collect();
        let groups = if group.is_empty() { Vec::new() } else { vec![group] };
        CandidateLine { candidates: self.classify(ink, groups), context: LineContext::Unknown }
    }

    /// Segments lines of components into the candidates of the best paths. A line whose components are all certain digits needs
    /// no lattice. Candidates lower than digits are dropped.
    fn segment(&self, ink: &GrayImage, lines: Vec<Vec<Component>>, text_height: usize) -> Vec<CandidateLine> {
        struct Line {
            per_component: Vec<Candidate>,
            context: LineContext,
            lattice: Option<Lattice>,
        }
        let params = &self.params;
        // One batch for the components of all lines, and another for all lattices.
        let components = lines.iter().flatten().map(|component| vec![component]).collect();
        let mut per_component = self.classify(ink, components).into_iter();
        let mut budget = params.lattice.max_candidates;
        let plan_line = |components: Vec<Component>| {
            let per_component: Vec<_> = per_component.by_ref().take(components.len()).collect();
            let context = LineContext::new(&per_component, text_height, &params.lattice, &params.reject);
            let is_certain = |candidate: &Candidate| candidate.is_certain(text_height, &params.lattice);
            let lattice = (!per_component.iter().all(is_certain))
                .then(|| Lattice::new(components, &per_component, text_height, params, self.stages))
                .filter(|lattice| lattice.spans.len() <= budget);
            budget -= lattice.as_ref().map_or(0, |lattice| lattice.spans.len());
            Line { per_component, context, lattice }
        };
        let lines: Vec<Line> = lines.into_iter().map(plan_line).collect();
        let groups = lines.iter().filter_map(|line| line.lattice.as_ref()).flat_map(Lattice::groups);
        let mut per_span = self.classify(ink, groups.collect()).into_iter();
        let choose_candidates = |Line { per_component, context, lattice }: Line| {
            let mut candidates = match lattice {
                Some(lattice) => {
                    let candidates = per_span.by_ref().take(lattice.spans.len()).collect();
                    let is_doubtful = |candidate: &Candidate| self.is_doubtful_segment(candidate, context);
                    lattice.best_path(candidates, text_height, &params.score, is_doubtful)
                }
                None => per_component,
            };
            candidates.retain(|candidate| !candidate.is_low(text_height, &params.lattice));
            CandidateLine { candidates, context }
        };
        lines.into_iter().map(choose_candidates).collect()
    }

    /// Normalizes and classifies each group of components as one digit. Returns one candidate for each group; no group is empty.
    fn classify(&self, ink: &GrayImage, groups: Vec<Vec<&Component>>) -> Vec<Candidate> {
        let normalize = |group: &Vec<&Component>| {
            image::normalize_digit(ink, group.iter().copied(), &self.params.normalize, self.stages)
        };
        let digits: Vec<_> = groups.iter().map(normalize).collect();
        let images: Vec<u8> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let probabilities = self.classifier.classify(&images);
        let candidate = |(normalized, probabilities)| Candidate { normalized, probabilities };
        digits.into_iter().zip(probabilities).map(candidate).collect()
    }

    /// Makes the reading. `to_picture` maps bounding boxes to pixels of the picture, and `convert` from there to units of the
    /// reading.
    fn assemble(
        &self,
        lines: Vec<Vec<Verdict>>,
        inverted: bool,
        picture: &ImageView,
        to_picture: impl Fn(Rect) -> Rect,
        convert: impl Fn(Rect) -> Rect,
    ) -> Reading {
        let (mut text, mut digits, mut boxes) = (String::new(), Vec::new(), Vec::new());
        for (line, verdicts) in lines.into_iter().filter(|line| !line.is_empty()).enumerate() {
            if line > 0 {
                text.push('\n');
            }
            for Verdict { candidate, rejection } in verdicts {
                let (digit, confidence) = (candidate.digit(), candidate.confidence());
                let Candidate { normalized, probabilities } = candidate;
                let bounds = to_picture(normalized.bounds);
                let thickened = normalized.thickened.then_some(DigitRemark::Thickened);
                text.push(if rejection.is_some() { '?' } else { char::from(b'0' + digit) });
                boxes.push(bounds);
                digits.push(Digit {
                    digit,
                    confidence,
                    probabilities,
                    bounds: convert(bounds),
                    line,
                    rejected: rejection.is_some(),
                    remarks: rejection.into_iter().chain(thickened).collect(),
                    normalized: normalized.pixels,
                });
            }
        }
        let any_rejected = digits.iter().any(|digit| digit.rejected);
        let layout = match &boxes[..] {
            [] => Some(ReadingRemark::NoDigits),
            [bounds] => self.is_off_center(bounds, picture).then_some(ReadingRemark::OffCenter),
            _ => Some(ReadingRemark::MultipleDigits),
        };
        let remarks = [
            inverted.then_some(ReadingRemark::Inverted),
            layout,
            (any_rejected && self.rejection_threshold().is_none()).then_some(ReadingRemark::NoOutlierClass),
        ];
        Reading { text, digits, remarks: remarks.into_iter().flatten().collect() }
    }

    /// Returns whether the center of a digit is far from that of the picture.
    fn is_off_center(&self, bounds: &Rect, picture: &ImageView) -> bool {
        let is_far = |start: usize, length: usize, picture_length: usize| {
            let doubled_offset = (2 * start + length).abs_diff(picture_length) as f64;
            doubled_offset > 2.0 * self.params.remarks.max_center_offset * picture_length as f64
        };
        is_far(bounds.x, bounds.width, picture.width()) || is_far(bounds.y, bounds.height, picture.height())
    }

    fn network(&self) -> &Network {
        &self.classifier.network
    }
}
