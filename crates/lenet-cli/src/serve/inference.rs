//! Recognition on worker threads, so that it never blocks the threads that serve connections.

use std::{io::Cursor, ops::ControlFlow, sync::Arc};

use axum::body::Bytes;
use lenet::{
    image::Drawing,
    recognize::{Charset, Checksum, Length, Pattern, Recognizer, RecognizerParams},
};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{error::ApiError, limits::Limits, metrics::Metrics};
use crate::{
    args::{ConstraintArgs, Probability, Region},
    decode::{self, ImageFile},
    format::{NO_CELLS_MESSAGE, cells_csv},
};

/// The undecoded input of the recognizer. Clones share the bytes.
#[derive(Debug, Clone)]
pub enum Input {
    /// The only page of an image file.
    Image(Bytes),
    /// A page of an image file, from 0.
    Page(Bytes, usize),
    /// A drawing in JSON.
    Drawing(Bytes),
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// The reading in JSON.
    Json,
    /// The cells as CSV.
    Csv,
}

/// The query parameters of a recognition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecognizeParams {
    /// Whether the response includes each digit's normalized image and feature maps. The old name is `explain`.
    #[serde(alias = "explain")]
    pub details: bool,
    /// Whether all ink in the image belongs to one digit.
    single: bool,
    /// Whether spaces and marks are left out of the text.
    digits_only: bool,
    /// The part of the image that is read.
    region: Option<Region>,
    length: Option<Length>,
    pattern: Option<Pattern>,
    checksum: Option<Checksum>,
    charset: Option<Charset>,
    min_confidence: Option<Probability>,
    min_probability: Option<Probability>,
}

impl RecognizeParams {
    /// Returns what the client knows of the numbers.
    fn constraint(&self) -> ConstraintArgs {
        let Self { length, pattern, checksum, charset, min_confidence, min_probability, .. } = self.clone();
        ConstraintArgs { length, pattern, checksum, charset, min_confidence, min_probability }
    }
}

/// Runs recognitions on a limited number of worker threads. Large images use at most half of the workers, so that small images
/// need not wait for them.
#[derive(Debug)]
pub struct InferencePool {
    recognizer: Recognizer,
    max_megapixels: u32,
    metrics: Arc<Metrics>,
    /// One permit for each image that waits or is recognized.
    queue_permits: Arc<Semaphore>,
    /// One permit for each image that is recognized.
    worker_permits: Arc<Semaphore>,
    /// One permit for each large image that is recognized.
    large_image_permits: Arc<Semaphore>,
}

/// Sizes above which an image is large. Its recognition can take a hundred times as long as that of a single digit.
const LARGE_FILE_BYTES: usize = 64 << 10;
const LARGE_IMAGE_PIXELS: u64 = 1 << 20;
/// Maximum size of a drawing, in bytes of JSON.
const MAX_DRAWING_JSON_BYTES: usize = 1 << 20;

impl InferencePool {
    /// Returns a pool with the workers and the queue depth of `limits`.
    pub fn new(recognizer: Recognizer, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let workers = limits.workers();
        Self {
            recognizer,
            max_megapixels: limits.max_megapixels,
            metrics,
            queue_permits: semaphore(workers + limits.queue_depth as usize),
            worker_permits: semaphore(workers),
            large_image_permits: semaphore((workers / 2).max(1)),
        }
    }

    /// Returns the number of pages of an image file, or 1 if it is none. The file is parsed by a thread that may block.
    pub async fn page_count(&self, bytes: Bytes) -> usize {
        let count = move || ImageFile::new(Cursor::new(bytes)).map_or(1, |file| file.page_count());
        task::spawn_blocking(count).await.unwrap_or(1)
    }

