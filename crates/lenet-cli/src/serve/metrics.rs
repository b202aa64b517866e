//! What the server has done, as Prometheus reads it.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Counters, which all parts of the server advance.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    latencies: Family<Route, Histogram>,
    /// Pictures and drawings that were read.
    pub readings: Counter,
    /// Digits that were read in them.
    pub digits: Counter,
    /// Digits that were refused in them.
    pub refusals: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

impl Metrics {
    /// The media type of [`text`](Self::text).
    pub const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("lenet");
        let requests = Family::<Request, Counter>::default();
        // From half a millisecond to 16 seconds.
        let latencies = Family::<Route, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.0005, 2.0, 16))
        });
        let [readings, digits, refusals] = [(); 3].map(|()| Counter::default());
        registry.register("requests", "Requests that were answered", requests.clone());
        let help = "Time from a request's header to its answer's";
        registry.register_with_unit("request", help, Unit::Seconds, latencies.clone());
        registry.register("readings", "Pictures and drawings that were read", readings.clone());
        registry.register("digits", "Digits that were read", digits.clone());
        registry.register("refusals", "Digits that were refused as such", refusals.clone());
        Self { registry, requests, latencies, readings, digits, refusals }
    }

    /// Counts a request.
    pub fn request(&self, route: &str, status: StatusCode, time: Duration) {
        let request = Request { route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&request).inc();
        self.latencies.get_or_create(&Route { route: request.route }).observe(time.as_secs_f64());
    }

    /// All of it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
