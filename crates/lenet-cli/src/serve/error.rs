//! Why a request gets no answer: a status, and JSON that says what was wrong.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use image::ImageError;
use serde_json::json;

use crate::decode;

/// A request that is refused.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl ToString) -> Self {
        Self { status, message: message.to_string() }
    }

    /// What was sent is not what it should be.
    pub fn malformed(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is more to do than is allowed; later there may not be.
    pub fn busy(what: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{what}: too many at once, try again"))
    }

    /// The same for programs: `{"code", "message"}`.
    pub fn to_json(&self) -> serde_json::Value {
        let code = match self.status {
            StatusCode::BAD_REQUEST => "malformed",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "not_an_image",
            StatusCode::SERVICE_UNAVAILABLE => "busy",
            _ => "internal",
        };
        json!({ "code": code, "message": self.message })
    }
}

impl From<decode::Error> for Refusal {
    fn from(error: decode::Error) -> Self {
        let status = match &error {
            decode::Error::UnknownFormat | decode::Error::Malformed(ImageError::Unsupported(_)) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            decode::Error::TooManyPixels { .. }
            | decode::Error::TooManyBytes { .. }
            | decode::Error::Malformed(ImageError::Limits(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, format!("{:#}", anyhow::Error::from(error)))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.to_json() }))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
