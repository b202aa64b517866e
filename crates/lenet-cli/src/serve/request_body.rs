//! Request bodies: buffering and decompression within the memory limits, and the images in forms, JSON and `data:` URLs.

use std::{borrow::Cow, io::Read, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::{HeaderMap, header},
};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{connections::ConnectionState, error::ApiError, inference::Input, state::AppState};
use crate::decode::data_url;

/// The field of a form whose value is an image also without a file name.
const IMAGE_FIELD: &str = "image";
/// Bytes that are decompressed at once.
const DECOMPRESSED_CHUNK_BYTES: usize = 16 << 10;

/// Bytes of a body, and the permits for them.
struct BodyBuffer {
    /// One permit for each byte that all requests may buffer together.
    memory: Arc<Semaphore>,
    max_bytes: usize,
    bytes: Vec<u8>,
    permits: Option<OwnedSemaphorePermit>,
}

impl BodyBuffer {
    fn new(state: &AppState) -> Self {
        let (memory, max_bytes) = (state.body_permits.clone(), state.limits.max_body_bytes());
        Self { memory, max_bytes, bytes: Vec::new(), permits: None }
    }

    /// Appends at most as many bytes as a connection's read buffer has.
    ///
    /// # Errors
    /// Status 413 if the body is too large, 503 if the server's memory for bodies is used up.
    fn extend(&mut self, data: &[u8]) -> Result<(), ApiError> {
        if self.bytes.len() + data.len() > self.max_bytes {
            return Err(self.too_large());
        }
        // The length fits in 32 bits, because a read buffer is shorter.
        let new_permits = self.memory.clone().try_acquire_many_owned(data.len() as u32);
        let new_permits = new_permits.map_err(|_| {
            ApiError::service_unavailable("body: the memory for request bodies is used up, try again later")
        })?;
        match &mut self.permits {
            Some(permits) => permits.merge(new_permits),
            None => self.permits = Some(new_permits),
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Frees the memory.
    fn clear(&mut self) {
        (self.bytes, self.permits) = (Vec::new(), None);
    }

    fn too_large(&self) -> ApiError {
        ApiError::payload_too_large(format!("body: expected at most {} bytes, found more", self.max_bytes))
    }
}

/// Reads the whole body of a request into memory, and decompresses it if its `Content-Encoding` is `gzip`. Returns the request
/// with its body, and the permits for the body's bytes, which must be held for as long as the body.
///
/// # Errors
/// Status 413 if the body is too large, compressed or not, 503 if the server's memory for bodies is used up, 415 for other
/// encodings, 400 if the body can't be received or decompressed.
pub async fn buffer(
    state: &AppState,
    request: Request,
) -> Result<(Request<Bytes>, Option<OwnedSemaphorePermit>), ApiError> {
    let (parts, mut body) = request.into_parts();
    let mut received = BodyBuffer::new(state);
    // Bodies of up to twice the limit are received and discarded, because most clients read a response only after they have sent
    // the whole request.
    let max_received_bytes = 2 * received.max_bytes;
    if body.size_hint().lower() > max_received_bytes as u64 {
        return Err(received.too_large());
    }
    let mut received_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::bad_request(format!("body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        received_bytes += data.len();
        if received_bytes <= received.max_bytes {
            received.extend(&data)?;
            continue;
        }
        received.clear();
        if received_bytes > max_received_bytes {
            break;
        }
    }
    if received_bytes > received.max_bytes {
        return Err(received.too_large());
    }
    if let Some(connection) = parts.extensions.get::<Arc<ConnectionState>>() {
        connection.set_busy(true);
    }
    let body = if is_gzip(&parts.headers)? {
        let decompressed = BodyBuffer::new(state);
        in_blocking_thread(move || decompress(&received.bytes, decompressed)).await?
    } else {
        received
    };
    Ok((Request::from_parts(parts, body.bytes.into()), body.permits))
}

/// Returns whether a body is compressed with gzip.
///
/// # Errors
/// Status 415 for another encoding, or several.
fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let encodings: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
    let names: Vec<_> = encodings.iter().map(|name| name.as_bytes().to_ascii_lowercase()).collect();
    match names.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
        [] | [b"" | b"identity"] => Ok(false),
        [b"gzip" | b"x-gzip"] => Ok(true),
        _ => Err(ApiError::unsupported_encoding(format!(
            "Content-Encoding: expected gzip, found {encodings:?}"
        ))),
    }
}

/// Decompresses a body of the encoding `gzip` into an empty buffer.
///
/// # Errors
/// Those of [`BodyBuffer::extend`], and status 400 if the body is malformed.
fn decompress(gzip: &[u8], mut decompressed: BodyBuffer) -> Result<BodyBuffer, ApiError> {
    let mut decoder = MultiGzDecoder::new(gzip);
    let mut chunk = vec![0; DECOMPRESSED_CHUNK_BYTES];
    loop {
        let len = decoder.read(&mut chunk).map_err(|error| {
            ApiError::bad_request(format!(
                "body: expected gzip, as its Content-Encoding says, found: {error}"
            ))
        })?;
        if len == 0 {
            return Ok(decompressed);
        }
        decompressed.extend(&chunk[..len])?;
    }
}

/// Runs what takes long for a large body on a thread that may block.
async fn in_blocking_thread<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    task::spawn_blocking(run).await.map_err(ApiError::internal_server_error)?
}

