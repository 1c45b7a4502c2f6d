//! Sections `components` and `live`: where the live view looks, and how much of it there may be at once.

use marketprism_service::{ConfigError, HumanDuration};
use serde::{Deserialize, Serialize};

use crate::http;

/// Markets somebody looks at: each is a connection, a subscription, and some five books a second.
const VIEWERS_MAX: u16 = 1_000;

/// The services, which are asked while somebody looks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ComponentsConfig {
    /// The collector.
    pub(crate) collector: ServiceUrls,
    /// hot-storage.
    pub(crate) hot_storage: ServiceUrls,
    /// cold-storage.
    pub(crate) cold_storage: ServiceUrls,
}

/// The live view.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LiveConfig {
    /// How often a market's book is sent to whoever looks at it, at most.
    pub(crate) book_interval: HumanDuration,
    /// People who may look at the pipeline at once, and as many who may look at a market.
    pub(crate) viewers_max: u16,
}

/// One service's admin server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceUrls {
    /// Base of `/health` and the service's own pages: `http://127.0.0.1:8087`.
    pub(crate) health: String,
    /// Base of `/metrics`: `http://127.0.0.1:9092`.
    pub(crate) metrics: String,
}

impl ServiceUrls {
    fn at_ports(health: u16, metrics: u16) -> Self {
        let local = |port| format!("http://127.0.0.1:{port}");
        Self { health: local(health), metrics: local(metrics) }
    }
}

impl Default for ComponentsConfig {
    fn default() -> Self {
        Self {
            collector: ServiceUrls::at_ports(8087, 9092),
            hot_storage: ServiceUrls::at_ports(8085, 9094),
            cold_storage: ServiceUrls::at_ports(8086, 9095),
        }
    }
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self { book_interval: HumanDuration::from_millis(200), viewers_max: 32 }
    }
}

impl ComponentsConfig {
    /// Checks what types cannot; the paths of the errors begin with `components.`.
    ///
    /// # Errors
    /// Names the first key that cannot be used, and its value.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (service, urls) in [
            ("collector", &self.collector),
            ("hot_storage", &self.hot_storage),
            ("cold_storage", &self.cold_storage),
        ] {
            http::is_address(&format!("components.{service}.health"), &urls.health)?;
            http::is_address(&format!("components.{service}.metrics"), &urls.metrics)?;
        }
        Ok(())
    }
}

impl LiveConfig {
    /// Checks what types cannot; the paths of the errors begin with `live.`.
    ///
    /// # Errors
    /// Names the first key that cannot be used, and its value.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=VIEWERS_MAX).contains(&self.viewers_max) {
            return Err(ConfigError::invalid("live.viewers_max", self.viewers_max, "must be from 1 to 1000"));
        }
        if self.book_interval.get().is_zero() {
            let reason = "must be longer than nothing";
            return Err(ConfigError::invalid("live.book_interval", self.book_interval, reason));
        }
        Ok(())
    }
}
