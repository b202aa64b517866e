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
mod ink_network;
mod polarity;
mod rotate;
mod segmented;
mod straighten;
mod assemble;
mod text;
mod params;
mod classifier;
mod marks;
mod candidate;
mod constraint;
mod lattice;
mod paths;
mod alternatives;
mod reject;
mod activations;
mod trace;
mod form;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use alternatives::LineTexts;
use assemble::{InkReading, LeftOutInk, LineReading};
use candidate::Candidate;
use classifier::Classifier;
use lattice::{Hypothesis, Lattice, Meaning};
use marks::{LineMarks, MarkCandidate};
use paths::best_paths;
use reject::{CandidateLine, LineContext};

pub use {
    activations::{
        DigitActivations, MAX_DIGITS_WITH_ACTIVATIONS, QuantizedFeatureMaps, ReadingWithActivations,
    },
    constraint::{
        Charset, Checksum, Constraint, ConstraintError, Length, MAX_CONSTRAINED_DIGITS,
        MAX_PATTERN_CHARACTERS, Pattern,
    },
    form::{FormArea, FormField, FormTemplate},
    ink_network::{InkNetwork, InkSegmentation},
    params::{
        CombParams, InkSegmentationParams, LatticeParams, LeftOutListParams, MarkDecisionParams, PathParams,
        PolarityParams, RecognizerParams, RejectParams, RemarkParams, RotateParams, ScoreParams,
        StraightenParams, TextProbabilityParams,
    },
    reading::{
        Alternative, CellReading, Digit, DigitRemark, LeftOut, MAX_LEFT_OUT, MarkReading, Reading,
        ReadingRemark,
    },
    trace::Trace,
};
pub(crate) use {
    candidate::any_digit_probability,
    reject::{DEFAULT_REJECTION_THRESHOLD, geometric_mean},
};

use crate::{
    CLASSES, Error,
    data::Task,
    image::{self, Component, Drawing, GrayImage, ImageView, LocatedText, Rect, Stage, Stages},
    nn::Network,
};

/// Recognizes the digits of pictures with a network. Make it once and share it between threads.
#[derive(Clone)]
pub struct Recognizer {
    classifier: Classifier<CLASSES>,
    params: RecognizerParams,
    stages: Stages,
    /// `None` is [`InkNetwork::pretrained`].
    ink_network: Option<InkNetwork>,
    /// What the caller knows of each line.
    constraint: Option<Arc<Constraint>>,
}

impl fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut fields = f.debug_struct("Recognizer");
        fields.field("network", self.network()).field("params", &self.params).field("stages", &self.stages);
        fields.finish_non_exhaustive()
    }
}

