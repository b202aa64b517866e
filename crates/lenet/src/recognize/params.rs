//! Parameters of recognition.
//!
//! Where a field says nothing else, its default was chosen empirically, on generated suites of MNIST's training images and on
//! handwriting of other sources. `docs/experiments/recognition.md` has the trials.

use crate::image::{
    CellParams, DigitNormalizationParams, FrameParams, LineParams, LocateParams, MarkParams,
    OversegmentParams, PaperParams, SlopeParams, SpaceParams,
};

/// Parameters of all stages of a [`Recognizer`](super::Recognizer).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RecognizerParams {
    /// Parameters of the search for paper in dark surroundings.
    pub paper: PaperParams,
    /// Parameters of the stages that find the writing.
    pub locate: LocateParams,
    /// Parameters of the choice between polarities.
    pub polarity: PolarityParams,
    /// Parameters of the reading of turned pictures.
    pub rotate: RotateParams,
    /// Parameters of the straightening of pictures whose lines slope.
    pub straighten: StraightenParams,
    /// Parameters of the search for cells.
    pub cells: CellParams,
    /// Parameters of the search for the frame of a form.
    pub frame: FrameParams,
    /// Parameters of the grouping into lines.
    pub lines: LineParams,
    /// Parameters of the search for marks between digits.
    pub marks: MarkParams,
    /// Parameters of the decision what is a mark.
    pub mark_decision: MarkDecisionParams,
    /// Parameters of the spaces between numbers.
    pub spaces: SpaceParams,
    /// Parameters of the choice between a table and a comb.
    pub comb: CombParams,
    /// Parameters of the cutting of components.
    pub oversegment: OversegmentParams,
    /// Parameters of the normalization of digits.
    pub normalize: DigitNormalizationParams,
    /// Parameters of the candidates of a line.
    pub lattice: LatticeParams,
    /// Parameters of the scores that choose between candidates.
    pub score: ScoreParams,
    /// Parameters of the search for the best paths through a line.
    pub paths: PathParams,
    /// Parameters of the probability of a text.
    pub text_probability: TextProbabilityParams,
    /// Parameters of the rejection of candidates.
    pub reject: RejectParams,
    /// Parameters of the list of what was left out.
    pub left_out: LeftOutListParams,
    /// Parameters of the remarks on a reading.
    pub remarks: RemarkParams,
    /// Parameters of the segmentation by an ink network.
    pub segmentation: InkSegmentationParams,
}

impl RecognizerParams {
    /// Returns parameters with which every picture is segmented, as for tables, because rules may be too pale for the binarized
    /// picture.
    pub fn for_tables() -> Self {
        let never = InkSegmentationParams { min_certain_confidence: 1.0, ..InkSegmentationParams::default() };
        Self { segmentation: never, ..Self::default() }
    }
}

/// Parameters of the choice between a table, whose cells hold numbers, and a comb or boxes, whose cells hold a digit each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CombParams {
    /// Cells with two or more digits and marks, as a fraction of the cells that hold any, from which they hold numbers.
    pub min_number_cells: f64,
}

impl Default for CombParams {
    fn default() -> Self {
        Self { min_number_cells: 0.25 }
    }
}

/// Parameters of the decision what is a mark, which are probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkDecisionParams {
    /// Probability of the most probable mark from which components lower than a digit are a mark.
    pub min_probability: f32,
    /// The same for components of a digit's height, which are more often digits.
    pub min_tall_probability: f32,
    /// Probability from which a mark is in the text.
    pub min_certain_probability: f32,
}

impl Default for MarkDecisionParams {
    fn default() -> Self {
        Self { min_probability: 0.5, min_tall_probability: 0.8, min_certain_probability: 0.8 }
    }
}

