//! REST of one exchange, under one weight budget: the only place where its limits are kept.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use marketprism_exchanges::FetchFailed;
use marketprism_exchanges::registry::Integration;
use marketprism_service::{Context, Report};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::metrics::RestMetrics;

/// The largest body read: the longest instrument list is about 20 MB.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Requests on the wire at once; more would only queue at the exchange.
const CONCURRENT_MAX: usize = 4;
/// The share of the exchange's limit we use: others may run behind the same address.
const BUDGET_PERCENT: u32 = 50;
/// A request without an answer after this has none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pause where the exchange says "too many" and not for how long.
const PAUSE_DEFAULT: Duration = Duration::from_secs(10);
/// Start of an error body kept for the log.
const ERROR_BODY_CHARS_MAX: usize = 300;

/// Makes requests of one exchange. Clones share client, budget and pause.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    client: reqwest::Client,
    base: String,
    budget: Arc<DefaultDirectRateLimiter>,
    /// The most weight one request may have: a single one above the budget would never be let through.
    weight_max: u32,
    concurrent: Arc<Semaphore>,
    paused_until: Arc<Mutex<Instant>>,
    metrics: RestMetrics,
}

impl Rest {
    pub(crate) fn new(base: &str, integration: &Integration) -> Result<Self, Report> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("marketprism/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("failed to make the HTTP client")?;
        let per_minute =
            integration.rest_limits.first().map_or(0, |limit| limit.weight).saturating_mul(BUDGET_PERCENT)
                / 100;
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let place = [
            ("exchange", integration.exchange),
            ("market_type", integration.market_types.first().map_or("", |market_type| market_type.as_str())),
        ];
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            budget: Arc::new(RateLimiter::direct(Quota::per_minute(per_minute))),
            weight_max: per_minute.get(),
            concurrent: Arc::new(Semaphore::new(CONCURRENT_MAX)),
            paused_until: Arc::new(Mutex::new(Instant::now())),
            metrics: RestMetrics::new_with_labels(&place),
        })
    }

    /// Gets a path, after waiting for budget and for a pause the exchange has imposed.
    pub(crate) async fn get(&self, path: &str, weight: u32) -> Result<Vec<u8>, FetchFailed> {
        // Only fails when closed, which never happens; then the request goes ahead unbounded by it.
        let _place = self.concurrent.acquire().await.ok();
        let weight = NonZeroU32::new(weight.clamp(1, self.weight_max)).unwrap_or(NonZeroU32::MIN);
        if self.budget.until_n_ready(weight).await.is_err() {
            tracing::warn!(path, weight, "request weighs more than the whole budget");
        }
        tokio::time::sleep_until(self.paused_until()).await;
        let answer = self.ask(path).await;
        match &answer {
            Ok(_) => self.metrics.rest_requests_total.increment(1),
            Err(error) => {
                self.metrics.rest_failures_total.increment(1);
                self.obey(error);
            }
        }
        answer
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>, FetchFailed> {
        let transport = |error: reqwest::Error| FetchFailed::Transport(Report::from(error).to_string());
        let mut answer = self.client.get(format!("{}{path}", self.base)).send().await.map_err(transport)?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
        if let Some(used) = header("x-mbx-used-weight-1m") {
            self.metrics.rest_used_weight.set(u32::try_from(used).unwrap_or(u32::MAX));
        }
        let (status, retry_after_seconds) = (answer.status(), header("retry-after"));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(FetchFailed::Transport(format!("body is longer than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let body = String::from_utf8_lossy(&body).chars().take(ERROR_BODY_CHARS_MAX).collect();
        Err(FetchFailed::Status { status: status.as_u16(), body, retry_after_seconds })
    }

    /// 429 and 418 stop every request of this exchange for as long as it says: asking on would get the address banned.
    fn obey(&self, error: &FetchFailed) {
        let FetchFailed::Status { status: status @ (429 | 418), retry_after_seconds, .. } = error else {
            return;
        };
        let pause = retry_after_seconds.map_or(PAUSE_DEFAULT, Duration::from_secs);
        self.metrics.rest_limited_total.increment(1);
        tracing::warn!(
            status,
            pause_seconds = pause.as_secs(),
            base = self.base,
            "the exchange says we ask too often"
        );
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Instant::now() + pause);
    }

    fn paused_until(&self) -> Instant {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
