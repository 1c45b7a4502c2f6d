//! What can be configured: the connection, and the sizes of the streams. Names, subjects, storage and retention are
//! not configurable: other services depend on them (`marketprism_core::topology`).

use std::collections::BTreeMap;
use std::time::Duration;

use marketprism_bus::NatsConfig;
use marketprism_bus::topology::{self, DesiredStream};
use marketprism_service::{
    AdminConfig, ConfigError, Configuration, HumanDuration, LoggingConfig, ShutdownConfig,
};
use serde::{Deserialize, Serialize};

/// Configuration of broker-bootstrap; `config/broker-bootstrap.yaml` documents every key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker.
    pub(crate) nats: NatsConfig,
    /// How long to wait for a broker that does not answer yet.
    pub(crate) wait: HumanDuration,
    /// The broker's monitoring port, to check how often it syncs to the disk; `None`: not checked.
    pub(crate) monitoring_url: Option<String>,
    /// How much of what the broker has acknowledged a power cut may lose.
    pub(crate) sync_interval_max: HumanDuration,
    /// By the stream's name in lower case, as environment variables can name it.
    pub(crate) streams: BTreeMap<String, StreamSize>,
    /// Logs.
    pub(crate) logging: LoggingConfig,
    /// Health and metrics.
    pub(crate) admin: AdminConfig,
    /// Draining at the end.
    pub(crate) shutdown: ShutdownConfig,
}

/// What an operator decides about a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamSize {
    /// Older messages are dropped by the broker.
    pub(crate) max_age: HumanDuration,
    /// Bytes; beyond it the oldest messages are dropped.
    pub(crate) max_bytes: i64,
    /// Two messages with one id within it are one message.
    pub(crate) duplicate_window: HumanDuration,
    /// Copies of each message: 1 on one server, 3 on a cluster.
    pub(crate) replicas: usize,
}

impl Default for Config {
    fn default() -> Self {
        let size = |stream: &DesiredStream| StreamSize {
            max_age: stream.max_age.into(),
            max_bytes: stream.max_bytes,
            duplicate_window: stream.duplicate_window.into(),
            replicas: stream.replicas,
        };
        let streams = topology::defaults();
        Self {
            nats: NatsConfig::default(),
            wait: HumanDuration::from_secs(60),
            monitoring_url: None,
            sync_interval_max: HumanDuration::from_secs(1),
            streams: streams.iter().map(|stream| (stream.name.to_lowercase(), size(stream))).collect(),
            logging: LoggingConfig::default(),
            // Free ports: it is gone within seconds, and must never collide with a service that stays.
            admin: AdminConfig::at_ports(0, 0),
            shutdown: ShutdownConfig::default(),
        }
    }
}

impl Config {
    /// The streams with the configured sizes.
    pub(crate) fn desired(&self) -> Vec<DesiredStream> {
        let sized = |stream: DesiredStream| match self.streams.get(&stream.name.to_lowercase()) {
            None => stream,
            Some(size) => DesiredStream {
                max_age: size.max_age.get(),
                max_bytes: size.max_bytes,
                duplicate_window: size.duplicate_window.get(),
                replicas: size.replicas,
                ..stream
            },
        };
        topology::defaults().into_iter().map(sized).collect()
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
        self.nats.validate().map_err(|error| {
            ConfigError::invalid(format!("nats.{}", error.field), error.value, error.reason)
        })?;
        if let Some(url) = self.monitoring_url.as_ref().filter(|url| !url.starts_with("http://")) {
            return Err(ConfigError::invalid("monitoring_url", url, "is not http://host:port"));
        }
        let known = topology::defaults();
        for (name, size) in &self.streams {
            let path = |field: &str| format!("streams.{name}.{field}");
            let Some(default) = known.iter().find(|stream| stream.name.to_lowercase() == *name) else {
                let names: Vec<_> = known.iter().map(|stream| stream.name.to_lowercase()).collect();
                let reason = format!("no such stream; there are {}", names.join(", "));
                return Err(ConfigError::invalid("streams", name, reason));
            };
            if size.max_bytes < 1 << 20 {
                let reason = "must be at least 1048576 (1 MiB)";
                return Err(ConfigError::invalid(path("max_bytes"), size.max_bytes, reason));
            }
            // The other services refuse a stream with less, and the broker one with more than max_age.
            if size.duplicate_window.get() < default.duplicate_window {
                let reason = format!("must be at least {}", HumanDuration::from(default.duplicate_window));
                return Err(ConfigError::invalid(path("duplicate_window"), size.duplicate_window, reason));
            }
            if size.max_age.get() < size.duplicate_window.get().max(Duration::from_secs(60)) {
                let reason = "must be at least 1m and not shorter than duplicate_window";
                return Err(ConfigError::invalid(path("max_age"), size.max_age, reason));
            }
            if !matches!(size.replicas, 1 | 3 | 5) {
                return Err(ConfigError::invalid(path("replicas"), size.replicas, "must be 1, 3 or 5"));
            }
        }
        Ok(())
    }
}
