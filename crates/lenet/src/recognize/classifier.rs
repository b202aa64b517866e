//! Classification of normalized digits and of windows of marks.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::nn::{INFERENCE_BATCH_SIZE, Network, Session};

/// A network of `CLASSES` classes with a pool of idle inference sessions, because to allocate their memory takes a quarter of the
/// time of a small picture.
#[derive(Clone)]
pub(super) struct Classifier<const CLASSES: usize> {
    pub network: Arc<Network>,
    idle_sessions: Arc<Mutex<Vec<Session<Arc<Network>>>>>,
}

impl<const CLASSES: usize> Classifier<CLASSES> {
    /// Makes a classifier of a network whose output has `CLASSES` elements.
    pub fn new(network: Network) -> Self {
        Self { network: Arc::new(network), idle_sessions: Arc::default() }
    }

    /// Returns the probability of each class for each of `images`, `(batch, height, width)`.
    pub fn classify(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        self.classify_in_chunks(images, INFERENCE_BATCH_SIZE)
    }

    /// Does the same as [`classify`](Self::classify) image by image, on several threads. The probabilities don't depend on the
    /// number of images; those of a batch are rounded differently.
    pub fn classify_singly(&self, images: &[u8]) -> Vec<[f32; CLASSES]> {
        self.classify_in_chunks(images, 1)
    }

    fn classify_in_chunks(&self, images: &[u8], chunk: usize) -> Vec<[f32; CLASSES]> {
        let pixels = self.network.architecture().input_shape().len();
        let mut rows = vec![[0.0; CLASSES]; images.len() / pixels];
        images.par_chunks(chunk * pixels).zip(rows.par_chunks_mut(chunk)).for_each(|(images, rows)| {
            // A poisoned lock only costs the reuse of sessions.
            let idle = self.idle_sessions.lock().ok().and_then(|mut idle| idle.pop());
            let mut session = idle.unwrap_or_else(|| Session::new(Arc::clone(&self.network), 0));
            session.logits(images, rows.as_flattened_mut());
            if let Ok(mut idle) = self.idle_sessions.lock() {
                idle.push(session);
            }
        });
        self.network.logits_to_probabilities(rows.as_flattened_mut());
        rows
    }
}
