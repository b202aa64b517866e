//! `lenet serve`: a page to draw digits on, and an HTTP API that recognizes digits in images.
//!
//! A request passes through these modules in order: `connections` accepts the connection, `middleware` wraps the response,
//! `router` selects a function of `handlers`, `request_body` buffers the request and finds its image, also in a `data:` URL,
//! `inference` runs the recognizer on a thread of its own. `error` turns failures into responses, `metrics` counts, and `state`
//! holds what all requests share.

use std::{path::PathBuf, sync::Arc};

use lenet::{
    recognize::Recognizer,
    weights::{self, Provenance},
};
use tokio::{runtime, signal};

use cors::AllowedOrigin;
use limits::Limits;
use state::AppState;

use crate::{args::StateDictArgs, catalog::DEFAULT_RECOGNIZER, output::print};

mod limits;
mod connections;
mod cors;
mod middleware;
mod router;
mod handlers;
mod request_body;
mod inference;
mod error;
mod metrics;
mod state;

/// Serve a page to draw digits on, and an HTTP API that recognizes digits in images
#[derive(clap::Args)]
pub struct Args {
    /// IP address or host name to listen on; 0.0.0.0 accepts connections from other machines
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// TCP port to listen on; 0 picks a free port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    #[arg(long, alias = "model", value_name = "WEIGHTS", default_value = DEFAULT_RECOGNIZER)]
    weights: PathBuf,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    /// Let pages of an origin, `scheme://host:port`, use the API; * allows all, and the option can be repeated
    #[arg(long, value_name = "URL|*")]
    allow_origin: Vec<AllowedOrigin>,
    #[command(flatten)]
    limits: Limits,
    /// Do not log requests to stderr
    #[arg(long)]
    quiet: bool,
}

/// Serves until Ctrl-C or SIGTERM.
pub fn run(args: Args) -> anyhow::Result<()> {
    let network = args.state_dict_args.load_network(&args.weights)?;
    // The page downloads the weights, so that its results equal those of the API.
    let weights = weights::to_bytes(&network, &Provenance::default())?;
    if !args.quiet {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false).init();
    }
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = connections::bind(&args.host, args.port).await?;
        let shutdown_signal = shutdown_signal()?;
        print(format_args!("http://{}\n", listener.local_addr()?))?;
        let state = AppState::new(Recognizer::new(network)?, weights, args.limits.clone());
        let router = router::router(Arc::new(state), cors::cors_layer(&args.allow_origin));
        connections::serve(listener, router, &args.limits, shutdown_signal).await;
        Ok(())
    })
}

/// Returns a future that completes on Ctrl-C or SIGTERM.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
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
