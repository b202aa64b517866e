//! Connections: their number, their time limits, and their end.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use axum::{Router, extract::Request};
use futures_util::FutureExt;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    net::{self, TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time,
};
use tokio_io_timeout::TimeoutStream;

use super::limits::Limits;

/// Response to a connection above the limit when no other connection is idle.
const OVERLOADED_RESPONSE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";
/// Maximum size of a request header, in bytes.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// Size of a connection's read buffer, in bytes.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// Maximum number of connections that the operating system holds until the server accepts them.
const LISTEN_BACKLOG: u32 = 1024;
/// Time at shutdown during which responses carry `Connection: close`, before idle connections are closed.
const SHUTDOWN_DELAY: Duration = Duration::from_millis(500);
/// Pause after a failed `accept`. The usual cause is too many open files, which passes when connections close.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Listens on the first address of `host`, an IP address or a name, on which that is possible.
///
/// # Errors
/// If the name is unknown, or the server can listen on none of its addresses; the message is about the last one.
pub async fn bind(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    // IPv6 addresses in URLs are in brackets.
    let bare_host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Windows takes the empty name for this machine.
    let addresses = match bare_host {
        "" => Err(io::Error::other("the name is empty")),
        _ => net::lookup_host((bare_host, port)).await,
    };
    let addresses =
        addresses.with_context(|| format!("--host {host}: expected an IP address or a known host name"))?;
    let mut error = anyhow!("--host {host}: expected a name with an address, found none");
    for address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(cause) => error = anyhow::Error::new(cause).context(format!("{address}: could not listen")),
        }
    }
    Err(error)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// The state of a connection, shared with the handlers of its requests.
#[derive(Debug)]
pub struct ConnectionState {
    /// The address of the client.
    pub peer_address: SocketAddr,
    /// Whether a request has been received completely and its response is pending. Otherwise the connection is idle: it waits for
    /// the client.
    is_busy: AtomicBool,
    /// Whether the server is shutting down.
    draining: Arc<AtomicBool>,
}

impl ConnectionState {
    /// Records whether the response to a complete request is pending.
    pub fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// Returns whether the connection is to be closed after the next response.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        !self.is_busy.load(Ordering::Relaxed)
    }
}

/// Limits the number of open connections. When full, the oldest idle connection is dropped, so that clients that send slowly
/// can't keep others out.
struct ConnectionLimiter {
    permits: Arc<Semaphore>,
    max_connections: usize,
    /// From the oldest to the newest, including closed ones that have not been removed yet.
    connections: VecDeque<(AbortHandle, Arc<ConnectionState>)>,
}

impl ConnectionLimiter {
    fn new(max_connections: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_connections)),
            max_connections,
            connections: VecDeque::with_capacity(2 * max_connections),
        }
    }

    /// Returns the permit of a new connection. Returns `None` if the limit is reached and no connection is idle.
    async fn try_acquire(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        self.remove_closed();
        let oldest_idle = self.connections.iter().position(|(_, state)| state.is_idle())?;
        let (task, _) = self.connections.remove(oldest_idle)?;
        task.abort();
        self.permits.clone().acquire_owned().await.ok()
    }

    /// Adds the newest connection.
    fn register(&mut self, task: AbortHandle, state: Arc<ConnectionState>) {
        // Removing closed connections now and then takes constant time on average.
        if self.connections.len() >= 2 * self.max_connections {
            self.remove_closed();
        }
        self.connections.push_back((task, state));
    }

    fn remove_closed(&mut self) {
        self.connections.retain(|(task, _)| !task.is_finished());
    }
}

/// Serves `router` until `shutdown_signal` completes. Then stops accepting connections and completes the pending requests.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    shutdown_signal: impl Future<Output = ()>,
) {
    let timeout = limits.timeout();
    let draining = Arc::new(AtomicBool::new(false));
    let mut limiter = ConnectionLimiter::new(limits.max_connections.get());
    let shutdown = GracefulShutdown::new();
    let mut spawn_connection = async |(stream, peer_address): (TcpStream, SocketAddr)| {
        let Some(permit) = limiter.try_acquire().await else {
            // A failure to write is ignored, because waiting for the client would block other connections.
            let _ = stream.try_write(OVERLOADED_RESPONSE);
            return;
        };
        let is_busy = AtomicBool::new(false);
        let state = Arc::new(ConnectionState { peer_address, is_busy, draining: draining.clone() });
        let connection = serve_connection(stream, router.clone(), state.clone(), timeout, shutdown.watcher());
        let task = tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
        limiter.register(task.abort_handle(), state);
    };
    tokio::pin!(shutdown_signal);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(connection) => spawn_connection(connection).await,
                Err(_) => time::sleep(ACCEPT_RETRY_DELAY).await,
            },
            () = &mut shutdown_signal => break,
        }
    }
    draining.store(true, Ordering::Relaxed);
    // Serves the clients that the operating system has already connected.
    while let Some(Ok(connection)) = listener.accept().now_or_never() {
        spawn_connection(connection).await;
    }
    drop(listener);
    time::sleep(SHUTDOWN_DELAY).await;
    let _ = time::timeout(timeout, shutdown.shutdown()).await;
}

/// Serves the requests of one connection, one after the other. Closes the connection if the client does not send a complete
/// header or does not receive the response within `timeout`.
async fn serve_connection(
    stream: TcpStream,
    router: Router,
    state: Arc<ConnectionState>,
    timeout: Duration,
    watcher: Watcher,
) {
    // Nagle's algorithm would only delay responses, because each is written at once.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(state.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(READ_BUFFER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // Errors of a connection are ignored: the client caused them, and it is gone.
    let _ = watcher.watch(connection).await;
}
