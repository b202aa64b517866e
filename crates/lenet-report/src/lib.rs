#![doc = include_str!("../README.md")]

mod error;
pub mod format;
mod score;
mod curve;
mod axis;
mod chart;
mod learning_curves;
mod confusion;
mod network_diagram;
mod digit_png;
mod training_report;

pub use confusion::confusion_matrix;
pub use digit_png::encode as encode_digit_png;
pub use error::Error;
pub use learning_curves::LearningCurves;
pub use network_diagram::network_diagram;
pub use score::{EVAL_MARK_SAMPLES, EVAL_PATCHES, Score, ink_json, ink_table, marks_json, marks_table};
pub use training_report::{Machine, TrainingReport};
