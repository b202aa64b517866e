//! `lenet serve`: the page that reads what is drawn on it, and an API that reads pictures.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use lenet::{
    recognize::Recognizer,
    weights::{self, Provenance},
};
use tokio::{runtime, signal};

use crate::{args::WeightsArgs, catalog::DEFAULT_RECOGNIZER, output::print};

mod api;
mod connections;
mod metrics;
mod error;
mod inference;

/// Serve a page to draw digits on, and an HTTP API that reads pictures
#[derive(clap::Args)]
pub struct Args {
    /// The address to listen on: by default this machine only
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
    host: IpAddr,
    /// The port to listen on, 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The network: lenet5 or vgg, which are inside the program, or a .safetensors file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_RECOGNIZER)]
    model: PathBuf,
    #[command(flatten)]
    weights_args: WeightsArgs,
    #[command(flatten)]
    limits: Limits,
    /// Write no line to stderr for each request
    #[arg(long)]
    quiet: bool,
}

/// How much is done for whoever asks.
#[derive(Debug, Clone, clap::Args)]
struct Limits {
    /// Refuse bodies of more million bytes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    megabytes: u32,
    /// Refuse pictures of more million pixels
    #[arg(long, value_name = "N", default_value_t = 50)]
    megapixels: u32,
    /// Seconds that a request may take: its header, and then all up to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Connections at a time; when there are more, the oldest that sends nothing whole has to go
    #[arg(long, value_name = "N", default_value = "512")]
    connections: NonZeroUsize,
    /// Pictures that are read at a time [default: the number of processors]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Pictures that wait for their turn; more are refused
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(..=65_536))]
    queue: u32,
}

impl Limits {
    fn bytes(&self) -> usize {
        self.megabytes as usize * 1_000_000
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    fn workers(&self) -> usize {
        self.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }
}

/// Serves until it is told to stop, by Ctrl-C or SIGTERM.
pub fn run(args: Args) -> anyhow::Result<()> {
    let network = args.weights_args.load(&args.model)?;
    // The page reads with the server's own network, where it can.
    let file = weights::to_bytes(&network, &Provenance::default())?;
    if !args.quiet {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false).init();
    }
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let address = SocketAddr::new(args.host, args.port);
        let listener = connections::listen(address);
        let listener = listener.with_context(|| format!("{address}: could not be listened on"))?;
        let stop = stop()?;
        print(format_args!("http://{}\n", listener.local_addr()?))?;
        let server = Arc::new(api::Server::new(Recognizer::new(network), args.limits));
        connections::serve(listener, server, file, stop).await;
        Ok(())
    })
}

/// Ends when the program is told to.
fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    Ok(async move {
        let interrupt = signal::ctrl_c();
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt => (),
            _ = terminate.recv() => (),
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
    })
}
