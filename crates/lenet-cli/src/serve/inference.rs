//! Reading off the threads that talk to clients: so much at a time, and large pictures so that small ones get by.

use std::{io::Cursor, sync::Arc};

use axum::{body::Bytes, http::StatusCode};
use lenet::{
    image::Drawing,
    recognize::{Reading, Recognizer},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{Limits, error::Refusal, metrics::Metrics};
use crate::decode;

/// What is to be read.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file.
    Picture(Bytes),
    /// JSON.
    Drawing(Bytes),
}

/// How it is to be read.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether to tell what the network saw and made of the digits.
    pub explain: bool,
    /// Whether all that is written is one digit.
    single: bool,
}

/// Threads that read.
#[derive(Debug)]
pub struct Work {
    recognizer: Recognizer,
    megapixels: u32,
    metrics: Arc<Metrics>,
    /// Places for pictures that wait or are read.
    places: Arc<Semaphore>,
    /// Those that are read.
    turns: Arc<Semaphore>,
    /// The large ones among them.
    large: Arc<Semaphore>,
}

/// Bytes and pixels from which a picture is large: it may take a hundred times as long as a digit.
const LARGE_FILE: usize = 64 << 10;
const LARGE_PICTURE: u64 = 1 << 20;
/// Bytes of a drawing in JSON.
const DRAWING: usize = 1 << 20;

impl Work {
    pub fn new(recognizer: Recognizer, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        let workers = limits.workers();
        Self {
            recognizer,
            megapixels: limits.megapixels,
            metrics,
            places: permits(workers + limits.queue as usize),
            turns: permits(workers),
            large: permits((workers / 2).max(1)),
        }
    }

    /// Reads when it is its turn: the answer in JSON.
    pub async fn read(self: &Arc<Self>, input: Input, options: Options) -> Result<Box<RawValue>, Refusal> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Refusal::busy("pictures"))?;
        let mut permits = vec![place];
        if input.is_large() {
            permits.push(turn(&self.large).await?);
        }
        permits.push(turn(&self.turns).await?);
        let work = self.clone();
        // Who asked may have gone before the work is done: the permits go along with the work.
        let done = task::spawn_blocking(move || {
            let answer = work.argmax(&input, options);
            drop(permits);
            answer
        });
        done.await.map_err(|_| internal("the picture could not be read"))?
    }

    fn argmax(&self, input: &Input, options: Options) -> Result<Box<RawValue>, Refusal> {
        let reading = match input {
            Input::Picture(bytes) => {
                let decoded = decode::decode(Cursor::new(bytes), self.megapixels)?;
                let picture = decoded.view().map_err(Refusal::malformed)?;
                self.recognizer.trace(&picture, options.single).reading
            }
            Input::Drawing(json) => {
                let drawing: Drawing = serde_json::from_slice(json).map_err(Refusal::malformed)?;
                self.recognizer.read_drawing(&drawing, options.single)
            }
        };
        self.count(&reading);
        let json = if options.explain {
            serde_json::value::to_raw_value(&self.recognizer.details(reading))
        } else {
            serde_json::value::to_raw_value(&reading)
        };
        json.map_err(internal)
    }

    fn count(&self, reading: &Reading) {
        let refused = reading.digits.iter().filter(|digit| digit.rejected).count() as u64;
        self.metrics.readings.inc();
        self.metrics.refusals.inc_by(refused);
        self.metrics.digits.inc_by(reading.digits.len() as u64 - refused);
    }
}

impl Input {
    /// A drawing, if it isn't too long for one.
    pub fn drawing(json: Bytes) -> Result<Self, Refusal> {
        if json.len() > DRAWING {
            let message = format!("drawing: expected at most {DRAWING} bytes, found {}", json.len());
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Self::Drawing(json))
    }

    fn is_large(&self) -> bool {
        match self {
            Self::Picture(bytes) => {
                bytes.len() > LARGE_FILE || decode::pixel_count(Cursor::new(bytes)) > LARGE_PICTURE
            }
            Self::Drawing(_) => false,
        }
    }
}

async fn turn(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    semaphore.clone().acquire_owned().await.map_err(internal)
}

fn internal(error: impl ToString) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)
}
