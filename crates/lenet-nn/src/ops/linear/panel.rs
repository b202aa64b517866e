//! The layout of the weights: panels of [`PANEL_INPUTS`] inputs, `(panel, output, input of the panel)`.
//!
//! In PyTorch's order, `(output, input)`, the weights of one input and neighboring outputs are a row apart, which is a page
//! or more in a large layer. A product that works on a few inputs at a time would then read from many pages in turn, which
//! hardware prefetchers do not follow.

use std::ops::Range;

use super::Linear;

/// Number of inputs of a panel, except for the last: three vectors of sixteen.
pub(super) const PANEL_INPUTS: usize = 48;

impl Linear {
    /// Returns the ranges of inputs and of weights of each panel.
    pub(super) fn panel_ranges(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        (0..self.in_features).step_by(PANEL_INPUTS).map(move |first| {
            let end = self.in_features.min(first + PANEL_INPUTS);
            (first..end, first * self.out_features..end * self.out_features)
        })
    }

    /// Returns the ranges of weights that are adjacent in both orders: in rows and in panels.
    fn contiguous_weight_ranges(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        self.panel_ranges().flat_map(move |(inputs, weights)| {
            (0..self.out_features).map(move |output| {
                let (row, panel_row) = (output * self.in_features, weights.start + output * inputs.len());
                (row + inputs.start..row + inputs.end, panel_row..panel_row + inputs.len())
            })
        })
    }

    /// Converts weights from panels to PyTorch's order, `(output, input)`.
    pub(crate) fn to_rows(self, panels: &[f32], rows: &mut [f32]) {
        for (in_rows, in_panels) in self.contiguous_weight_ranges() {
            rows[in_rows].copy_from_slice(&panels[in_panels]);
        }
    }

    /// Converts weights from PyTorch's order, `(output, input)`, to panels.
    pub(crate) fn to_panels(self, rows: &[f32], panels: &mut [f32]) {
        for (in_rows, in_panels) in self.contiguous_weight_ranges() {
            panels[in_panels].copy_from_slice(&rows[in_rows]);
        }
    }
}
