//! The image stages: from a picture to digits normalized as MNIST's are.
//!
//! Each stage is a function of its input, its parameters and, where a part of it can be skipped, a set of [`Stages`]:
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`ImageView::to_gray`] | decoded picture | gray image of bounded size |
//! | [`find_paper`] | gray image | paper without its dark surroundings |
//! | [`binarize()`] | gray image | ink map |
//! | [`components()`] | ink map | connected components |
//! | [`find_text()`] | components | components that can be writing, text height |
//! | [`cells()`] | rules | cells that they enclose |
//! | [`find_frame`] | components | corners of the frame of a form |
//! | [`slope_degrees`] | components | slope of writing and rules |
//! | [`lines()`] | components | lines of components |
//! | [`join_hanging_commas`] | lines | lines with the large commas that hang below them |
//! | [`leave_out_zero_slashes`] | line | line without the slashes and dots of zeros |
//! | [`take_points`] | specks, lines | lines with the specks that may be points |
//! | [`mark_groups`] | line | groups of components that may be a mark |
//! | [`mark_window`] | group of a line | 32x32 pixels |
//! | [`oversegment()`] | component | segments, each a digit or a fragment of one |
//! | [`normalize_digit`] | components of one digit | 28x28 pixels |
//! | [`spaces()`] | bounding boxes of a line | where a space is |
//!
//! [`local_contrast()`] prepares a gray image for the network that tells ink from rules.
//!
//! [`locate_text`] runs the stages up to [`find_text()`], and repeats them where that helps.
//! [`Recognizer`](crate::recognize::Recognizer) runs all of them and classifies the results.
//!
//! A crop that shows one digit is normalized and classified without the recognizer:
//!
//! ```
//! use lenet::image::{DigitNormalizationParams, GrayImage, LocateParams, Stages, locate_text, normalize_digit};
//!
//! // A crop of 60 x 90 pixels with a vertical stroke, dark on light.
//! let crop = GrayImage::from_fn(60, 90, |x, y| if (26..34).contains(&x) && (10..80).contains(&y) { 30 } else { 220 });
//!
//! let gray = crop.view().to_gray();
//! let text = locate_text(&gray, &LocateParams::default(), Stages::ALL).expect("the crop has ink");
//! let digit =
//!     normalize_digit(&text.ink, &text.components, &DigitNormalizationParams::default(), Stages::ALL);
//!
//! let (network, _) = lenet::pretrained::handwriting();
//! let probabilities = network.probabilities(&digit.pixels);
//! assert_eq!(lenet::nn::argmax(&probabilities), 1);
//! ```
//!
//! Step by step:
//!
//! ```
//! # use lenet::image::*;
//! # let crop = GrayImage::from_fn(60, 90, |x, y| if (26..34).contains(&x) && (10..80).contains(&y) { 30 } else { 220 });
//! # let gray = crop.view().to_gray();
//! let binarized = binarize(&gray, &BinarizeParams::default(), Stages::ALL).expect("the crop has ink");
//! let ink = binarized.ink;
//! let text = find_text(
//!     &ink,
//!     components(&ink, &ComponentParams::default()),
//!     &TextParams::default(),
//!     Stages::ALL,
//! );
//! for line in lines(text.components, text.height, &LineParams::default()).lines {
//!     for component in &line.components {
//!         let segments = oversegment(component, &OversegmentParams::default());
//!         println!("{:?}: {} segments", component.bounds(), segments.len());
//!     }
//! }
//! ```

mod rect;
mod stage;
mod gray;
mod view;
mod resample;
mod morphology;
mod local_contrast;
mod paper;
mod binarize;
mod components;
mod left_out;
mod find_text;
mod locate;
mod slope;
mod cells;
mod frame;
mod lines;
mod marks;
mod spaces;
mod oversegment;
mod normalize;
mod bitmap;
mod drawing;

pub use {
    binarize::{BinarizeParams, InkMap, Polarity, STROKE_EDGE_LEVEL, binarize},
    cells::{Cell, CellParams, cell_of, cells},
    components::{Component, ComponentParams, Run, components, total_area},
    drawing::Drawing,
    find_text::{TextComponents, TextParams, find_text},
    frame::{FrameParams, Quad, find_frame},
    gray::GrayImage,
    left_out::{LeftOutComponent, LeftOutReason},
    lines::{Line, LineParams, Lines, lines},
    local_contrast::{INK_NETWORK_NORMALIZE, local_contrast},
    locate::{LocateParams, LocatedText, locate_text, locate_text_in_ink},
    marks::{
        MARK_WINDOW_SIDE, Mark, MarkParams, join_hanging_commas, leave_out_zero_slashes, mark_groups,
        mark_window, take_points,
    },
    morphology::{close, dilate, erode},
    normalize::{DigitNormalizationParams, NormalizedDigit, normalize_digit},
    oversegment::{OversegmentParams, oversegment},
    paper::{Paper, PaperParams, find_paper},
    rect::Rect,
    slope::{SlopeParams, slope_degrees},
    spaces::{SpaceParams, spaces},
    stage::{Stage, Stages, UnknownStage},
    view::{ImageView, MAX_GRAY_PIXELS},
};
pub(crate) use {
    bitmap::crop_to_bitmap, drawing::draw_strokes, left_out::leave_out, normalize::blur_as_upscaled,
};
