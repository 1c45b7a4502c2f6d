//! The metrics recorder: what a scrape reads, histogram buckets, and the metrics every process has.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::Gauge;
use metrics_derive::Metrics;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::report::{Context, Report};

/// Durations from 100 µs (a publish on loopback) to 60 s (a cold copy), in seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
];
/// Sizes from one small message to the largest batch, in bytes.
const BYTES: &[f64] =
    &[256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];
/// Everything else counts things: rows, messages, levels.
const COUNTS: &[f64] = &[1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10_000.0, 50_000.0, 100_000.0];

/// Unix time in seconds, for gauges that say when something happened.
#[must_use]
pub fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// What is known of a process before it does anything.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism")]
struct ProcessMetrics {
    /// Always 1; the labels tell which service in which version this is.
    build_info: Gauge,
}

/// Reads everything recorded in this process.
#[derive(Clone)]
pub(crate) struct Scrape {
    recorded: PrometheusHandle,
    process: Collector,
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Scrape {
    /// The text of `/metrics`.
    pub(crate) fn render(&self) -> String {
        self.process.collect();
        self.recorded.render()
    }

    /// Folds histogram samples into their buckets. Without it they pile up between scrapes.
    pub(crate) fn upkeep(&self) {
        self.recorded.run_upkeep();
    }
}

/// Installs the recorder of this process.
pub(crate) fn install(service: &'static str, version: &'static str) -> Result<Scrape, Report> {
    // Buckets for every histogram, because without them the exporter renders summaries, which cannot be added up.
    let recorder = PrometheusBuilder::new()
        .set_buckets(COUNTS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES))
        .context("failed to set histogram buckets")?
        .build_recorder();
    let recorded = recorder.handle();
    metrics::set_global_recorder(recorder).context("failed to install the metrics recorder")?;

    let process = Collector::default();
    process.describe();
    ProcessMetrics::describe();
    ProcessMetrics::new_with_labels(&[("service", service), ("version", version)]).build_info.set(1.0);
    Ok(Scrape { recorded, process })
}
