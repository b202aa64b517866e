//! The handlers, one function for each route.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    error::ApiError,
    inference::{Input, OutputFormat, RecognizeParams},
    metrics::Metrics,
    request_body,
    state::AppState,
};

/// The description of the API that `GET /openapi.json` returns.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Maximum number of files in a batch.
const MAX_BATCH_FILES: usize = 256;

/// `POST /v1/recognize`: recognizes one image or drawing.
pub async fn recognize(
    State(state): State<Arc<AppState>>,
    params: Result<Query<RecognizeParams>, QueryRejection>,
    request: Request,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let json = recognize_request(&state, params, OutputFormat::Json, request).await?;
    Ok(Json(raw_json(json)?))
}

/// `POST /v1/cells`: recognizes what is written in the cells of a table.
pub async fn cells(
    State(state): State<Arc<AppState>>,
    params: Result<Query<RecognizeParams>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let csv = recognize_request(&state, params, OutputFormat::Csv, request).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response())
}

fn raw_json(json: String) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(json).map_err(ApiError::internal_server_error)
}

/// Recognizes the image or the drawing of a request.
async fn recognize_request(
    state: &AppState,
    params: Result<Query<RecognizeParams>, QueryRejection>,
    format: OutputFormat,
    request: Request,
) -> Result<String, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let (request, _body_permits) = request_body::buffer(state, request).await?;
    let input = if request_body::has_media_type(&request, "multipart/form-data") {
        let mut files = request_body::multipart_files(request, MAX_BATCH_FILES).await?;
        if files.len() > 1 {
            return Err(ApiError::bad_request(format!(
                "form: expected one file, found {}; send several files to /v1/recognize/batch",
                files.len()
            )));
        }
        Input::Image(request_body::image_bytes(files.remove(0).1).await?)
    } else if request_body::has_media_type(&request, "application/json") {
        request_body::json_input(request.into_body()).await?
    } else {
        Input::Image(request_body::image_bytes(request.into_body()).await?)
    };
    state.inference.recognize(input, params, format).await
}

/// The result for one file of a batch, or for a page of one with several: a reading or an error.
#[derive(Serialize)]
pub struct BatchItem {
    name: String,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reading: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// `POST /v1/recognize/batch`: recognizes each image of a form. An image that fails does not affect the others.
pub async fn recognize_batch(
    State(state): State<Arc<AppState>>,
    params: Result<Query<RecognizeParams>, QueryRejection>,
    request: Request,
) -> Result<Json<Vec<BatchItem>>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::bad_request(error.body_text()))?;
    if params.details {
        // Details are many times as long as the request, so a batch of them would take unbounded memory.
        return Err(ApiError::bad_request("details: only supported by /v1/recognize, for one image"));
    }
    let (request, _body_permits) = request_body::buffer(&state, request).await?;
    let files = request_body::multipart_files(request, MAX_BATCH_FILES).await?;
    let mut inputs = Vec::new();
    for (name, bytes) in files {
        let bytes = match request_body::image_bytes(bytes).await {
            Ok(bytes) => bytes,
            Err(error) => {
                inputs.push((name, None, Err(error)));
                continue;
            }
        };
        match state.inference.page_count(bytes.clone()).await {
            1 => inputs.push((name, None, Ok(Input::Image(bytes)))),
            pages => inputs.extend(
                (0..pages).map(|page| (name.clone(), Some(page + 1), Ok(Input::Page(bytes.clone(), page)))),
            ),
        }
    }
    if inputs.len() > MAX_BATCH_FILES {
        let message =
            format!("form: expected at most {MAX_BATCH_FILES} files and pages, found {}", inputs.len());
        return Err(ApiError::payload_too_large(message));
    }
    let inference = &state.inference;
    let items = stream::iter(inputs).map(|(name, page, input)| {
        let params = params.clone();
        async move {
            let reading = match input {
                Ok(input) => inference.recognize(input, params, OutputFormat::Json).await,
                Err(error) => Err(error),
            };
            match reading.and_then(raw_json) {
                Ok(reading) => BatchItem { name, page, reading: Some(reading), error: None },
                Err(error) => BatchItem { name, page, reading: None, error: Some(error.to_json()) },
            }
        }
    });
    Ok(Json(items.buffered(state.limits.workers()).collect().await))
}

/// `GET /healthz`: returns `ok` as long as the server responds.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /metrics`: returns the metrics in OpenMetrics text format.
pub async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    ([(header::CONTENT_TYPE, Metrics::MEDIA_TYPE)], state.metrics.encode()).into_response()
}

/// `GET /openapi.json`: returns the OpenAPI description of the API.
pub async fn openapi() -> Response {
    file_response("application/json", OPENAPI)
}

/// `GET /weights.safetensors`: returns the weights that the server recognizes with.
pub async fn weights(State(state): State<Arc<AppState>>) -> Response {
    file_response("application/octet-stream", state.weights.clone())
}

/// Returns a file that browsers revalidate before each use.
pub fn file_response(media_type: &'static str, bytes: impl Into<Bytes>) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, bytes.into()).into_response()
}