/// Parameters of the choice between light and dark writing where ink fills the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolarityParams {
    /// Fraction of the ink in components that touch the picture's border, from which the estimated polarity is doubtful: what
    /// surrounds a digit that fills its picture looks like ink.
    pub min_border_ink: f64,
    /// Number of components above which the estimated polarity is not doubtful: the picture shows more than a tight crop.
    pub max_components: usize,
    /// Longer side of the reduced copy in which other polarities are read, in pixels, at most.
    pub max_side_px: usize,
    /// [`BinarizeParams::paper_quantile`](crate::image::BinarizeParams::paper_quantile) of pictures that a digit fills.
    pub crop_paper_quantile: f64,
    /// Difference of light and dark pixels, in gray levels, from which a picture that seems to be blank may be filled by a digit:
    /// the edge of a shadow is weaker.
    pub min_contrast: u8,
    /// Longer side of a picture whose edges are all so soft that shadows aren't looked for, in pixels, at most.
    pub max_soft_side_px: usize,
    /// Side of what is read in another polarity, as a fraction of the picture's, at least: width or height.
    pub min_filled_side: f64,
    /// How much better, as a fraction of the ink that is read, another ink map is than that of the estimated polarity, unless
    /// the picture is no larger than `max_soft_side_px`.
    pub min_gain: f64,
}

impl Default for PolarityParams {
    fn default() -> Self {
        Self {
            min_border_ink: 0.5,
            max_components: 32,
            max_side_px: 512,
            crop_paper_quantile: 0.1,
            min_contrast: 160,
            max_soft_side_px: 32,
            min_filled_side: 0.9,
            min_gain: 0.6,
        }
    }
}

/// Parameters of the reading of pictures that are turned by 90, 180 or 270 degrees. Ink that is read is weighted by its
/// confidence, and given as a fraction of all ink.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotateParams {
    /// Number of candidates, at least, and of those that are no 1 in the turned picture: a single digit may be another one that
    /// is turned, and rules look like 1s.
    pub min_candidates: usize,
    /// Number of candidates, at most, because each rotation takes the time of the picture.
    pub max_candidates: usize,
    /// Ink that is read, from which the picture is taken for upright.
    pub min_upright: f64,
    /// Ink that is read of a turned picture, at least.
    pub min_turned: f64,
    /// Difference of both, at least.
    pub min_gain: f64,
    /// Longer side of the reduced copy that is rotated, in pixels, at most.
    pub max_side_px: usize,
}

impl Default for RotateParams {
    fn default() -> Self {
        Self {
            min_candidates: 3,
            max_candidates: 32,
            min_upright: 0.6,
            min_turned: 0.9,
            min_gain: 0.2,
            max_side_px: 640,
        }
    }
}

/// Parameters of the straightening of pictures whose lines slope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StraightenParams {
    /// Parameters of the slope.
    pub slope: SlopeParams,
    /// Number of candidates, at least, because the strokes of fewer digits look like sloping lines.
    pub min_candidates: usize,
    /// Mean number of runs of ink in a row of pixels, at least, where there are fewer candidates: a grid has more than a digit.
    pub min_runs_in_row: f64,
    /// Score from which the reading of the straightened picture is good. Otherwise, the picture as it is is read as well.
    pub min_score: f64,
}

impl Default for StraightenParams {
    fn default() -> Self {
        Self { slope: SlopeParams::default(), min_candidates: 4, min_runs_in_row: 5.0, min_score: 0.8 }
    }
}

/// Parameters of the lattice: which components are cut, and which neighboring segments form candidates. Heights are in text
/// heights, aspect ratios are widths divided by heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatticeParams {
    /// Height below which a candidate is a fragment rather than a digit.
    pub min_digit_height: f64,
    /// Confidence below which a candidate lower than `min_digit_height` is left out, also in a line of mostly digits.
    pub min_low_confidence: f32,
    /// Confidence above which a component narrower than `narrow_aspect` is certainly one digit, and neither cut nor joined.
    pub min_narrow_confidence: f32,
    /// Confidence above which any other component is certainly one digit.
    pub min_wide_confidence: f32,
    /// Aspect ratio below which a component is narrow.
    pub narrow_aspect: f32,
    /// Aspect ratio of a component below which it is not cut.
    pub min_split_aspect: f64,
    /// Aspect ratio of a component above which it is not cut: it is a rule or a texture rather than so many touching digits.
    pub max_split_aspect: usize,
    /// Aspect ratio of the widest candidate that is not a whole component. Its height counts as the text height at least.
    pub max_candidate_aspect: f64,
    /// Largest gap in text heights between components that can be joined, if one of them is low or they are stacked.
    pub max_join_gap: f64,
    /// Largest gap in text heights between other components that can be joined.
    pub max_uncertain_join_gap: f64,
    /// Horizontal overlap, as a fraction of the narrower one's width, above which two components are stacked.
    pub min_stacked_overlap: f64,
    /// Number of candidates of all lattices of a picture, at most. A line that needs more than are left is classified component
    /// by component. Hundreds of digits need fewer; a texture could otherwise take minutes.
    pub max_candidates: usize,
}

