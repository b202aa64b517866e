//! The state that all requests share.

use std::sync::Arc;

use axum::body::Bytes;
use lenet::recognize::Recognizer;
use tokio::sync::Semaphore;

use super::{inference::InferencePool, limits::Limits, metrics::Metrics};

/// The state that all requests share.
#[derive(Debug)]
pub struct AppState {
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub inference: Arc<InferencePool>,
    /// One permit for each byte of a buffered request body.
    pub body_permits: Arc<Semaphore>,
    /// The weights of the recognizer, in safetensors format.
    pub weights: Bytes,
}

/// Maximum memory for buffered request bodies, in bodies of the maximum size.
const MAX_BUFFERED_BODIES: usize = 16;

impl AppState {
    /// Returns the state of a server that recognizes with `recognizer`, whose weights are `weights`.
    pub fn new(recognizer: Recognizer, weights: Vec<u8>, limits: Limits) -> Self {
        let metrics = Arc::new(Metrics::new());
        let inference = Arc::new(InferencePool::new(recognizer, &limits, metrics.clone()));
        let body_permits = Arc::new(Semaphore::new(MAX_BUFFERED_BODIES * limits.max_body_bytes()));
        Self { limits, metrics, inference, body_permits, weights: weights.into() }
    }
}
