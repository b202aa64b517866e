//! Copies of maps with a border.

use crate::{
    Shape,
    layout::{Buffer, Lanes, zeros},
};

/// A buffer for one block of a map with a border, which is the padding of the convolution and what completes the last
/// tiles. A map without a border is used in place instead of copied.
pub(super) struct PaddedMap {
    /// The map without its border.
    pub inner: Shape,
    padded: Shape,
    /// Number of border rows above and of border columns to the left.
    offset: usize,
    /// The map with its border; empty if there is none.
    buffer: Buffer,
}

impl PaddedMap {
    pub fn new(inner: Shape, padded: Shape, offset: usize) -> Self {
        Self { inner, padded, offset, buffer: zeros(if inner == padded { 0 } else { padded.len() }) }
    }

    /// Returns `x` with a border of zeros. The buffer must not have been written to through
    /// [`padded_mut`](Self::padded_mut), which would change the border.
    pub fn pad<'a>(&'a mut self, x: &'a [Lanes]) -> &'a [Lanes] {
        if self.buffer.is_empty() {
            return x;
        }
        let width = self.inner.width;
        for (row, x) in x.chunks_exact(width).enumerate() {
            let start = self.row_start(row);
            self.buffer[start..][..width].copy_from_slice(x);
        }
        &self.buffer
    }

    /// Returns the map with its border to write a result to: the buffer, or `y` if there is no border. Call
    /// [`crop`](Self::crop) afterwards.
    pub fn padded_mut<'a>(&'a mut self, y: &'a mut [Lanes]) -> &'a mut [Lanes] {
        if self.buffer.is_empty() { y } else { &mut self.buffer }
    }

    /// Copies the result without its border to `y`.
    pub fn crop(&self, y: &mut [Lanes]) {
        if self.buffer.is_empty() {
            return;
        }
        for (row, y) in y.chunks_exact_mut(self.inner.width).enumerate() {
            y.copy_from_slice(&self.buffer[self.row_start(row)..][..y.len()]);
        }
    }

    /// Returns the index in the buffer of a row of the inner map, counted over all channels.
    fn row_start(&self, row: usize) -> usize {
        let (channel, i) = (row / self.inner.height, row % self.inner.height);
        (channel * self.padded.height + i + self.offset) * self.padded.width + self.offset
    }
}
