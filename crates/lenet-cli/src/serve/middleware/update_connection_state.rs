//! The state of the connection after a response.

use std::sync::Arc;

use axum::{
    Extension,
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::serve::connections::ConnectionState;

/// Marks the connection as idle after each response, and closes it after the response during shutdown.
pub async fn update_connection_state(
    Extension(connection): Extension<Arc<ConnectionState>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if connection.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    connection.set_busy(false);
    response
}
