//! One server that is asked over HTTP: bounded in time, in tries, and in what it may answer.

use std::time::Duration;

use marketprism_service::{Backoff, BackoffConfig, HumanDuration, Report};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::config::UpstreamsConfig;
use crate::http;
use crate::metrics::UpstreamMetrics;

/// Bytes of one answer: some 10,000 alerts or 2,000 rules.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Characters of an error that are repeated.
const ERROR_CHARS_MAX: usize = 512;
/// Between two tries.
const PAUSES: BackoffConfig = BackoffConfig {
    first: HumanDuration::from_millis(300),
    max: HumanDuration::from_secs(2),
    stable_after: HumanDuration::from_secs(3600),
};

/// Why there is no answer. No variant holds the address: a password may be in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("{upstream} is not part of this installation (upstreams.{upstream} is null)")]
    Absent { upstream: &'static str },
    #[error("{upstream} does not answer")]
    Unreachable {
        upstream: &'static str,
        #[source]
        source: reqwest::Error,
    },
    #[error("{upstream} answers {status}: {body}")]
    Status { upstream: &'static str, status: StatusCode, body: String },
    #[error("the answer of {upstream} cannot be read")]
    Unreadable {
        upstream: &'static str,
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
}

impl UpstreamError {
    /// `prometheus` or `alertmanager`.
    pub(crate) const fn upstream(&self) -> &'static str {
        match self {
            Self::Absent { upstream }
            | Self::Unreachable { upstream, .. }
            | Self::Status { upstream, .. }
            | Self::Unreadable { upstream, .. } => upstream,
        }
    }

    /// Whether there is nobody to ask, which is how it was configured and no fault.
    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => status.is_server_error(),
            Self::Absent { .. } | Self::Unreadable { .. } => false,
        }
    }
}

/// A server and how it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    name: &'static str,
    /// `None` where this installation has no such server.
    server: Option<Server>,
    client: reqwest::Client,
    tries: u32,
}

/// Where it is, and what its questions came to.
#[derive(Debug, Clone)]
struct Server {
    base: String,
    metrics: UpstreamMetrics,
}

impl Upstream {
    pub(super) fn new(
        name: &'static str,
        base: Option<&str>,
        config: &UpstreamsConfig,
    ) -> Result<Self, Report> {
        let server = base.map(|base| Server {
            base: base.trim_end_matches('/').to_owned(),
            metrics: UpstreamMetrics::new_with_labels(&[("upstream", name)]),
        });
        Ok(Self { name, server, client: http::inside(config.timeout.get())?, tries: config.tries })
    }

    /// Whether this installation has such a server.
    pub(crate) const fn is_configured(&self) -> bool {
        self.server.is_some()
    }

    /// The JSON at `path`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, UpstreamError> {
        let mut pauses = Backoff::new(PAUSES);
        loop {
            let error = match self.body(path, query).await {
                Ok(body) => return self.read(&body),
                Err(error) => error,
            };
            if !error.is_transient() || pauses.failures().saturating_add(1) >= self.tries {
                return Err(error);
            }
            sleep(pauses.next_delay(Duration::ZERO)).await;
        }
    }

    /// Whether it serves, asked once (an absent one does not): Prometheus and Alertmanager both say it at this path.
    pub(crate) async fn is_ready(&self) -> Result<(), UpstreamError> {
        let ready = self.body("/-/ready", &[]).await.map(drop);
        if let Some(Server { metrics, .. }) = &self.server {
            metrics.upstream_up.set(if ready.is_ok() { 1.0 } else { 0.0 });
        }
        ready
    }

    async fn body(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, UpstreamError> {
        let Some(Server { base, metrics }) = &self.server else {
            return Err(UpstreamError::Absent { upstream: self.name });
        };
        metrics.upstream_requests_total.increment(1);
        let body = self.asked(base, path, query).await;
        if body.is_err() {
            metrics.upstream_failures_total.increment(1);
        }
        body
    }

    async fn asked(&self, base: &str, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, UpstreamError> {
        let upstream = self.name;
        let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let url = format!("{base}{path}?{pairs}");
        let (status, body) = http::answer(self.client.get(url), ANSWER_BYTES_MAX)
            .await
            .map_err(|source| UpstreamError::Unreachable { upstream, source })?;
        if status.is_success() {
            return Ok(body);
        }
        let body = String::from_utf8_lossy(&body).chars().take(ERROR_CHARS_MAX).collect();
        Err(UpstreamError::Status { upstream, status, body })
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, UpstreamError> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = serde_path_to_error::deserialize(&mut json);
        read.map_err(|source| UpstreamError::Unreadable { upstream: self.name, source })
    }
}