    /// Recognizes the digits of `input` as soon as a worker is free. Returns the reading in a format.
    ///
    /// # Errors
    /// Status 503 if the queue is full, and the errors of decoding (400, 413, 415).
    pub async fn recognize(
        self: &Arc<Self>,
        input: Input,
        params: RecognizeParams,
        format: OutputFormat,
    ) -> Result<String, ApiError> {
        let queue_permit = self.queue_permits.clone().try_acquire_owned();
        let mut queue_permit = queue_permit.map_err(|_| {
            ApiError::service_unavailable("image: the queue for recognition is full, try again later")
        })?;
        let mut is_large = input.is_large_file();
        loop {
            // A large image gets its permit first, so that it takes no worker from small images while it waits.
            let large_image_permit =
                if is_large { Some(acquire(&self.large_image_permits).await?) } else { None };
            let worker_permit = acquire(&self.worker_permits).await?;
            let (pool, input, params) = (self.clone(), input.clone(), params.clone());
            // The permits move into the worker, because it continues when the client disconnects and this future is dropped.
            let worker = task::spawn_blocking(move || {
                // Image headers are untrusted input, so they too are parsed by a worker.
                if !is_large && input.has_many_pixels() {
                    return ControlFlow::Continue(queue_permit);
                }
                let reading = pool.recognize_blocking(&input, &params, format);
                drop((queue_permit, large_image_permit, worker_permit));
                ControlFlow::Break(reading)
            });
            match worker.await {
                Ok(ControlFlow::Break(reading)) => return reading,
                Ok(ControlFlow::Continue(permit)) => (queue_permit, is_large) = (permit, true),
                Err(_) => return Err(ApiError::internal_server_error("image: recognition failed")),
            }
        }
    }

    fn recognize_blocking(
        &self,
        input: &Input,
        params: &RecognizeParams,
        format: OutputFormat,
    ) -> Result<String, ApiError> {
        let reader_params = match format {
            OutputFormat::Json => RecognizerParams::default(),
            OutputFormat::Csv if params.details || params.single || params.digits_only => {
                let message = "details, single, digits_only: not supported for the cells of a table";
                return Err(ApiError::bad_request(message));
            }
            OutputFormat::Csv => RecognizerParams::for_tables(),
        };
        let recognizer = params.constraint().apply(self.recognizer.clone(), reader_params);
        let recognizer = recognizer.map_err(ApiError::bad_request)?;
        let mut reading = match input {
            Input::Image(bytes) | Input::Page(bytes, _) => {
                let mut file = ImageFile::new(Cursor::new(bytes))?;
                let page = match input {
                    Input::Page(_, page) => *page,
                    _ if file.page_count() > 1 => {
                        return Err(ApiError::bad_request(format!(
                            "image: expected one page, found {}; send the file to /v1/recognize/batch",
                            file.page_count()
                        )));
                    }
                    _ => 0,
                };
                let decoded = file.decode_page(page, self.max_megapixels)?;
                let image = decoded.view().map_err(ApiError::bad_request)?;
                match params.region {
                    Some(Region(region)) => {
                        recognizer
                            .trace_region(&image, region, params.single)
                            .map_err(ApiError::bad_request)?
                            .reading
                    }
                    None => recognizer.trace(&image, params.single).reading,
                }
            }
            Input::Drawing(_) if params.region.is_some() => {
                return Err(ApiError::bad_request("region: expected an image, found a drawing"));
            }
            Input::Drawing(json) => {
                let drawing: Drawing = serde_json::from_slice(json).map_err(ApiError::bad_request)?;
                recognizer.read_drawing(&drawing, params.single)
            }
        };
        if params.digits_only {
            reading.text = reading.digits_only();
        }
        self.metrics.record_reading(&reading);
        if format == OutputFormat::Csv {
            if reading.cells.is_empty() {
                return Err(ApiError::bad_request(NO_CELLS_MESSAGE));
            }
            return Ok(cells_csv(&reading));
        }
        let json = if params.details {
            serde_json::to_string(&self.recognizer.add_activations(reading))
        } else {
            serde_json::to_string(&reading)
        };
        json.map_err(ApiError::internal_server_error)
    }
}

