//! Cross-origin requests (CORS), which browsers send for pages of other servers.

use std::str::FromStr;

use axum::http::{HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// A value of `--allow-origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`: pages of any server, and files.
    Any,
    /// Pages of one server: a scheme, a host and, unless it is the default, a port, as browsers send it.
    Origin(HeaderValue),
}

impl FromStr for AllowedOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected * or an origin without a path, such as https://example.com or \
                                http://localhost:3000";
        if text == "*" {
            return Ok(Self::Any);
        }
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(EXPECTED) };
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if has_user || uri.path() != "/" || uri.query().is_some() {
            return Err(EXPECTED);
        }
        let port = match (scheme, uri.port_u16()) {
            (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        let origin = format!("{scheme}://{host}{port}").to_ascii_lowercase();
        Ok(Self::Origin(origin.try_into().map_err(|_| EXPECTED)?))
    }
}

/// Returns the middleware that lets pages of these origins use the API, or `None` without origins.
pub fn cors_layer(origins: &[AllowedOrigin]) -> Option<CorsLayer> {
    let named = origins.iter().filter_map(|origin| match origin {
        AllowedOrigin::Any => None,
        AllowedOrigin::Origin(origin) => Some(origin.clone()),
    });
    let allowed = match origins {
        [] => return None,
        _ if origins.contains(&AllowedOrigin::Any) => AllowOrigin::any(),
        _ => AllowOrigin::list(named),
    };
    let layer = CorsLayer::new().allow_origin(allowed).allow_methods([Method::GET, Method::POST]);
    Some(
        layer
            .allow_headers([header::CONTENT_TYPE, header::CONTENT_ENCODING])
            .expose_headers([header::RETRY_AFTER, header::ACCEPT_ENCODING]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_origins_as_browsers_send_them() {
        for (text, origin) in [
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.com:443/", "https://example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:80", "http://[::1]"),
            ("chrome-extension://abc", "chrome-extension://abc"),
        ] {
            assert_eq!(text.parse(), Ok(AllowedOrigin::Origin(HeaderValue::from_static(origin))), "{text}");
        }
        assert_eq!("*".parse(), Ok(AllowedOrigin::Any));
        for text in ["", "example.com", "/", "https://", "https://a/b", "https://a?b", "https://a@b", "null"]
        {
            assert!(text.parse::<AllowedOrigin>().is_err(), "{text}");
        }
    }
}
