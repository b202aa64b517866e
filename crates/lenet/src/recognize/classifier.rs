//! Classification of normalized digits.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::{
    CLASSES, PIXELS,
    nn::{CHUNK, Memory, Network},
};

/// A network with a pool of idle inference buffers, because to allocate buffers takes a quarter of the time of a small picture.
#[derive(Clone)]
pub(super) struct Classifier {
    pub network: Network,
    idle_buffers: Arc<Mutex<Vec<Memory>>>,
}

impl Classifier {
    pub fn new(network: Network) -> Self {
        Self { network, idle_buffers: Arc::default() }
    }

    /// Returns the probability of each digit for each of `images`, `(batch, 28, 28)`.
    pub fn classify(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        self.classify_in_chunks(images, CHUNK)
    }

    /// Does the same as [`classify`](Self::classify) image by image, on several threads. The probabilities don't depend on the
    /// number of images; those of a batch are rounded differently.
    pub fn classify_singly(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        self.classify_in_chunks(images, 1)
    }

    fn classify_in_chunks(&self, images: &[u8], chunk: usize) -> Vec<[f32; CLASSES]> {
        let mut logits = vec![[0.0; CLASSES]; images.len() / PIXELS];
        images.par_chunks(chunk * PIXELS).zip(logits.par_chunks_mut(chunk)).for_each(|(images, logits)| {
            // A poisoned lock only costs the reuse of buffers.
            let idle = self.idle_buffers.lock().ok().and_then(|mut idle| idle.pop());
            let mut buffers = idle.unwrap_or_else(|| Memory::new(&self.network, 0, CHUNK));
            buffers.read(&self.network, images, logits);
            if let Ok(mut idle) = self.idle_buffers.lock() {
                idle.push(buffers);
            }
        });
        logits.into_iter().map(|logits| self.network.calibrated_softmax(logits)).collect()
    }
}
