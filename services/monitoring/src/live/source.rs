//! One service as it shows itself: its health and metrics, and how long ago that was when it cannot be reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::cached::Cached;
use super::config::ServiceUrls;
use super::exposition::Metrics;
use super::rates;
use crate::http;

/// Two looks are at least so far apart: what the page shows changes once a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(900);
/// Rates and quantiles are of so long, or up to twice of it: rows come in batches of a second or so, and a number that jumps
/// between them and 0 tells nobody anything.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// An admin server answers within milliseconds, also under load.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The largest page of a service: 10 000 streams of 500 bytes.
const BODY_BYTES_MAX: usize = 16 << 20;

/// How something is, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NodeState {
    Healthy,
    Degraded,
    Unhealthy,
    /// It does not answer.
    Unreachable,
}

/// One part of the pipeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Node {
    pub(crate) state: NodeState,
    /// What is wrong, in its own words.
    pub(crate) reasons: Vec<String>,
    /// How old what is known of it is, ms; null when it never answered.
    pub(crate) age_ms: Option<u64>,
    pub(crate) version: Option<String>,
    pub(crate) uptime_seconds: Option<u64>,
    /// Resident memory.
    pub(crate) memory_bytes: Option<u64>,
}

/// The cause that says it in a few words: `Connection refused (os error 111)`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

impl Node {
    /// One that only says whether it answers, now.
    pub(crate) const fn plain(state: NodeState, reasons: Vec<String>) -> Self {
        let age_ms = if matches!(state, NodeState::Healthy) { Some(0) } else { None };
        Self { state, reasons, age_ms, version: None, uptime_seconds: None, memory_bytes: None }
    }

    /// The same: `error` is why it does not answer.
    pub(crate) fn answering(error: Option<String>) -> Self {
        let state = if error.is_some() { NodeState::Unreachable } else { NodeState::Healthy };
        Self::plain(state, error.into_iter().collect())
    }
}

/// One service, however many look at it.
#[derive(Debug)]
pub(crate) struct Source {
    http: reqwest::Client,
    urls: ServiceUrls,
    seen: Cached<Seen>,
}

/// What a service said.
#[derive(Debug)]
pub(crate) struct Reading {
    at: Instant,
    health: Health,
    pub(crate) metrics: Metrics,
}

/// What is known of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    latest: Option<Arc<Reading>>,
    /// What rates count from: one to two windows old.
    base: Option<Arc<Reading>>,
    /// The base of the next window.
    next_base: Option<Arc<Reading>>,
    /// Why the last look failed.
    error: Option<String>,
}

/// The body of `/health`.
#[derive(Debug, Deserialize)]
struct Health {
    status: String,
    version: Option<String>,
    uptime_seconds: Option<u64>,
    #[serde(default)]
    checks: BTreeMap<String, Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    status: String,
    reason: Option<String>,
}

impl Source {
    pub(crate) fn new(http: reqwest::Client, urls: ServiceUrls) -> Self {
        Self { http, urls, seen: Cached::new(LOOK_INTERVAL) }
    }

    /// How it is now.
    pub(crate) async fn look(&self) -> Seen {
        self.seen
            .get(async |before| {
                let before = before.unwrap_or_default();
                match self.read().await {
                    Ok(reading) => before.followed_by(Arc::new(reading)),
                    Err(error) => Seen { error: Some(error), ..before },
                }
            })
            .await
    }

    /// A page of its own beside `/health`.
    ///
    /// # Errors
    /// In words, when it does not answer with JSON of that shape.
    pub(crate) async fn page<T: DeserializeOwned>(&self, page: &str) -> Result<T, String> {
        let text = self.text(&format!("{}{page}", self.urls.health.trim_end_matches('/'))).await?;
        serde_json::from_str(&text).map_err(|error| format!("{page} is not understood: {error}"))
    }

    async fn read(&self) -> Result<Reading, String> {
        let metrics_url = format!("{}/metrics", self.urls.metrics.trim_end_matches('/'));
        let (health, metrics) = tokio::join!(self.page("/health"), self.text(&metrics_url));
        Ok(Reading { at: Instant::now(), health: health?, metrics: Metrics::parse(&metrics?) })
    }

