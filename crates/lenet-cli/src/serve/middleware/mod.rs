//! Middleware around all routes, one file each.

mod connection_state;
mod record_request;
mod request_timeout;
mod security_headers;

pub use connection_state::connection_state;
pub use record_request::record_request;
pub use request_timeout::request_timeout;
pub use security_headers::security_headers;
