//! The time limit of a request.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time;

use crate::serve::{error::ApiError, state::AppState};

/// Responds with status 408 if the request takes longer than the time limit, from its header to its response.
pub async fn request_timeout(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let timeout = state.limits.timeout();
    time::timeout(timeout, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("request: took longer than {} seconds", timeout.as_secs());
        ApiError::request_timeout(message).into_response()
    })
}
