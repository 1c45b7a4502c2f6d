//! Sections `upstreams` and `components`.

use std::collections::BTreeMap;

use marketprism_service::{ConfigError, HumanDuration};
use serde::{Deserialize, Serialize};

/// Whom the API asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UpstreamsConfig {
    /// Prometheus; a user and a password may be part of the address.
    pub(crate) prometheus: String,
    /// Alertmanager; a user and a password may be part of the address.
    pub(crate) alertmanager: String,
    /// How long one question may take.
    pub(crate) timeout: HumanDuration,
    /// How often it is asked before the answer is 503.
    pub(crate) tries: u32,
}

/// A part of the system whose own word on its health is shown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ComponentConfig {
    /// Where it tells its health: an answer of 200 is good, and MarketPrism's own say more.
    pub(crate) url: String,
    /// Prometheus's name for it, whose `up` is shown beside; `null` where Prometheus does not scrape it.
    pub(crate) job: Option<String>,
}

impl Default for UpstreamsConfig {
    fn default() -> Self {
        Self {
            prometheus: "http://127.0.0.1:9090".to_owned(),
            alertmanager: "http://127.0.0.1:9093".to_owned(),
            timeout: HumanDuration::from_secs(5),
            tries: 3,
        }
    }
}

impl UpstreamsConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (key, url) in [("prometheus", &self.prometheus), ("alertmanager", &self.alertmanager)] {
            is_http(&format!("upstreams.{key}"), url)?;
        }
        if !(1..=10).contains(&self.tries) {
            return Err(ConfigError::invalid("upstreams.tries", self.tries, "must be from 1 to 10"));
        }
        if self.timeout.get().is_zero() {
            let reason = "must be longer than nothing";
            return Err(ConfigError::invalid("upstreams.timeout", self.timeout, reason));
        }
        Ok(())
    }
}

impl ComponentConfig {
    pub(crate) fn validate(&self, name: &str) -> Result<(), ConfigError> {
        is_http(&format!("components.{name}.url"), &self.url)
    }
}

fn is_http(path: &str, url: &str) -> Result<(), ConfigError> {
    if url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(());
    }
    Err(ConfigError::invalid(path, url, "is no http or https address"))
}

/// All of them on one host, at the ports of the operating contract. Names have `_` where they are shown with `-`, so that variables can
/// name them.
pub(crate) fn default_components() -> BTreeMap<String, ComponentConfig> {
    let component = |name: &str, address: &str, job: Option<&str>| {
        let url = format!("http://127.0.0.1:{address}");
        (name.to_owned(), ComponentConfig { url, job: job.map(str::to_owned) })
    };
    BTreeMap::from([
        component("collector", "8087/health", Some("collector")),
        component("hot_storage", "8085/health", Some("hot-storage")),
        component("cold_storage", "8086/health", Some("cold-storage")),
        component("nats", "8222/healthz", Some("nats")),
        component("clickhouse_hot", "8123/ping", None),
        component("clickhouse_cold", "8124/ping", None),
    ])
}
