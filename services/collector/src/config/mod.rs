//! The collector's configuration: `config/collector.yaml` shows every key with its default.

mod exchange;
mod orderbook;
mod selection;

use std::collections::BTreeMap;

use marketprism_bus::{NatsConfig, PublisherConfig};
use marketprism_exchanges::registry;
use marketprism_service::{
    AdminConfig, BackoffConfig, ConfigError, Configuration, HumanDuration, LoggingConfig, Secret,
    ShutdownConfig,
};
use serde::{Deserialize, Serialize};

use crate::pressure::PressureConfig;
use crate::queue::QueuesConfig;
pub(crate) use exchange::ExchangeConfig;
pub(crate) use selection::Selection;

/// Everything the collector can be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Logs.
    pub(crate) logging: LoggingConfig,
    /// Health and metrics.
    pub(crate) admin: AdminConfig,
    /// Draining at the end.
    pub(crate) shutdown: ShutdownConfig,
    /// The broker.
    pub(crate) nats: NatsConfig,
    /// How long to wait for NATS at start before giving up.
    pub(crate) wait: HumanDuration,
    /// How messages are published.
    pub(crate) publisher: PublisherConfig,
    /// What may wait for the broker.
    pub(crate) queues: QueuesConfig,
    /// The limits that pressure is measured against.
    pub(crate) pressure: PressureConfig,
    /// Pauses between attempts to connect to an exchange, and to read its instrument list.
    pub(crate) reconnect: BackoffConfig,
    /// HTTP proxy of every exchange that has none of its own; what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say when absent.
    pub(crate) proxy: Option<Secret>,
    /// Orders that come over NATS.
    pub(crate) control: ControlConfig,
    /// How much is measured.
    pub(crate) metrics: MetricsConfig,
    /// Keyed by integration id.
    pub(crate) exchanges: BTreeMap<String, ExchangeConfig>,
}

/// Orders that come over NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ControlConfig {
    /// Whether they are listened to.
    pub(crate) enabled: bool,
    /// What their subjects begin with; collectors on one broker that take orders apart need different ones.
    pub(crate) subject: String,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { enabled: true, subject: "control.collector".to_owned() }
    }
}

impl ControlConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let is_token = |token: &str| {
            !token.is_empty()
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if self.subject.split('.').all(is_token) {
            return Ok(());
        }
        let reason = "is no NATS subject of tokens of letters, digits, _ and -";
        Err(ConfigError::invalid("control.subject", &self.subject, reason))
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsConfig {
    /// Streams (symbol and data type) that have metrics of their own, at most; `/status` has every stream.
    pub(crate) streams_max: usize,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        // Two metrics each; a scrape of them stays below 100 KB.
        Self { streams_max: 200 }
    }
}

impl Default for Config {
    fn default() -> Self {
        let exchanges = registry::INTEGRATIONS
            .iter()
            .map(|integration| (integration.id.to_owned(), ExchangeConfig::of(integration)));
        Self {
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8087, 9092),
            shutdown: ShutdownConfig::default(),
            nats: NatsConfig::default(),
            wait: HumanDuration::from_secs(60),
            publisher: PublisherConfig::default(),
            queues: QueuesConfig::default(),
            pressure: PressureConfig::default(),
            reconnect: BackoffConfig::default(),
            proxy: None,
            control: ControlConfig::default(),
            metrics: MetricsConfig::default(),
            exchanges: exchanges.collect(),
        }
    }
}

impl Configuration for Config {
    fn logging(&self) -> &LoggingConfig {
        &self.logging
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let section = |name: &'static str| {
            move |error: marketprism_bus::InvalidField| {
                ConfigError::invalid(format!("{name}.{}", error.field), error.value, error.reason)
            }
        };
        self.nats.validate().map_err(section("nats"))?;
        self.publisher.validate().map_err(section("publisher"))?;
        self.queues.validate()?;
        self.pressure.validate()?;
        exchange::check_proxy("proxy", self.proxy.as_ref())?;
        self.control.validate()?;
        if self.metrics.streams_max > 100_000 {
            let reason = "is more than a scrape can carry: 100000";
            return Err(ConfigError::invalid("metrics.streams_max", self.metrics.streams_max, reason));
        }
        for (id, exchange) in &self.exchanges {
            let Some(integration) = registry::find(id) else {
                let known: Vec<_> = registry::INTEGRATIONS.iter().map(|integration| integration.id).collect();
                let reason = format!("is no exchange we know; known: {}", known.join(", "));
                return Err(ConfigError::invalid("exchanges", id, reason));
            };
            exchange.validate(id, integration)?;
        }
        if !self.exchanges.values().any(|exchange| exchange.enabled) {
            return Err(ConfigError::invalid("exchanges", "none enabled", "leaves nothing to collect"));
        }
        Ok(())
    }
}