    /// The body of any answer: an unhealthy service answers 503, and says why.
    async fn text(&self, url: &str) -> Result<String, String> {
        match http::answer(self.http.get(url), BODY_BYTES_MAX).await {
            Ok((_, body)) => Ok(String::from_utf8_lossy(&body).into_owned()),
            Err(error) if error.is_timeout() => {
                Err(format!("{url} does not answer within {} s", PATIENCE.as_secs()))
            }
            Err(error) => Err(format!("{url} does not answer: {}", innermost(&error))),
        }
    }
}

impl Seen {
    fn followed_by(self, reading: Arc<Reading>) -> Self {
        let age = |old: &Arc<Reading>| reading.at.duration_since(old.at);
        let (base, next_base) = match self.next_base {
            Some(next) if age(&next) < RATE_WINDOW => (self.base, Some(next)),
            Some(next) if age(&next) < 2 * RATE_WINDOW => (Some(next), Some(Arc::clone(&reading))),
            // Nobody looked for a while: what was then says nothing of now.
            _ => (Some(Arc::clone(&reading)), Some(Arc::clone(&reading))),
        };
        Self { latest: Some(reading), base, next_base, error: None }
    }

    pub(crate) const fn is_reachable(&self) -> bool {
        self.error.is_none() && self.latest.is_some()
    }

    /// Its newest metrics, however old: of what does not change when nobody looks, such as names and totals.
    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.latest.as_ref().map(|reading| &reading.metrics)
    }

    /// Its newest metrics while it answers: of what is only true now.
    pub(crate) fn current(&self) -> Option<&Metrics> {
        self.metrics().filter(|_| self.is_reachable())
    }

    /// How fast a counter grows; `None` while it does not answer.
    pub(crate) fn rate(&self, counter: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (now, before, elapsed) = self.both()?;
        rates::per_second(now.sum(counter, labels), before.sum(counter, labels), elapsed)
    }

    /// A quantile of what was observed lately; `None` while it does not answer, or when nothing was.
    pub(crate) fn quantile(&self, histogram: &str, labels: &[(&str, &str)], q: f64) -> Option<f64> {
        let (now, before, _) = self.both()?;
        rates::quantile(&now.histogram(histogram, labels), &before.histogram(histogram, labels), q)
    }

    fn both(&self) -> Option<(&Metrics, &Metrics, Duration)> {
        let (now, base) = (self.latest.as_ref()?, self.base.as_ref()?);
        self.is_reachable().then(|| (&now.metrics, &base.metrics, now.at.duration_since(base.at)))
    }

    pub(crate) fn age_ms(&self) -> Option<u64> {
        self.latest
            .as_ref()
            .map(|reading| u64::try_from(reading.at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// As a part of the pipeline.
    pub(crate) fn node(&self) -> Node {
        let health = self.latest.as_ref().map(|reading| &reading.health);
        let (state, reasons) = match (&self.error, health) {
            (None, Some(health)) => (state_of(&health.status), health.reasons()),
            (error, _) => (NodeState::Unreachable, error.iter().cloned().collect()),
        };
        let memory = self.current().and_then(|metrics| metrics.sum("process_resident_memory_bytes", &[]));
        Node {
            state,
            reasons,
            age_ms: self.age_ms(),
            version: health.and_then(|health| health.version.clone()),
            uptime_seconds: health.and_then(|health| health.uptime_seconds).filter(|_| self.is_reachable()),
            memory_bytes: memory.map(rates::whole),
        }
    }
}

impl Health {
    /// Of every check that is not healthy.
    fn reasons(&self) -> Vec<String> {
        let ill = self.checks.iter().filter(|(_, check)| state_of(&check.status) != NodeState::Healthy);
        ill.map(|(name, check)| match &check.reason {
            Some(reason) => format!("{name}: {reason}"),
            None => format!("{name}: {}", check.status),
        })
        .collect()
    }
}

/// A word that is not known is no good news.
fn state_of(status: &str) -> NodeState {
    match status {
        "healthy" => NodeState::Healthy,
        "degraded" => NodeState::Degraded,
        _ => NodeState::Unhealthy,
    }
}
