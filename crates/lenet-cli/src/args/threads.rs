//! The option `--threads`.

use anyhow::Context;

/// The option `--threads`.
#[derive(clap::Args)]
pub struct ThreadArgs {
    /// Number of threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// Starts the global thread pool.
    pub fn start_thread_pool(&self) -> anyhow::Result<()> {
        start_thread_pool(self.threads.map_or(0, usize::from))
    }
}

/// Starts the global thread pool with `count` threads, or one for each core if `count` is 0.
pub fn start_thread_pool(count: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(count).build_global().context("threads could not be started")
}
