//! The routes and the middleware around them.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, get, post},
};

use tower_http::cors::CorsLayer;

use super::{error::ApiError, handlers, middleware, state::AppState};

/// Returns the routes of the API: each path with its methods. `openapi.json` describes exactly these.
fn api_routes() -> [(&'static str, MethodRouter<Arc<AppState>>); 8] {
    [
        ("/v1/recognize", post(handlers::recognize)),
        ("/v1/cells", post(handlers::cells)),
        ("/v1/recognize/batch", post(handlers::recognize_batch)),
        ("/healthz", get(handlers::healthz)),
        ("/metrics", get(handlers::metrics)),
        ("/openapi.json", get(handlers::openapi)),
        ("/weights.safetensors", get(handlers::weights)),
        // Old path of the route above.
        ("/network.safetensors", get(handlers::weights)),
    ]
}

/// Builds the service: the API, the files of the page, and the middleware, of which `cors` is optional.
pub fn router(state: Arc<AppState>, cors: Option<CorsLayer>) -> Router {
    let mut router = Router::new();
    for (path, methods) in api_routes() {
        router = router.route(path, methods);
    }
    for file in lenet_web::assets() {
        let response = async move || handlers::file_response(file.media_type, file.bytes);
        router = router.route(file.path, get(response));
    }
    #[cfg(feature = "embedded-mnist")]
    for file in lenet_mnist::COMPRESSED_FILES {
        let response = async move || handlers::file_response("application/octet-stream", file.bytes);
        router = router.route(&format!("/mnist/{}", file.name), get(response));
    }
    let mut router = router
        .fallback(async || ApiError::not_found("path: expected one of those in /openapi.json"))
        .method_not_allowed_fallback(async || {
            ApiError::method_not_allowed("method: expected one of those in the header Allow")
        })
        // `request_body::buffer` limits the size instead, because it also limits the sum over all requests.
        .layer(DefaultBodyLimit::disable())
        // From the innermost to the outermost.
        .layer(from_fn_with_state(state.clone(), middleware::request_timeout));
    if let Some(cors) = cors {
        router = router.layer(cors);
    }
    router
        .layer(from_fn(middleware::security_headers))
        .layer(from_fn(middleware::update_connection_state))
        .layer(from_fn_with_state(state.clone(), middleware::record_request))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn openapi_paths_match_the_routes() {
        let openapi: Value = serde_json::from_str(handlers::OPENAPI).unwrap();
        let described: BTreeSet<_> =
            openapi["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let served: BTreeSet<_> = api_routes().iter().map(|(path, _)| *path).collect();
        assert_eq!(described, served);
    }
}
