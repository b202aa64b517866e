//! A drawing of the layers of a network.

use lenet::nn::{Architecture, Layer, Shape};
use maud::html;

use crate::{chart::format_coordinate, error::Error};

// Sizes are in the units of the view box, which are about a pixel.
const PIXEL: f64 = 2.5;
/// Distance between the feature maps of a stack.
const STACK_OFFSET: f64 = 3.0;
/// Feature maps of a stack that are drawn, at most.
const MAX_STACK: usize = 8;
const GAP: f64 = 34.0;
const BAR_WIDTH: f64 = 10.0;
/// Units of height for each feature of a layer without rows and columns, and the largest height.
const FEATURE: f64 = 0.6;
const MAX_HEIGHT: f64 = 100.0;
const LABEL_WIDTH: f64 = 62.0;
/// Space for two lines of labels.
const LABEL_HEIGHT: f64 = 36.0;

/// Draws the input and the output of each layer that changes the shape, as SVG: feature maps as stacked squares, in the
/// proportions of their sizes, and features as bars.
///
/// # Errors
/// If the shapes of two successive layers don't fit.
pub fn network_diagram(architecture: &Architecture) -> Result<String, Error> {
    let rows = architecture.summary()?;
    let mut outputs = vec![("input", architecture.input_shape())];
    for row in rows.iter().filter(|row| !matches!(row.layer, Layer::Flatten)) {
        if outputs.last().is_some_and(|(_, shape)| *shape != row.output) {
            outputs.push((row.name, row.output));
        }
    }
    let mut blocks = Vec::new();
    let mut left = 0.0;
    for (name, shape) in outputs {
        let block = Block::new(name, shape, left);
        left += block.width.max(LABEL_WIDTH) + GAP;
        blocks.push(block);
    }
    let width = (left - GAP).max(0.0);
    let height = blocks.iter().map(|block| block.height).fold(0.0, f64::max);
    let markup = html! {
        svg.network viewBox=(format!("0 0 {width:.0} {:.0}", height + LABEL_HEIGHT)) role="img" aria-label="The layers of the network" {
            @for block in &blocks {
                @let top = (height - block.height) / 2.0;
                @for index in (0..block.stack).rev() {
                    rect x=(format_coordinate(block.left + STACK_OFFSET * index as f64))
                        y=(format_coordinate(top + STACK_OFFSET * (block.stack - 1 - index) as f64))
                        width=(format_coordinate(block.side.0)) height=(format_coordinate(block.side.1)) {}
                }
                text x=(format_coordinate(block.left)) y=(format_coordinate(height + 16.0)) { (block.size) }
                text.name x=(format_coordinate(block.left)) y=(format_coordinate(height + 31.0)) { (block.name) }
            }
        }
    };
    Ok(markup.into_string())
}

/// The drawing of one output.
struct Block<'a> {
    name: &'a str,
    size: String,
    left: f64,
    width: f64,
    height: f64,
    /// Width and height of a rectangle.
    side: (f64, f64),
    /// Number of rectangles.
    stack: usize,
}

impl<'a> Block<'a> {
    fn new(name: &'a str, shape: Shape, left: f64) -> Self {
        let Shape { channels, height, width } = shape;
        let (side, stack, size) = if height * width == 1 {
            let bar = (FEATURE * channels as f64).clamp(BAR_WIDTH, MAX_HEIGHT);
            ((BAR_WIDTH, bar), 1, channels.to_string())
        } else {
            let side = (PIXEL * width as f64, PIXEL * height as f64);
            (side, channels.min(MAX_STACK), format!("{channels} × {height} × {width}"))
        };
        let offset = STACK_OFFSET * (stack - 1) as f64;
        Self { name, size, left, width: side.0 + offset, height: side.1 + offset, side, stack }
    }
}