impl Recognizer {
    /// Makes a recognizer that classifies with `network` and segments with [`InkNetwork::pretrained`].
    ///
    /// # Errors
    /// [`Error::WrongTask`] if the network doesn't classify images of 28x28 pixels as ten digits.
    pub fn new(network: Network) -> Result<Self, Error> {
        Task::Digits.check(&network)?;
        let (params, stages) = (RecognizerParams::default(), Stages::ALL);
        let classifier = Classifier::new(network);
        Ok(Self { classifier, params, stages, ink_network: None, constraint: None })
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

    /// Returns the recognizer with another network that segments pictures into ink and rules. Without [`Stage::Segment`] no
    /// picture is segmented.
    #[must_use]
    pub fn with_ink_network(self, network: InkNetwork) -> Self {
        Self { ink_network: Some(network), ..self }
    }

    /// Returns the recognizer with a constraint on each line of a picture: the best path that meets it is the reading. A line of
    /// which no path meets it is rejected, as is one whose probability is below
    /// [`RejectParams::min_constrained_probability`].
    ///
    /// # Errors
    /// [`ConstraintError::Contradiction`] if nothing can meet the constraint.
    pub fn with_constraint(self, constraint: Constraint) -> Result<Self, ConstraintError> {
        constraint.check()?;
        Ok(Self { constraint: constraint.into_option(), ..self })
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
        let view = drawing.view();
        let size = [view.width(), view.height()];
        self.run_stages(view.to_gray(), size, single, |bounds| drawing.to_stroke_coordinates(bounds)).reading
    }

    /// Recognizes the digits of a picture, or the only one if it shows a `single` digit, and returns the intermediate images as
    /// well.
    pub fn trace(&self, picture: &ImageView, single: bool) -> Trace {
        self.run_stages(picture.to_gray(), [picture.width(), picture.height()], single, |bounds| bounds)
    }

    /// Does the same as [`trace`](Self::trace) for a part of a picture. Bounding boxes are in pixels of the whole picture.
    ///
    /// # Errors
    /// [`Error::Region`] if the part has no pixels, or is not within the picture.
    pub fn trace_region(&self, picture: &ImageView, region: Rect, single: bool) -> Result<Trace, Error> {
        let (width, height) = (picture.width(), picture.height());
        let bytes = picture.crop(region).ok_or(Error::Region { region, width, height })?;
        let part = ImageView::new(region.width, region.height, &bytes)?;
        let in_picture = |bounds: Rect| Rect { x: bounds.x + region.x, y: bounds.y + region.y, ..bounds };
        Ok(self.run_stages(part.to_gray(), [region.width, region.height], single, in_picture))
    }

    /// Runs all stages on the gray copy of a picture of a size. `convert` maps bounding boxes from pixels of the picture to those of
    /// the reading.
    fn run_stages(
        &self,
        gray: GrayImage,
        size: [usize; 2],
        single: bool,
        convert: impl Fn(Rect) -> Rect,
    ) -> Trace {
        let paper = if self.stages.contains(Stage::Paper) {
            image::find_paper(&gray, &self.params.paper)
        } else {
            None
        };
        let to_picture = |bounds: Rect| bounds.to_picture_coordinates(&gray, 1, size);
        let whole = Rect { x: 0, y: 0, width: size[0], height: size[1] };
        let read_part = paper.as_ref().map_or(whole, |paper| to_picture(paper.bounds));
        let ink_reading = self.read_straightened(paper.as_ref().map_or(&gray, |paper| &paper.gray), single);
        let mut reading = ink_reading.as_ref().map_or_else(Reading::blank, |ink_reading| {
            self.assemble_reading(ink_reading, [read_part.width, read_part.height], |bounds| {
                convert(Rect { x: bounds.x + read_part.x, y: bounds.y + read_part.y, ..bounds })
            })
        });
        let surroundings = paper.iter().flat_map(|paper| &paper.surroundings);
        reading.finish_left_out(surroundings.map(|&bounds| convert(to_picture(bounds))));
        Trace {
            paper: paper.map(|paper| paper.gray),
            ink: ink_reading.map(|reading| reading.ink),
            gray,
            reading,
        }
    }

    /// Reads the writing of an ink map.
    fn read_ink(&self, text: LocatedText, single: bool) -> InkReading {
        let LocatedText { ink, inverted, components, mut left_out, height } = text;
        let area_left_out: usize = left_out.iter().map(|left_out| left_out.component.area()).sum();
        let area = image::total_area(&components) + area_left_out;
        let rules: Vec<_> =
            left_out.iter().filter(|ink| ink.reason.is_ruling()).map(|ink| &ink.component).collect();
        let cells =
            if single { Vec::new() } else { image::cells(&rules, ink.size(), height, &self.params.cells) };
        let mut low = Vec::new();
        let lines = if single {
            vec![self.classify_as_one(&ink, components, height)]
        } else {
            let mut lines = image::lines(components, height, &self.params.lines);
            let marks = if self.stages.contains(Stage::Marks) {
                self.take_marks(&mut lines.lines, &mut left_out)
            } else {
                lines.lines.iter().map(|_| LineMarks::default()).collect()
            };
            left_out.extend(lines.left_out);
            self.recognize_lines(&ink, lines.lines, marks, height, &mut low)
        };
        let mut lines = self.reject(lines);
        let mut left_out: Vec<_> = left_out.into_iter().map(LeftOutInk::from).chain(low).collect();
        // A line of marks alone is none.
        let without_digits = lines.extract_if(.., |line| line.verdicts.is_empty());
        left_out.extend(without_digits.flat_map(LineReading::into_left_out_ink));
        self.leave_out_stray_lines(&mut lines, &mut left_out);
        let reading = InkReading {
            lines,
            cells,
            ink,
            inverted,
            left_out,
            height,
            quarter_turns: 0,
            straightening: None,
            magnification: 1,
        };
        debug_assert_eq!(reading.ink_area(), area, "each pixel of ink is in one candidate or left out");
        reading
    }

    /// Classifies all components as one candidate, or none if there are no components.
    fn classify_as_one(&self, ink: &GrayImage, components: Vec<Component>, height: usize) -> CandidateLine {
        let group: Vec<_> = components.iter().collect();
        let groups = if group.is_empty() { Vec::new() } else { vec![group] };
        let candidates = self.classify_groups(ink, groups);
        let lattice = Lattice::of_one_digit(components);
        self.choose_path(lattice, candidates, LineContext::SingleDigit, LineMarks::default(), height)
    }

    /// Segments lines of components, whose marks were removed, into the candidates of the best paths. A line whose components are
    /// all certain digits needs no other segmentation. Candidates lower than digits are moved to `low`, unless they are certainly
    /// digits in a line of digits.
    fn recognize_lines(
        &self,
        ink: &GrayImage,
        lines: Vec<image::Line>,
        marks: Vec<LineMarks>,
        text_height: usize,
        low: &mut Vec<LeftOutInk>,
    ) -> Vec<CandidateLine> {
        struct Line {
            lattice: Lattice,
            /// The candidates of all spans; `None` if they are not classified yet.
            candidates: Option<Vec<Candidate>>,
            context: LineContext,
            height: usize,
        }
        let params = &self.params;
        // One batch for the components of all lines, and another for all lattices.
        let components = lines.iter().flat_map(|line| &line.components).map(|component| vec![component]);
        let mut per_component = self.classify_groups(ink, components.collect()).into_iter();
        let mut budget = params.lattice.max_candidates;
        let plan_line = |image::Line { components, height }| {
            let per_component: Vec<_> = per_component.by_ref().take(components.len()).collect();
            let context = LineContext::new(&per_component, height, &params.lattice, &params.reject);
            let is_certain = |candidate: &Candidate| candidate.is_certain(height, &params.lattice);
            if !per_component.iter().all(is_certain) {
                let lattice = Lattice::new(components.clone(), &per_component, height, params, self.stages);
                if lattice.spans.len() <= budget {
                    budget -= lattice.spans.len();
                    return Line { lattice, candidates: None, context, height };
                }
            }
            let lattice = Lattice::of_components(components);
            Line { lattice, candidates: Some(per_component), context, height }
        };
        let lines: Vec<Line> = lines.into_iter().map(plan_line).collect();
        let unclassified = lines.iter().filter(|line| line.candidates.is_none());
        let groups = unclassified.flat_map(|line| line.lattice.span_components());
        let mut per_span = self.classify_groups(ink, groups.collect()).into_iter();
        let choose_path = |(Line { lattice, candidates, context, height }, marks): (Line, LineMarks)| {
            let spans = lattice.spans.len();
            let candidates = candidates.unwrap_or_else(|| per_span.by_ref().take(spans).collect());
            let mut line = self.choose_path(lattice, candidates, context, marks, height);
            let is_too_small = |candidate: &Candidate| {
                candidate.is_below_digit_height(height.max(text_height), &params.lattice)
                    && (context != LineContext::MostlyDigits
                        || candidate.confidence() < params.lattice.min_low_confidence)
            };
            // Under a constraint, the best path says which low components are digits.
            if self.constraint.is_none() || line.candidates.iter().all(is_too_small) {
                let too_small = line.candidates.extract_if(.., |candidate| is_too_small(candidate));
                low.extend(too_small.map(LeftOutInk::from));
            }
            low.append(&mut line.left_out);
            line
        };
        lines.into_iter().zip(marks).map(choose_path).collect()
    }

    /// Chooses the best path through a line, under the constraint if there is one and a path meets it.
    fn choose_path(
        &self,
        lattice: Lattice,
        candidates: Vec<Candidate>,
        context: LineContext,
        LineMarks { mut marks, hypotheses: mark_hypotheses }: LineMarks,
        height: usize,
    ) -> CandidateLine {
        let params = &self.params;
        let constraint = self.constraint.as_deref();
        let is_doubtful = |candidate: &Candidate| self.is_doubtful_segment(candidate, context);
        let constrained_marks = constraint.map(|_| &mark_hypotheses[..]);
        let hypotheses =
            lattice.hypotheses(&candidates, constrained_marks, height, &params.score, is_doubtful);
        let boundaries = lattice.segments.len() + 1;
        let free = best_paths(&hypotheses, boundaries, None, &params.paths);
        let constrained = constraint.map(|it| best_paths(&hypotheses, boundaries, Some(it), &params.paths));
        let is_constraint_met = constrained.as_ref().is_none_or(|paths| !paths.is_empty());
        let free_score = free.first().map_or(0.0, |path| path.score);
        let paths = constrained.filter(|paths| !paths.is_empty()).unwrap_or(free);
        let constraint_cost = free_score - paths.first().map_or(0.0, |path| path.score);
        let bounds = |hypothesis: &Hypothesis| lattice.bounds(&hypothesis.span);
        let texts = LineTexts::new(&paths, &hypotheses, bounds, constraint_cost, is_constraint_met);
        let mut candidates: Vec<_> = candidates.into_iter().map(Some).collect();
        let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
        for &index in paths.first().iter().flat_map(|path| &path.hypotheses) {
            let Hypothesis { span, meaning, .. } = &hypotheses[index];
            match *meaning {
                Meaning::Digit { digit, candidate } => {
                    chosen.extend(candidates[candidate].take().map(|it| Candidate { digit, ..it }));
                }
                Meaning::Fragment { candidate } => {
                    left_out.extend(candidates[candidate].take().map(LeftOutInk::from));
                }
                Meaning::Mark { mark, confidence } => marks.push(MarkCandidate {
                    mark,
                    confidence,
                    bounds: lattice.bounds(span),
                    area: lattice.area(span),
                }),
            }
        }
        CandidateLine { candidates: chosen, context, marks, height, texts, left_out }
    }

    /// Normalizes and classifies each group of components as one digit. Returns one candidate for each group; no group is empty.
    fn classify_groups(&self, ink: &GrayImage, groups: Vec<Vec<&Component>>) -> Vec<Candidate> {
        let normalize = |group: &Vec<&Component>| {
            image::normalize_digit(ink, group.iter().copied(), &self.params.normalize, self.stages)
        };
        let digits: Vec<_> = groups.iter().map(normalize).collect();
        let images: Vec<u8> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let probabilities = self.classifier.classify(&images);
        let areas = groups.iter().map(|group| group.iter().map(|component| component.area()).sum());
        let candidate = |((normalized, probabilities), area)| Candidate::new(normalized, area, probabilities);
        digits.into_iter().zip(probabilities).zip(areas).map(candidate).collect()
    }

    fn network(&self) -> &Network {
        &self.classifier.network
    }

    fn ink_network(&self) -> &InkNetwork {
        /// Decoded for the first picture that needs it, because most small pictures don't.
        static PRETRAINED: LazyLock<InkNetwork> = LazyLock::new(InkNetwork::pretrained);
        self.ink_network.as_ref().unwrap_or_else(|| &PRETRAINED)
    }
}
