//! Architectures and targets of the tests: images of 28x28 pixels and 10 classes.

use crate::{Architecture, Shape, Targets};

pub const SIDE: usize = 28;
pub const PIXELS: usize = SIDE * SIDE;
pub const CLASSES: usize = 10;

pub const INPUT: Shape = Shape { channels: 1, height: SIDE, width: SIDE };

/// Returns an architecture without layers.
pub fn digits(name: &str) -> Architecture {
    Architecture::new(name, INPUT, CLASSES)
}

/// Returns the target probabilities of a sample.
pub fn target_row(targets: Targets, sample: usize) -> [f32; CLASSES] {
    let mut row = [0.0; CLASSES];
    targets.write_row(sample, &mut row);
    row
}
