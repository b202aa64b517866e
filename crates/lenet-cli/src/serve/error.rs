//! Errors of the API: an HTTP status, and a JSON body with a code and a message.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use image::ImageError;
use serde_json::json;

use crate::decode::{self, data_url};

/// A failed request. The message names the wrong part of the request, the expected value and the actual one.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    /// The stable name of the status in JSON.
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string() }
    }

    /// The request is malformed.
    pub fn bad_request(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// The path matches no route.
    pub fn not_found(message: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The route does not support the method.
    pub fn method_not_allowed(message: impl ToString) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// The request took longer than the time limit.
    pub fn request_timeout(message: impl ToString) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    /// The body, the image or the number of files exceeds its limit.
    pub fn payload_too_large(message: impl ToString) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// The body is not an image in a supported format.
    pub fn unsupported_media_type(message: impl ToString) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_an_image", message)
    }

    /// The body has another `Content-Encoding` than [`SUPPORTED_ENCODINGS`], which the header `Accept-Encoding` of the response
    /// names.
    pub fn unsupported_encoding(message: impl ToString) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING, message)
    }

    /// The server failed.
    pub fn internal_server_error(message: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The server is at a limit. The header `Retry-After` of the response has [`RETRY_AFTER_SECONDS`].
    pub fn service_unavailable(message: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    /// Returns `{"code", "message"}`.
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "code": self.code, "message": self.message })
    }
}

/// Value of the header `Retry-After`, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";
/// Code of a request whose body has an unsupported encoding.
const UNSUPPORTED_ENCODING: &str = "unsupported_encoding";
/// Value of the header `Accept-Encoding` of the response to such a request.
const SUPPORTED_ENCODINGS: &str = "gzip";

impl From<decode::Error> for ApiError {
    fn from(error: decode::Error) -> Self {
        let constructor = match &error {
            decode::Error::UnknownFormat
            | decode::Error::UnsupportedFormat(_)
            | decode::Error::Malformed(ImageError::Unsupported(_)) => Self::unsupported_media_type,
            decode::Error::TooManyPixels { .. }
            | decode::Error::TooManyBytes { .. }
            | decode::Error::Malformed(ImageError::Limits(_)) => Self::payload_too_large,
            _ => Self::bad_request,
        };
        constructor(format!("{:#}", anyhow::Error::from(error)))
    }
}

impl From<data_url::Error> for ApiError {
    fn from(error: data_url::Error) -> Self {
        Self::bad_request(format!("{:#}", anyhow::Error::from(error)))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.to_json() }))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let retry_after = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, retry_after);
        }
        if self.code == UNSUPPORTED_ENCODING {
            let supported = HeaderValue::from_static(SUPPORTED_ENCODINGS);
            response.headers_mut().insert(header::ACCEPT_ENCODING, supported);
        }
        response
    }
}
