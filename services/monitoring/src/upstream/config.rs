//! Section `upstreams`.

use marketprism_service::{ConfigError, HumanDuration};
use serde::{Deserialize, Serialize};

use crate::http;

/// Whom the API asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UpstreamsConfig {
    /// Prometheus; a user and a password may be part of the address. `None`: this installation has none.
    pub(crate) prometheus: Option<String>,
    /// Alertmanager; a user and a password may be part of the address. `None`: this installation has none.
    pub(crate) alertmanager: Option<String>,
    /// How long one question may take.
    pub(crate) timeout: HumanDuration,
    /// How often it is asked before the answer is 503.
    pub(crate) tries: u32,
}

impl Default for UpstreamsConfig {
    fn default() -> Self {
        Self {
            prometheus: Some("http://127.0.0.1:9090".to_owned()),
            alertmanager: Some("http://127.0.0.1:9093".to_owned()),
            timeout: HumanDuration::from_secs(5),
            tries: 3,
        }
    }
}

impl UpstreamsConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (key, url) in [("prometheus", &self.prometheus), ("alertmanager", &self.alertmanager)] {
            if let Some(url) = url {
                http::is_address(&format!("upstreams.{key}"), url)?;
            }
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