impl Input {
    /// Returns a drawing.
    ///
    /// # Errors
    /// Status 413 if it is longer than [`MAX_DRAWING_JSON_BYTES`].
    pub fn from_drawing_json(json: Bytes) -> Result<Self, ApiError> {
        if json.len() > MAX_DRAWING_JSON_BYTES {
            let message =
                format!("drawing: expected at most {MAX_DRAWING_JSON_BYTES} bytes, found {}", json.len());
            return Err(ApiError::payload_too_large(message));
        }
        Ok(Self::Drawing(json))
    }

    fn is_large_file(&self) -> bool {
        matches!(self, Self::Image(bytes) | Self::Page(bytes, _) if bytes.len() > LARGE_FILE_BYTES)
    }

    /// Parses the header of an image and returns whether it declares a large number of pixels.
    fn has_many_pixels(&self) -> bool {
        match self {
            Self::Image(bytes) | Self::Page(bytes, _) => {
                decode::pixel_count(Cursor::new(bytes)) > LARGE_IMAGE_PIXELS
            }
            Self::Drawing(_) => false,
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    semaphore.clone().acquire_owned().await.map_err(ApiError::internal_server_error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::extract::Query;
    use clap::Parser;
    use image::{DynamicImage, GrayImage, ImageFormat};
    use lenet::{models, nn::Network};
    use tokio::time;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        limits: Limits,
    }

    /// A PNG file of one gray level, whose length is below [`LARGE_FILE_BYTES`].
    fn flat_image(side: u32) -> Input {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(GrayImage::new(side, side)).write_to(&mut file, ImageFormat::Png).unwrap();
        assert!(file.get_ref().len() < LARGE_FILE_BYTES);
        Input::Image(file.into_inner().into())
    }

    /// Runs a test with a pool of four workers, of which two recognize large images.
    fn with_pool<F: Future<Output = ()>>(test: impl FnOnce(Arc<InferencePool>) -> F) {
        let limits = Arguments::parse_from(["", "--workers", "4"]).limits;
        let network = Network::new(models::lenet5(), lenet::data::MNIST_NORMALIZE, 0).unwrap();
        let pool = InferencePool::new(Recognizer::new(network).unwrap(), &limits, Arc::new(Metrics::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(Arc::new(pool)));
    }

    /// Starts a recognition and gives it 50 milliseconds.
    async fn start(pool: &Arc<InferencePool>, input: Input) -> task::JoinHandle<Result<String, ApiError>> {
        let pool = pool.clone();
        let task = tokio::spawn(async move {
            pool.recognize(input, RecognizeParams::default(), OutputFormat::Json).await
        });
        time::sleep(Duration::from_millis(50)).await;
        task
    }

    #[test]
    fn parses_image_headers_on_a_worker() {
        with_pool(async |pool| {
            let workers = pool.worker_permits.clone().acquire_many_owned(4).await.unwrap();
            let recognition = start(&pool, flat_image(2000)).await;
            assert_eq!(pool.large_image_permits.available_permits(), 2, "nothing has parsed the header yet");
            drop(workers);
            recognition.await.unwrap().unwrap();
        });
    }

    #[test]
    fn large_images_wait_for_each_other_and_not_small_ones_for_them() {
        with_pool(async |pool| {
            let large = pool.large_image_permits.clone().acquire_many_owned(2).await.unwrap();
            let recognition = start(&pool, flat_image(2000)).await;
            start(&pool, flat_image(28)).await.await.unwrap().unwrap();
            assert!(!recognition.is_finished());
            drop(large);
            recognition.await.unwrap().unwrap();
            assert_eq!(pool.queue_permits.available_permits(), 4 + 256);
            assert_eq!(pool.worker_permits.available_permits(), 4);
        });
    }

    #[test]
    fn accepts_the_old_name_of_details() {
        let params =
            |query: &str| Query::<RecognizeParams>::try_from_uri(&format!("/?{query}").parse().unwrap());
        assert!(params("details=true").unwrap().details);
        assert!(params("explain=true").unwrap().details);
        assert!(params("explained=true").is_err());
    }
}
