//! Line charts over epochs, as SVG.

use std::fmt::Write;

use maud::{Markup, html};

use crate::{axis::Axis, curve::Curve};

// Sizes are in the units of the view box, which are about a pixel.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 250.0;
/// Left edge of the plot, which leaves space for the labels of the y axis.
const PLOT_LEFT: f64 = 52.0;
/// Top edge of the plot, which leaves space for the readout.
const PLOT_TOP: f64 = 26.0;
pub const PLOT_WIDTH: f64 = 358.0;
const PLOT_HEIGHT: f64 = 180.0;
/// Width of the narrowest area that a pointer can hover over.
const MIN_HOVER_WIDTH: f64 = 0.5;

/// Curves over epochs.
pub struct Chart<'a> {
    pub name: &'a str,
    pub x: &'a Axis,
    pub y: &'a Axis,
    pub curves: &'a [Curve],
    /// The text that is shown while the pointer is over an epoch, for each finished epoch.
    pub readouts: &'a [String],
}

impl Chart<'_> {
    /// Renders the chart.
    pub fn svg(&self) -> Markup {
        let Self { name, x, y, curves, readouts } = *self;
        let (left, top) = (PLOT_LEFT, PLOT_TOP);
        let (right, bottom) = (left + PLOT_WIDTH, top + PLOT_HEIGHT);
        let epoch_width = PLOT_WIDTH / x.high;
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                aria-label={ (name) " by epoch, last: " (readouts.last().map_or("", String::as_str)) } {
                @for (value, label) in &y.ticks {
                    @let (_, height) = self.position((0.0, *value));
                    line x1=(left) x2=(right) y1=(format_coordinate(height)) y2=(format_coordinate(height)) {}
                    text.y x=(left - 8.0) y=(format_coordinate(height + 4.0)) { (label) }
                }
                @for (value, label) in &x.ticks {
                    text.x x=(format_coordinate(self.position((*value, 0.0)).0)) y=(bottom + 18.0) { (label) }
                }
                text.x x=((left + right) / 2.0) y=(bottom + 36.0) { "epoch" }
                @for curve in curves {
                    path class=(curve.class) d=(self.svg_path(curve)) {}
                    @if curve.dots { @for &point in &curve.points {
                        @let (x, y) = self.position(point);
                        circle class=(curve.class) cx=(format_coordinate(x)) cy=(format_coordinate(y)) r="3.5" {}
                    } }
                }
                @for (epoch, readout) in (1..).zip(readouts).take_while(|_| epoch_width > MIN_HOVER_WIDTH) {
                    @let (middle, _) = self.position((f64::from(epoch), 0.0));
                    g.epoch {
                        rect x=(format_coordinate(middle - epoch_width / 2.0)) y=(top) width=(format_coordinate(epoch_width)) height=(PLOT_HEIGHT) {}
                        line x1=(format_coordinate(middle)) x2=(format_coordinate(middle)) y1=(top) y2=(bottom) {}
                        text x=(right) y=(top - 12.0) { (readout) }
                    }
                }
            }
        }
    }

    /// Returns the position of a point in the view box.
    fn position(&self, (epochs, value): (f64, f64)) -> (f64, f64) {
        let (x, y) = (self.x.fraction(epochs), self.y.fraction(value));
        (PLOT_LEFT + PLOT_WIDTH * x, PLOT_TOP + PLOT_HEIGHT - PLOT_HEIGHT * y)
    }

    /// Returns the `d` attribute of a curve.
    fn svg_path(&self, curve: &Curve) -> String {
        curve.points.iter().fold(String::new(), |mut path, &point| {
            let (x, y) = self.position(point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
            path
        })
    }
}

/// Formats a coordinate of the view box with one decimal.
pub(crate) fn format_coordinate(number: f64) -> String {
    format!("{number:.1}")
}
