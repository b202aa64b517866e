//! Metrics and the log line of a request.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use crate::serve::{connections::ConnectionState, state::AppState};

/// Route label of requests that match no route. Paths are not used as labels, because clients could create any number of them.
const UNMATCHED_ROUTE: &str = "other";

/// Counts and logs the request.
pub async fn record_request(
    State(state): State<Arc<AppState>>,
    Extension(connection): Extension<Arc<ConnectionState>>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(UNMATCHED_ROUTE, MatchedPath::as_str).to_owned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (status, duration) = (response.status(), start.elapsed());
    state.metrics.record_request(&route, status, duration);
    let (status, milliseconds) = (status.as_u16(), duration.as_secs_f32() * 1000.0);
    tracing::info!(client = %connection.peer_address, %method, path, status, milliseconds);
    response
}
