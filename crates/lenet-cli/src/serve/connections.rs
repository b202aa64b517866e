//! Connections: how many, how long, and how they end.

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
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time,
};
use tokio_io_timeout::TimeoutStream;

use super::api::{self, Server};

/// What one connection too many gets, when all others are busy.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";
/// Bytes of a request's header, and those that are read at a time.
const HEADER: usize = 16 << 10;
const BUFFER: usize = 64 << 10;
/// For so long whoever uses a connection is told that it ends, before it does.
const FAREWELL: Duration = Duration::from_millis(500);

/// Connections that the system keeps until they are taken: a crowd may come at once.
const BACKLOG: u32 = 1024;

/// Listens on an address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A connection, as its requests know it.
#[derive(Debug)]
pub struct Client {
    pub address: SocketAddr,
    /// Whether all of a request is there, and its answer is on the way.
    pub busy: AtomicBool,
}

/// The connections, from the oldest to the newest; perhaps with some that have ended.
struct Crowd {
    places: Arc<Semaphore>,
    most: usize,
    connections: VecDeque<(AbortHandle, Arc<Client>)>,
}

impl Crowd {
    /// A place for one more: where there is none, that of the oldest connection that is kept waiting. So those who send a
    /// byte a second keep nobody out. `None` if all are busy.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Some(place);
        }
        self.connections.retain(|(task, _)| !task.is_finished());
        let waits = |(_, client): &(_, Arc<Client>)| !client.busy.load(Ordering::Relaxed);
        let (task, _) = self.connections.remove(self.connections.iter().position(waits)?)?;
        task.abort();
        self.places.clone().acquire_owned().await.ok()
    }

    fn join(&mut self, task: AbortHandle, client: Arc<Client>) {
        if self.connections.len() >= 2 * self.most {
            self.connections.retain(|(task, _)| !task.is_finished());
        }
        self.connections.push_back((task, client));
    }
}

/// Serves until `stop`; then no more connections are taken, and what is under way is finished.
pub async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    network: Vec<u8>,
    stop: impl Future<Output = ()>,
) {
    let timeout = server.limits.timeout();
    let most = server.limits.connections.get();
    let mut crowd = Crowd {
        places: Arc::new(Semaphore::new(most)),
        most,
        connections: VecDeque::with_capacity(2 * most),
    };
    let router = api::router(server.clone(), network);
    let shutdown = GracefulShutdown::new();
    let mut take = async |(stream, address): (TcpStream, SocketAddr)| {
        let Some(place) = crowd.place().await else {
            // Whether it gets there or not: nobody waits for it.
            let _ = stream.try_write(BUSY);
            return;
        };
        let client = Arc::new(Client { address, busy: AtomicBool::new(false) });
        let (router, watcher, known) = (router.clone(), shutdown.watcher(), client.clone());
        let task = tokio::spawn(async move {
            converse(stream, router, client, timeout, watcher).await;
            drop(place);
        });
        crowd.join(task.abort_handle(), known);
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(connection) => take(connection).await,
                // Such as too many open files: it may get better.
                Err(_) => time::sleep(Duration::from_millis(50)).await,
            },
            () = &mut stop => break,
        }
    }
    server.stopping.store(true, Ordering::Relaxed);
    // Those who were let in by the system before it was told.
    while let Some(Ok(connection)) = listener.accept().now_or_never() {
        take(connection).await;
    }
    drop(listener);
    time::sleep(FAREWELL).await;
    let _ = time::timeout(timeout, shutdown.shutdown()).await;
}

/// Answers the requests of one client, one after the other. One that sends no whole header in time, or takes nothing of
/// its answer, is left.
async fn converse(
    stream: TcpStream,
    router: Router,
    client: Arc<Client>,
    timeout: Duration,
    watcher: Watcher,
) {
    // Answers are written in one piece: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_header_size(HEADER)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // How a connection ends concerns nobody else.
    let _ = watcher.watch(connection).await;
}
