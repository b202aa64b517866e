//! The routes, and what each does with a request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, MatchedPath, Multipart, Query, Request, State,
        multipart::MultipartError, rejection::QueryRejection,
    },
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use lenet::recognize::Recognizer;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::{
    Limits,
    connections::Client,
    error::Refusal,
    inference::{Input, Options, Work},
    metrics::Metrics,
};

/// What all requests share.
#[derive(Debug)]
pub struct Server {
    pub limits: Limits,
    metrics: Arc<Metrics>,
    work: Arc<Work>,
    /// Bytes of bodies that may yet be held.
    room: Arc<Semaphore>,
    /// Whether connections are to end with their next answer.
    pub stopping: AtomicBool,
}

/// Bodies of full length that are held at a time.
const BODIES: usize = 16;
/// Files in a batch.
const FILES: usize = 256;

impl Server {
    pub fn new(recognizer: Recognizer, limits: Limits) -> Self {
        let metrics = Arc::new(Metrics::new());
        let work = Arc::new(Work::new(recognizer, &limits, metrics.clone()));
        let room = Arc::new(Semaphore::new(BODIES * limits.bytes()));
        Self { limits, metrics, work, room, stopping: AtomicBool::new(false) }
    }
}

/// The routes of the page and the API; `network` is the file of the network that reads.
pub fn router(server: Arc<Server>, network: Vec<u8>) -> Router {
    let network = Bytes::from(network);
    let mut router = Router::new()
        .route("/v1/recognize", post(recognize))
        .route("/v1/recognize/batch", post(batch))
        .route("/healthz", get("ok\n"))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(|| async { file("application/json", include_str!("openapi.json")) }))
        .route("/network.safetensors", get(|| async { file("application/octet-stream", network) }));
    for page in lenet_web::files() {
        router = router.route(page.path, get(async move || file(page.media_type, page.bytes)));
    }
    router
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "path: nothing is there") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method: not one that is answered there")
        })
        .layer(DefaultBodyLimit::disable()) // `receive` has limits of its own.
        .layer(middleware::from_fn_with_state(server.clone(), observe))
        .with_state(server)
}

/// A file that browsers ask for anew each time.
fn file(media_type: &'static str, bytes: impl Into<Bytes>) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, bytes.into()).into_response()
}

async fn metrics(State(server): State<Arc<Server>>) -> Response {
    ([(header::CONTENT_TYPE, Metrics::TYPE)], server.metrics.text()).into_response()
}

/// Reads one picture or drawing.
async fn recognize(
    State(server): State<Arc<Server>>,
    options: Result<Query<Options>, QueryRejection>,
    request: Request,
) -> Result<Json<Box<RawValue>>, Refusal> {
    let Query(options) = options.map_err(|error| Refusal::malformed(error.body_text()))?;
    let (request, _held) = receive(&server, request).await?;
    let input = if is(&request, "multipart/form-data") {
        Input::Picture(files(request).await?.swap_remove(0).1)
    } else if is(&request, "application/json") {
        Input::drawing(request.into_body())?
    } else {
        Input::Picture(request.into_body())
    };
    Ok(Json(server.work.read(input, options).await?))
}

/// What became of a file among several.
#[derive(Serialize)]
struct Answer {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reading: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// Reads many pictures; one that can't be read doesn't keep the others from it.
async fn batch(
    State(server): State<Arc<Server>>,
    options: Result<Query<Options>, QueryRejection>,
    request: Request,
) -> Result<Json<Vec<Answer>>, Refusal> {
    let Query(options) = options.map_err(|error| Refusal::malformed(error.body_text()))?;
    if options.explain {
        // Many times as long as all that was sent.
        return Err(Refusal::malformed("explain: expected with one picture, found with many"));
    }
    let (request, _held) = receive(&server, request).await?;
    let answers = stream::iter(files(request).await?).map(|(name, bytes)| async {
        let (reading, error) = match server.work.read(Input::Picture(bytes), options).await {
            Ok(reading) => (Some(reading), None),
            Err(refusal) => (None, Some(refusal.to_json())),
        };
        Answer { name, reading, error }
    });
    Ok(Json(answers.buffered(server.limits.workers()).collect().await))
}

/// Reads a request to its end, of a body that is not too long; with what must be held as long as the body is.
async fn receive(
    server: &Server,
    request: Request,
) -> Result<(Request<Bytes>, Option<OwnedSemaphorePermit>), Refusal> {
    let (head, mut body) = request.into_parts();
    let limit = server.limits.bytes();
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("body: expected at most {limit} bytes, found more"),
        )
    };
    // Who sends a little too much is heard out, because few read an answer before they have sent all.
    let patience = 2 * limit;
    if body.size_hint().lower() > patience as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut held) = (Vec::new(), None::<OwnedSemaphorePermit>);
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::malformed(format!("body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        received += data.len();
        if received > limit {
            (bytes, held) = (Vec::new(), None);
            if received > patience {
                break;
            }
            continue;
        }
        // No more than the buffer of a connection comes at a time, and a body has less than four gigabytes.
        let more = server.room.clone().try_acquire_many_owned(data.len() as u32);
        let more = more.map_err(|_| Refusal::busy("bodies"))?;
        match &mut held {
            Some(held) => held.merge(more),
            None => held = Some(more),
        }
        bytes.extend_from_slice(&data);
    }
    if received > limit {
        return Err(too_large());
    }
    if let Some(client) = head.extensions.get::<Arc<Client>>() {
        client.busy.store(true, Ordering::Relaxed);
    }
    Ok((Request::from_parts(head, bytes.into()), held))
}

/// The files of a form with their names, at least one.
async fn files(request: Request<Bytes>) -> Result<Vec<(String, Bytes)>, Refusal> {
    let form = Multipart::from_request(request.map(Body::from), &()).await;
    let mut form = form.map_err(|error| Refusal::malformed(error.body_text()))?;
    let read = async {
        let mut files = Vec::new();
        while let Some(field) = form.next_field().await? {
            let Some(name) = field.file_name().map(str::to_owned) else { continue };
            files.push((name, field.bytes().await?));
            if files.len() > FILES {
                break;
            }
        }
        Ok(files)
    };
    let files = read.await.map_err(|error: MultipartError| Refusal::malformed(error.body_text()))?;
    match files.len() {
        0 => Err(Refusal::malformed("form: expected a file, found none")),
        1..=FILES => Ok(files),
        _ => {
            let message = format!("form: expected at most {FILES} files, found more");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
    }
}

fn is<T>(request: &Request<T>, media_type: &str) -> bool {
    let header = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    header.is_some_and(|value| value.to_ascii_lowercase().starts_with(media_type))
}

/// What browsers may do with an answer: run what comes from here, and nothing else.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Answers in time, counts the request, and tells of it.
async fn observe(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Arc<Client>>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match time::timeout(server.limits.timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, "request: took too long").into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if server.stopping.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    client.busy.store(false, Ordering::Relaxed);
    let (status, time) = (response.status(), start.elapsed());
    server.metrics.request(&route, status, time);
    let (status, milliseconds) = (status.as_u16(), time.as_secs_f32() * 1000.0);
    tracing::info!(client = %client.address, %method, path, status, milliseconds);
    response
}
