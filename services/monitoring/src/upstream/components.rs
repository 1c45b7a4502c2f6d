//! What each part of the system says of itself, asked now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use marketprism_service::Report;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::config::{ComponentConfig, UpstreamsConfig};
use crate::http;

/// Bytes of one health: the collector's names some thousand streams.
const HEALTH_BYTES_MAX: usize = 1 << 20;

/// Everything that is asked.
#[derive(Debug, Clone)]
pub(crate) struct Components {
    client: reqwest::Client,
    configured: BTreeMap<String, ComponentConfig>,
}

/// How well a part of the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ComponentStatus {
    /// It does its work.
    Healthy,
    /// It does its work, but not all of it or not well.
    Degraded,
    /// It says that it does not do its work.
    Unhealthy,
    /// It does not answer.
    Unreachable,
}

/// One part of the system.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Component {
    /// `collector`, `clickhouse-hot`: as in the configuration, where `-` is `_`.
    name: String,
    pub(crate) status: ComponentStatus,
    /// Why it is not healthy.
    reason: Option<String>,
    /// Whether Prometheus can scrape it; `null` where it does not, or does not answer.
    up: Option<bool>,
    /// How long it took to answer.
    response_time_ms: u64,
    /// Its own checks, where it tells any.
    #[schema(value_type = Option<Object>)]
    checks: Option<Value>,
}

impl Components {
    pub(crate) fn new(
        configured: BTreeMap<String, ComponentConfig>,
        upstreams: &UpstreamsConfig,
    ) -> Result<Self, Report> {
        let mut all = configured;
        for (name, url) in [("prometheus", &upstreams.prometheus), ("alertmanager", &upstreams.alertmanager)]
        {
            let url = format!("{}/-/healthy", url.trim_end_matches('/'));
            all.entry(name.to_owned()).or_insert(ComponentConfig { url, job: None });
        }
        Ok(Self { client: http::client(upstreams.timeout.get())?, configured: all })
    }

    /// All of them, asked at once. `up`: Prometheus's by job.
    pub(crate) async fn ask(&self, up: &BTreeMap<String, f64>) -> Vec<Component> {
        join_all(self.configured.iter().map(|(name, component)| self.ask_one(name, component, up))).await
    }

    async fn ask_one(
        &self,
        name: &str,
        component: &ComponentConfig,
        up: &BTreeMap<String, f64>,
    ) -> Component {
        let asked = Instant::now();
        let told = self.told(&component.url).await;
        let up = component.job.as_ref().and_then(|job| up.get(job));
        Component {
            name: name.replace('_', "-"),
            status: told.status,
            reason: told.reason,
            up: up.map(|value| *value > 0.0),
            response_time_ms: milliseconds(asked.elapsed()),
            checks: told.checks,
        }
    }

    async fn told(&self, url: &str) -> Told {
        let asked = async {
            let answer = self.client.get(url).send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, http::body(answer, HEALTH_BYTES_MAX).await?))
        };
        match asked.await {
            Err(error) => Told {
                status: ComponentStatus::Unreachable,
                reason: Some(Report::from(error.without_url()).to_string()),
                checks: None,
            },
            Ok((code, body)) => told(code.as_u16(), &body),
        }
    }
}

struct Told {
    status: ComponentStatus,
    reason: Option<String>,
    checks: Option<Value>,
}

/// `{"status":"degraded","checks":{"nats":{"status":"healthy"},"orderbook":{"status":"degraded","reason":"…"}}}` of ours; of
/// others only the code counts.
fn told(code: u16, body: &[u8]) -> Told {
    #[derive(Deserialize)]
    struct Ours {
        status: ComponentStatus,
        checks: Value,
    }
    match serde_json::from_slice(body) {
        // Whatever it writes, 503 is not healthy.
        Ok(Ours { status, checks }) if (code == 200) == (status < ComponentStatus::Unhealthy) => {
            Told { status, reason: reason(&checks), checks: Some(checks) }
        }
        _ if code == 200 => Told { status: ComponentStatus::Healthy, reason: None, checks: None },
        _ => {
            let reason = Some(format!("it answers {code}"));
            Told { status: ComponentStatus::Unhealthy, reason, checks: None }
        }
    }
}

/// `orderbook: 3 of 40 are stale; nats: …`
fn reason(checks: &Value) -> Option<String> {
    let of_check = |(name, check): (&String, &Value)| {
        let reason = check.get("reason")?.as_str()?;
        Some(format!("{name}: {reason}"))
    };
    let reasons: Vec<_> = checks.as_object()?.iter().filter_map(of_check).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, body: &str) -> ComponentStatus {
        told(code, body.as_bytes()).status
    }

    #[test]
    fn its_own_word_counts_unless_its_code_says_otherwise() {
        let degraded = r#"{"status":"degraded","checks":{"nats":{"status":"healthy"},"books":{"status":"degraded","reason":"stale"}}}"#;
        assert_eq!(status(200, degraded), ComponentStatus::Degraded);
        assert_eq!(told(200, degraded.as_bytes()).reason.as_deref(), Some("books: stale"));
        assert_eq!(status(503, r#"{"status":"unhealthy","checks":{}}"#), ComponentStatus::Unhealthy);
        assert_eq!(status(503, r#"{"status":"healthy","checks":{}}"#), ComponentStatus::Unhealthy);
        assert_eq!(status(200, "Ok.\n"), ComponentStatus::Healthy);
        assert_eq!(status(200, r#"{"status":"ok"}"#), ComponentStatus::Healthy);
        assert_eq!(status(404, ""), ComponentStatus::Unhealthy);
    }
}
