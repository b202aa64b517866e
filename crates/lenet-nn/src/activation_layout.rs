//! The memory layout of activations: blocks of [`LANES`] samples, interleaved element by element.
//!
//! A batch of `B` samples is divided into `ceil(B / 8)` *blocks*. An activation tensor has the shape
//! `(block, channel, height, width, lane)`, where the lane is the index of the sample in its block. One [`Lanes`] holds
//! the same element of eight samples. The last block may be partly idle: its unused lanes are fed zeros, and the loss
//! gives them a gradient of zero, so they add nothing to the gradients of the parameters.
//!
//! The layout makes every operation on one sample an operation on a vector, whatever the shape of the layer: the edges
//! of a map need no masks, and maps of 5x5 pixels use all lanes. `NCHW`, the usual layout, would vectorize along the
//! width, which is at most 28 here.
//!
//! Inference on a single sample would leave seven of eight lanes idle. It uses another layout, described in
//! `single_sample.rs`, in which the lanes are channels.

use std::ops::{Deref, DerefMut};

use fearless_simd::{Simd, SimdBase, f32x8};

/// Number of samples in a block.
pub const LANES: usize = 8;

/// One element of eight samples, aligned so that no load crosses a cache line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(32))]
pub(crate) struct Lanes(pub [f32; LANES]);

impl Lanes {
    /// Loads the eight values into a vector.
    #[inline(always)]
    pub fn load<S: Simd>(&self, simd: S) -> f32x8<S> {
        f32x8::load_array_ref(simd, &self.0)
    }

    /// Stores a vector of eight values.
    #[inline(always)]
    pub fn store<S: Simd>(&mut self, value: f32x8<S>) {
        value.store_array(&mut self.0);
    }

    /// Returns the sum over the lanes, added pairwise because this shortens the chain of dependent additions.
    #[inline(always)]
    pub fn sum(&self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}

/// A vector of [`Lanes`] that begins at a cache line, so that the 64-byte loads of wide kernels do not straddle lines.
#[derive(Debug)]
pub(crate) struct AlignedBuffer {
    /// One element longer than the buffer, which leaves room to align its start without `unsafe`.
    storage: Vec<Lanes>,
    start: usize,
    len: usize,
}

impl Clone for AlignedBuffer {
    /// Copies the elements to a new aligned buffer. A derived `Clone` would keep `start`, which is wrong where the new
    /// allocation is aligned otherwise.
    fn clone(&self) -> Self {
        let mut copy = zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for AlignedBuffer {
    type Target = [Lanes];

    fn deref(&self) -> &[Lanes] {
        &self.storage[self.start..][..self.len]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [Lanes] {
        &mut self.storage[self.start..][..self.len]
    }
}

/// Returns a buffer of `len` zeroed elements.
pub(crate) fn zeros(len: usize) -> AlignedBuffer {
    let storage = vec![Lanes::default(); len + 1];
    let start = storage.as_ptr().align_offset(2 * size_of::<Lanes>()).min(1);
    AlignedBuffer { storage, start, len }
}

/// Converts rows of `len` values to the layout of one sample: `(row / 8, value, lane = row % 8)`, with zeros after the last row.
pub(crate) fn to_channel_groups(rows: &[f32], len: usize) -> AlignedBuffer {
    let mut lanes = zeros((rows.len() / len).div_ceil(LANES) * len);
    for (i, row) in rows.chunks_exact(len).enumerate() {
        for (lanes, value) in lanes[i / LANES * len..].iter_mut().zip(row) {
            lanes.0[i % LANES] = *value;
        }
    }
    lanes
}

/// Returns the number of blocks that hold `samples` samples.
pub fn block_count(samples: usize) -> usize {
    samples.div_ceil(LANES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_stay_aligned() {
        let is_aligned =
            |buffer: &AlignedBuffer| buffer.as_ptr().addr().is_multiple_of(2 * size_of::<Lanes>());
        // Allocations of odd and even lengths, all alive at once, begin at both kinds of 32-byte boundaries.
        let buffers: Vec<AlignedBuffer> = (0..64).map(zeros).collect();
        let mut clones = Vec::new();
        for (i, buffer) in buffers.iter().enumerate() {
            // Moves the start of the next allocation by 32 bytes.
            let spacer = vec![Lanes::default(); 1 + i % 2];
            clones.push((buffer.clone(), spacer));
        }
        for (buffer, (clone, _)) in buffers.iter().zip(&clones) {
            assert!(is_aligned(buffer) && is_aligned(clone), "{} elements", buffer.len());
            assert_eq!(buffer[..], clone[..]);
        }
    }
}
