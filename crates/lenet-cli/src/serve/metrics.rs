//! Counters and histograms in Prometheus's OpenMetrics text format.

use std::time::Duration;

use axum::http::StatusCode;
use lenet::recognize::Reading;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The metrics of the server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_durations: Family<RouteLabel, Histogram>,
    readings: Counter,
    digits: Family<DigitLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DigitLabels {
    result: DigitAcceptance,
}

/// Whether a candidate was accepted as a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum DigitAcceptance {
    Accepted,
    Rejected,
}

impl EncodeLabelValue for DigitAcceptance {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder,
    ) -> Result<(), std::fmt::Error> {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
        .encode(encoder)
    }
}

impl Metrics {
    /// The media type of [`encode`](Self::encode).
    pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("lenet");
        let requests = Family::<RequestLabels, Counter>::default();
        let request_durations = Family::<RouteLabel, Histogram>::new_with_constructor(|| {
            // From 0.5 milliseconds to 16 seconds.
            Histogram::new(exponential_buckets(0.0005, 2.0, 16))
        });
        let readings = Counter::default();
        let digits = Family::<DigitLabels, Counter>::default();
        registry.register("http_requests", "HTTP requests by route and status", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the header of a request to its response",
            Unit::Seconds,
            request_durations.clone(),
        );
        registry.register("readings", "Images and drawings recognized", readings.clone());
        registry.register("digits", "Digits accepted and candidates rejected", digits.clone());
        // Both series exist from the start, because Prometheus can't compute a rate over a series that appears later.
        for result in [DigitAcceptance::Accepted, DigitAcceptance::Rejected] {
            drop(digits.get_or_create(&DigitLabels { result }));
        }
        Self { registry, requests, request_durations, readings, digits }
    }

    /// Counts a request and its duration.
    pub fn record_request(&self, route: &str, status: StatusCode, duration: Duration) {
        let labels = RequestLabels { route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        let label = RouteLabel { route: labels.route };
        self.request_durations.get_or_create(&label).observe(duration.as_secs_f64());
    }

    /// Counts a recognized image and its digits.
    pub fn record_reading(&self, reading: &Reading) {
        self.readings.inc();
        for digit in &reading.digits {
            let result = if digit.rejected { DigitAcceptance::Rejected } else { DigitAcceptance::Accepted };
            self.digits.get_or_create(&DigitLabels { result }).inc();
        }
    }

    /// Returns all metrics in OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
