//! Options of `lenet serve` that limit what clients can use.

use std::{num::NonZeroUsize, thread, time::Duration};

/// Limits on the memory and time that clients can use.
#[derive(Debug, Clone, clap::Args)]
pub struct Limits {
    /// Reject request bodies of more than N megabytes
    #[arg(long, alias = "megabytes", value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_body_mb: u32,
    /// Reject images of more than N million pixels
    #[arg(long, alias = "megapixels", value_name = "N", default_value_t = 50)]
    pub max_megapixels: u32,
    /// Time limit in seconds, first for the request header, then for the rest of the request up to its response
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Maximum number of open connections; when full, the oldest idle connection is dropped
    #[arg(long, alias = "connections", value_name = "N", default_value = "512")]
    pub max_connections: NonZeroUsize,
    /// Number of images recognized in parallel [default: number of CPUs]
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Maximum number of images that wait for a worker; when full, requests get status 503
    #[arg(long, alias = "queue", value_name = "N", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(..=65_536))]
    pub queue_depth: u32,
}

impl Limits {
    pub fn max_body_bytes(&self) -> usize {
        self.max_body_mb as usize * 1_000_000
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    pub fn workers(&self) -> usize {
        self.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }
}