impl Default for LatticeParams {
    fn default() -> Self {
        Self {
            min_digit_height: 0.5,
            min_low_confidence: 0.97,
            min_narrow_confidence: 0.8,
            min_wide_confidence: 0.97,
            narrow_aspect: 0.9,
            min_split_aspect: 0.8,
            max_split_aspect: 16,
            max_candidate_aspect: 1.5,
            max_join_gap: 0.25,
            max_uncertain_join_gap: 0.1,
            min_stacked_overlap: 0.5,
            max_candidates: 4096,
        }
    }
}

/// Parameters of the scores of candidates, which are logarithms of probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreParams {
    /// Cost of each digit, so that one digit is preferred to two.
    pub digit_cost: f32,
    /// Aspect ratio above which a digit is improbable.
    pub max_digit_aspect: f32,
    /// Cost of a unit of aspect ratio above `max_digit_aspect`.
    pub aspect_cost: f32,
    /// Height in text heights below which a digit is improbable.
    pub min_digit_height: f32,
    /// Cost of a text height below `min_digit_height`.
    pub height_cost: f32,
    /// Cost of a candidate that is not a whole component and is doubtful as a digit. It makes a doubtful cut worse than to take
    /// the whole component for an outlier.
    pub doubtful_segment_cost: f32,
    /// Aspect ratio of a typical digit, by which the number of digits in an outlier's place is estimated.
    pub typical_digit_aspect: f32,
    /// Probability below which a digit is not taken into consideration, and which marks have at least.
    pub min_probability: f32,
    /// Score of a low component that is neither a digit nor a mark, under a constraint.
    pub fragment_log_prior: f32,
    /// Score of an outlier for each digit in its place.
    pub outlier_log_prior: f32,
    /// The same for outliers in the place of more than `max_narrow_outlier` digits.
    pub wide_outlier_log_prior: f32,
    /// Number of digits in an outlier's place up to which `outlier_log_prior` holds.
    pub max_narrow_outlier: f32,
}

impl Default for ScoreParams {
    fn default() -> Self {
        Self {
            digit_cost: 0.2,
            max_digit_aspect: 1.0,
            aspect_cost: 5.0,
            min_digit_height: 0.6,
            height_cost: 10.0,
            doubtful_segment_cost: 3.0,
            typical_digit_aspect: 0.75,
            min_probability: 1e-4,
            fragment_log_prior: -0.5,
            outlier_log_prior: -1.3,
            wide_outlier_log_prior: -2.0,
            max_narrow_outlier: 2.0,
        }
    }
}

/// Parameters of the search for the best paths through a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathParams {
    /// Number of partial paths of each pair of a boundary and a state of the constraint.
    pub paths_per_state: usize,
    /// Number of partial paths of each boundary, at most.
    pub max_nodes: usize,
    /// How much lower the score of a partial path is than that of the best one to the same boundary, at most: two digits of the
    /// lowest probability that is taken into consideration.
    pub max_score_gap: f32,
    /// Number of paths of a line, at most.
    pub max_paths: usize,
}

impl Default for PathParams {
    fn default() -> Self {
        Self { paths_per_state: 4, max_nodes: 256, max_score_gap: 20.0, max_paths: 32 }
    }
}