/// Returns the image file of a body or of a file in a form: the bytes themselves, or those in a `data:` URL.
///
/// # Errors
/// Status 400 if the `data:` URL is malformed.
pub async fn image_bytes(bytes: Bytes) -> Result<Bytes, ApiError> {
    if !data_url::is_data_url(&bytes) {
        return Ok(bytes);
    }
    in_blocking_thread(move || Ok(data_url::decode(&bytes)?.into())).await
}

/// A body in JSON: a drawing or an image.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonBody<'a> {
    /// The strokes of a [`Drawing`](lenet::image::Drawing), which a worker parses.
    #[serde(borrow)]
    strokes: Option<&'a RawValue>,
    #[serde(borrow)]
    image: Option<DataUrl<'a>>,
}

/// A `data:` URL, which is not copied unless the JSON has escapes in it.
#[derive(Deserialize)]
struct DataUrl<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns the drawing or the image of a body in JSON.
///
/// # Errors
/// Status 400 if the JSON or a `data:` URL in it is malformed, 413 if a drawing is too long.
pub async fn json_input(json: Bytes) -> Result<Input, ApiError> {
    in_blocking_thread(move || match serde_json::from_slice(&json).map_err(ApiError::bad_request)? {
        JsonBody { strokes: Some(_), image: None } => Input::from_drawing_json(json.clone()),
        JsonBody { strokes: None, image: Some(DataUrl(url)) } => {
            Ok(Input::Image(data_url::decode(url.as_bytes())?.into()))
        }
        JsonBody { strokes, .. } => {
            let found = if strokes.is_some() { "both" } else { "neither" };
            Err(ApiError::bad_request(format!("body: expected one of `strokes` and `image`, found {found}")))
        }
    })
    .await
}

/// Returns the files of a multipart form with their names: at least 1, at most `max_files`. The value of a field [`IMAGE_FIELD`]
/// without a file name counts as a file of that name. Other fields without a file name are ignored.
///
/// # Errors
/// Status 400 if the form is malformed or has no files, 413 if it has too many.
pub async fn multipart_files(
    request: Request<Bytes>,
    max_files: usize,
) -> Result<Vec<(String, Bytes)>, ApiError> {
    let form = Multipart::from_request(request.map(Body::from), &()).await;
    let mut form = form.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let malformed = |error: MultipartError| ApiError::bad_request(error.body_text());
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = field.file_name().or(field.name().filter(|name| *name == IMAGE_FIELD)).map(str::to_owned);
        let Some(name) = name else { continue };
        if files.len() == max_files {
            let message = format!("form: expected at most {max_files} files, found more");
            return Err(ApiError::payload_too_large(message));
        }
        files.push((name, field.bytes().await.map_err(malformed)?));
    }
    if files.is_empty() {
        return Err(ApiError::bad_request("form: expected a file or a field `image`, found neither"));
    }
    Ok(files)
}

/// Returns whether the request's `Content-Type` begins with `media_type`, in any case of letters.
pub fn has_media_type<T>(request: &Request<T>, media_type: &str) -> bool {
    let header = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    header.is_some_and(|value| value.to_ascii_lowercase().starts_with(media_type))
}
