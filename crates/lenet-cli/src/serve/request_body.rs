//! Request bodies: buffering within the memory limits, and the files of multipart forms.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::header,
};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::OwnedSemaphorePermit;

use super::{connections::ConnectionState, error::ApiError, state::AppState};

/// Reads the whole body of a request into memory. Returns the request with its body, and the permits for the body's bytes, which
/// must be held for as long as the body.
///
/// # Errors
/// Status 413 if the body is too large, 503 if the server's memory for bodies is used up, 400 if the body can't be received.
pub async fn buffer(
    state: &AppState,
    request: Request,
) -> Result<(Request<Bytes>, Option<OwnedSemaphorePermit>), ApiError> {
    let (parts, mut body) = request.into_parts();
    let max_bytes = state.limits.max_body_bytes();
    let too_large =
        || ApiError::payload_too_large(format!("body: expected at most {max_bytes} bytes, found more"));
    // Bodies of up to twice the limit are received and discarded, because most clients read a response only after they have sent
    // the whole request.
    let max_received_bytes = 2 * max_bytes;
    if body.size_hint().lower() > max_received_bytes as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut permits) = (Vec::new(), None::<OwnedSemaphorePermit>);
    let mut received_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::bad_request(format!("body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        received_bytes += data.len();
        if received_bytes > max_bytes {
            (bytes, permits) = (Vec::new(), None);
            if received_bytes > max_received_bytes {
                break;
            }
            continue;
        }
        // The length fits in 32 bits, because a frame is at most as long as a connection's read buffer.
        let new_permits = state.body_permits.clone().try_acquire_many_owned(data.len() as u32);
        let new_permits = new_permits.map_err(|_| {
            ApiError::service_unavailable("body: the memory for request bodies is used up, try again later")
        })?;
        match &mut permits {
            Some(permits) => permits.merge(new_permits),
            None => permits = Some(new_permits),
        }
        bytes.extend_from_slice(&data);
    }
    if received_bytes > max_bytes {
        return Err(too_large());
    }
    if let Some(connection) = parts.extensions.get::<Arc<ConnectionState>>() {
        connection.set_busy(true);
    }
    Ok((Request::from_parts(parts, bytes.into()), permits))
}

/// Returns the files of a multipart form with their names: at least 1, at most `max_files`. Fields without a file name are
/// ignored.
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
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        if files.len() == max_files {
            let message = format!("form: expected at most {max_files} files, found more");
            return Err(ApiError::payload_too_large(message));
        }
        files.push((name, field.bytes().await.map_err(malformed)?));
    }
    if files.is_empty() {
        return Err(ApiError::bad_request("form: expected a file, found none"));
    }
    Ok(files)
}

/// Returns whether the request's `Content-Type` begins with `media_type`, in any case of letters.
pub fn has_media_type<T>(request: &Request<T>, media_type: &str) -> bool {
    let header = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    header.is_some_and(|value| value.to_ascii_lowercase().starts_with(media_type))
}
