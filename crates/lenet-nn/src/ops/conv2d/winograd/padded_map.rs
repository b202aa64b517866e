//! Copies of maps with a border.

use crate::{
    Shape,
    activation_layout::{AlignedBuffer, Lanes, zeros},
};

/// Row and column of the first pixel of a phase, or of a band of its rows. A map is divided into `dilation * dilation` phases,
/// each of which has every `dilation`-th pixel in both directions: a dilated convolution is an ordinary one of each phase.
pub(super) type Phase = (usize, usize);

/// Returns the phases of a map: one without dilation.
pub(super) fn dilation_phases(dilation: usize) -> impl Iterator<Item = Phase> {
    (0..dilation * dilation).map(move |phase| (phase / dilation, phase % dilation))
}

/// Returns bands of `rows` rows of the phases of a map of `height`.
pub(super) fn bands(height: usize, rows: usize, dilation: usize) -> impl Iterator<Item = Phase> {
    dilation_phases(dilation)
        .flat_map(move |(row, column)| (row..height).step_by(rows * dilation).map(move |row| (row, column)))
}

/// A buffer for a phase, or a band of it, of one block of a map with a border, which is the padding of the convolution and what
/// completes the last tiles. A map with neither border nor dilation is used in place instead of copied.
pub(super) struct PaddedMap {
    /// The whole map without its border.
    pub inner: Shape,
    /// A phase or band with its border.
    padded: Shape,
    /// Number of border rows above the whole map and of border columns to its left.
    offset: usize,
    dilation: usize,
    /// The phase with its border; empty if the map is used in place.
    buffer: AlignedBuffer,
}

impl PaddedMap {
    pub fn new(inner: Shape, padded: Shape, offset: usize, dilation: usize) -> Self {
        let is_in_place = inner == padded && dilation == 1;
        Self { inner, padded, offset, dilation, buffer: zeros(if is_in_place { 0 } else { padded.len() }) }
    }

    /// Returns a phase of `x` with a border of zeros. The buffer must not have been written to through
    /// [`padded_mut`](Self::padded_mut), which would change the border.
    pub fn pad<'a>(&'a mut self, x: &'a [Lanes], phase: Phase) -> &'a [Lanes] {
        if self.buffer.is_empty() {
            return x;
        }
        if self.is_whole() {
            let width = self.inner.width;
            for (row, x) in x.chunks_exact(width).enumerate() {
                let start = self.row_start(row);
                self.buffer[start..][..width].copy_from_slice(x);
            }
        } else {
            // The borders of phases and bands differ.
            self.buffer.fill(Lanes::default());
            for (start, padded_start, len) in self.phase_rows(phase) {
                let padded = &mut self.buffer[padded_start..][..len];
                if self.dilation == 1 {
                    padded.copy_from_slice(&x[start..][..len]);
                } else {
                    let x = x[start..].iter().step_by(self.dilation);
                    padded.iter_mut().zip(x).for_each(|(padded, x)| *padded = *x);
                }
            }
        }
        &self.buffer
    }

    /// Returns the map with its border to write a result to: the buffer, or `y` if there is no border. Call
    /// [`crop`](Self::crop) afterwards.
    pub fn padded_mut<'a>(&'a mut self, y: &'a mut [Lanes]) -> &'a mut [Lanes] {
        if self.buffer.is_empty() { y } else { &mut self.buffer }
    }

    /// Copies the result without its border to a phase of `y`.
    pub fn crop(&self, y: &mut [Lanes], phase: Phase) {
        if self.buffer.is_empty() {
            return;
        }
        if self.is_whole() {
            for (row, y) in y.chunks_exact_mut(self.inner.width).enumerate() {
                y.copy_from_slice(&self.buffer[self.row_start(row)..][..y.len()]);
            }
        } else {
            for (start, padded_start, len) in self.phase_rows(phase) {
                let padded = &self.buffer[padded_start..][..len];
                if self.dilation == 1 {
                    y[start..][..len].copy_from_slice(padded);
                } else {
                    let y = y[start..].iter_mut().step_by(self.dilation);
                    padded.iter().zip(y).for_each(|(padded, y)| *y = *padded);
                }
            }
        }
    }

    /// Returns whether the buffer holds the whole map.
    fn is_whole(&self) -> bool {
        self.dilation == 1 && self.padded.height >= self.inner.height + 2 * self.offset
    }

    /// Returns the index in the buffer of a row of the inner map, counted over all channels.
    fn row_start(&self, row: usize) -> usize {
        let (channel, i) = (row / self.inner.height, row % self.inner.height);
        (channel * self.padded.height + i + self.offset) * self.padded.width + self.offset
    }

    /// Returns for each row of a phase, over all channels, the index of its first pixel in the whole map and in the buffer, and
    /// its number of pixels. The next pixels of the whole map are at distances of the dilation.
    fn phase_rows(&self, (row, column): Phase) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let Self { inner, padded, offset, dilation, .. } = *self;
        // The first index in the buffer, and the pixel there, of those that lie in the whole map; and their number.
        let span = |first: usize, len: usize, padded_len: usize| {
            let start = offset.saturating_sub(first).div_ceil(dilation);
            let pixel = first + start * dilation - offset;
            (start, pixel, len.saturating_sub(pixel).div_ceil(dilation).min(padded_len - start))
        };
        let (top, i, rows) = span(row, inner.height, padded.height);
        let (left, j, columns) = span(column, inner.width, padded.width);
        let rows = if columns == 0 { 0 } else { rows };
        (0..inner.channels * rows).map(move |index| {
            let (channel, k) = (index / rows, index % rows);
            let start = (channel * inner.height + i + k * dilation) * inner.width + j;
            let padded_start = (channel * padded.height + top + k) * padded.width + left;
            (start, padded_start, columns)
        })
    }
}
