//! Section `upstreams`.

use marketprism_service::{ConfigError, HumanDuration};
use serde::{Deserialize, Serialize};

use crate::http;

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
            http::is_address(&format!("upstreams.{key}"), url)?;
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
