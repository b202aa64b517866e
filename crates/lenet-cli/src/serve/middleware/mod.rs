//! Middleware around all routes, one file each.

mod update_connection_state;
mod record_request;
mod request_timeout;
mod security_headers;

pub use record_request::record_request;
pub use request_timeout::request_timeout;
pub use security_headers::security_headers;
pub use update_connection_state::update_connection_state;