/// Parameters of the probability that the text of a line is right: a logistic regression, fitted by the test
/// `fit_text_probability` of `lenet-cli` on 1,440 synthetic lines and pages of MNIST's last 10,000 training images. The posterior
/// of a text is its probability if one of the paths is right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextProbabilityParams {
    /// Logit where the others add nothing.
    pub intercept: f32,
    /// Factor of the sum of the logarithms of the confidences of digits and marks.
    pub per_log_confidence: f32,
    /// Factor of the logit of the posterior.
    pub per_posterior_logit: f32,
    /// Factor of the difference in score between the best path without a constraint and the chosen one.
    pub per_constraint_cost: f32,
    /// Probabilities below it count as this one.
    pub min_probability: f32,
    /// Number of alternatives of a reading, at most.
    pub max_alternatives: usize,
    /// Probability of an alternative, at least.
    pub min_alternative: f32,
}

impl Default for TextProbabilityParams {
    fn default() -> Self {
        Self {
            intercept: 1.85,
            per_log_confidence: 0.46,
            per_posterior_logit: 0.21,
            per_constraint_cost: 0.71,
            min_probability: 1e-4,
            max_alternatives: 5,
            min_alternative: 0.001,
        }
    }
}

/// Parameters of the rejection of candidates. "P(digit)" is the sum of the ten probabilities of a network with an outlier
/// class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RejectParams {
    /// Confidence below which a candidate is rejected, whatever the network.
    pub min_confidence: f32,
    /// Probability of the text of a line below which all of its digits are rejected.
    pub min_text_probability: f32,
    /// The same for lines under a constraint.
    pub min_constrained_probability: f32,
    /// Confidence below which a network without an outlier class rejects.
    pub min_confidence_without_outlier_class: f32,
    /// P(digit) below which a candidate is rejected in a line of mostly digits, if the network's threshold is not lower still.
    pub min_digit_probability_among_digits: f32,
    /// P(digit) below which the candidate of a picture that is said to show one digit is rejected, if the network's threshold is
    /// not lower still.
    pub min_single_digit_probability: f32,
    /// P(digit) below which a candidate that is not a whole component is doubtful, except in a line of mostly digits. It is
    /// higher than the threshold, because fragments of letters look like digits more often than letters do.
    pub min_segment_probability: f32,
    /// P(digit) above which a candidate is not rescored.
    pub max_rescored_probability: f32,
    /// Number of certain digits that a line of mostly digits has at least.
    pub min_certain_digits: usize,
    /// Fraction of a line's components, fragments not counted, that are certain digits in a line of mostly digits, at least.
    pub min_certain_fraction: f64,
    /// Fraction of a line's candidates that are rejected, from which the others are rejected as well: they are probably letters.
    /// From the same fraction of a picture's candidates, the only digits of lines are.
    pub max_rejected_fraction: f64,
    /// Number of candidates of a picture, at least, of which many being rejected says something about the others.
    pub min_picture_candidates: usize,
    /// Candidates of a line that doesn't meet the constraint while another line does, up to which it is stray ink: as a fraction
    /// of the digits that the constraint demands.
    pub max_stray_fraction: f64,
    /// Number of 1s in a line without other digits, at least, that are taken for tally marks.
    pub min_tally_marks: usize,
}

impl Default for RejectParams {
    fn default() -> Self {
        Self {
            min_confidence: 0.0,
            min_text_probability: 0.0,
            min_constrained_probability: 0.1,
            min_confidence_without_outlier_class: 0.5,
            min_digit_probability_among_digits: 0.03,
            min_single_digit_probability: 0.05,
            min_segment_probability: 0.97,
            max_rescored_probability: 0.99,
            min_certain_digits: 2,
            min_certain_fraction: 0.5,
            max_rejected_fraction: 0.5,
            min_picture_candidates: 4,
            max_stray_fraction: 0.5,
            min_tally_marks: 6,
        }
    }
}

impl RejectParams {
    /// Returns the parameters with the thresholds that are given; that of the text holds also under a constraint.
    #[must_use]
    pub fn with_thresholds(self, min_confidence: Option<f32>, min_text_probability: Option<f32>) -> Self {
        Self {
            min_confidence: min_confidence.unwrap_or(self.min_confidence),
            min_text_probability: min_text_probability.unwrap_or(self.min_text_probability),
            min_constrained_probability: min_text_probability.unwrap_or(self.min_constrained_probability),
            ..self
        }
    }
}

/// Parameters of the list of what was left out, in text heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeftOutListParams {
    /// Longer side up to which ink is noise, and is not listed.
    pub max_noise_side: f64,
    /// Height of ink of a digit's size, at least.
    pub min_digit_height: f64,
    /// Height of ink of a digit's size, at most.
    pub max_digit_height: f64,
    /// Width of ink of a digit's size, at most.
    pub max_digit_width: f64,
}

impl Default for LeftOutListParams {
    fn default() -> Self {
        Self { max_noise_side: 0.05, min_digit_height: 0.5, max_digit_height: 2.0, max_digit_width: 1.5 }
    }
}

/// Parameters of the segmentation of a picture by an ink network. The network was trained for digits of 10 to 110 pixels, so it
/// sees copies of the picture at several scales. A mean side is the square root of a picture's number of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InkSegmentationParams {
    /// Largest mean sides of the copies, in pixels, from small to large.
    pub max_mean_sides_px: [f64; 3],
    /// Mean side in pixels up to which a copy of twice the size is segmented as well.
    pub max_magnified_mean_side_px: f64,
    /// Mean side in pixels below which a picture is not segmented, because it has room for a digit but not for rules.
    pub min_mean_side_px: f64,
    /// Mean confidence, and fraction of the ink that was read, above which the reading of the binarized picture is certain.
    pub min_certain_confidence: f64,
    /// Score (0 to 1: mean confidence times the fraction of the ink that was read) of the reading of a segmented copy, at least:
    /// lower ones are of pictures without digits.
    pub min_score: f64,
    /// Score from which the reading of a segmented copy is final if another map is read as the same digits.
    pub min_confirmed_score: f64,
    /// What each other map that is read as the same digits adds to the score of a reading.
    pub agreement_gain: f64,
    /// Score, with that of agreement, that the reading of a segmented copy has more than that of the binarized picture, at least.
    pub min_gain: f64,
    /// Score, at least, of the reading of a segmented copy that has the digits of the binarized picture and more, if a frame was
    /// left out there: it held the others.
    pub min_framed_score: f64,
    /// Number of candidates of the binarized picture up to which those of a segmented copy may be the same writing.
    pub max_same_candidates: usize,
    /// Aspect ratio of these candidates, at most: a wider one may be several digits that a rule joins.
    pub max_same_aspect: f32,
    /// Intersection over union of the bounding boxes of both writings above which they are the same.
    pub min_same_overlap: f64,
    /// Area of the rules, as a fraction of that of rules and candidates, from which the same writing may be joined with a rule in
    /// the binarized picture.
    pub min_rule_fraction: f64,
    /// Radius of the square by which ink is closed across rules, in pixels of the copy: half the thickness of a rule.
    pub closing_radius_px: usize,
}

impl Default for InkSegmentationParams {
    fn default() -> Self {
        Self {
            max_mean_sides_px: [260.0, 450.0, 750.0],
            max_magnified_mean_side_px: 380.0,
            min_mean_side_px: 40.0,
            min_certain_confidence: 0.95,
            min_score: 0.6,
            min_confirmed_score: 0.8,
            agreement_gain: 0.1,
            min_gain: 0.05,
            min_framed_score: 0.8,
            max_same_candidates: 2,
            max_same_aspect: 2.0,
            min_same_overlap: 0.7,
            min_rule_fraction: 0.3,
            closing_radius_px: 4,
        }
    }
}

/// Parameters of remarks on a reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RemarkParams {
    /// Distance of the center of a picture's only digit from the picture's, as a fraction of the picture's width or height, above
    /// which the digit is off-center.
    pub max_center_offset: f64,
    /// Probability of the text of a constrained reading below which it is doubtful: of 400 synthetic numbers of twelve digits
    /// with a check digit, 0.5% are wrong and not doubtful.
    pub min_constrained_probability: f32,
}

impl Default for RemarkParams {
    fn default() -> Self {
        Self { max_center_offset: 0.125, min_constrained_probability: 0.9 }
    }
}
