//! What can be configured; `config/hot-storage.yaml` documents every key.

use std::time::Duration;

use marketprism_bus::NatsConfig;
use marketprism_service::{
    AdminConfig, BackoffConfig, ConfigError, Configuration, HumanDuration, LoggingConfig, ShutdownConfig,
};
use marketprism_store::{ClickHouseConfig, SchemaMode, Store};
use serde::{Deserialize, Serialize};

/// Rows in the largest batch: above it an insert gains nothing, and the messages of the next one would not fit the client's
/// queue of 65,536 while this one is read.
const ROWS_MAX: usize = 50_000;
/// Messages a consumer may have out, in batches: the one that is written and the one that is on its way.
const BATCHES_OUT: u32 = 2;

/// Configuration of hot-storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker.
    pub(crate) nats: NatsConfig,
    /// The hot tier.
    pub(crate) clickhouse: ClickHouseConfig,
    /// `apply` or `check`.
    pub(crate) schema: SchemaMode,
    /// How long to wait at the start for a broker or a server that does not answer yet.
    pub(crate) wait: HumanDuration,
    /// When a batch is written.
    pub(crate) batch: BatchConfig,
    /// A message not acknowledged within this is delivered again.
    pub(crate) ack_wait: HumanDuration,
    /// Of several instances another takes over when the one at work has not pulled for this long; `None`: as soon as its
    /// last insert has ended for certain.
    pub(crate) takeover_after: Option<HumanDuration>,
    /// Pauses between attempts while the server is away.
    pub(crate) retry: BackoffConfig,
    /// Logs.
    pub(crate) logging: LoggingConfig,
    /// Health and metrics.
    pub(crate) admin: AdminConfig,
    /// Draining at the end.
    pub(crate) shutdown: ShutdownConfig,
}

/// When a batch is written: at the first of these.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BatchConfig {
    /// Rows of one insert.
    pub(crate) rows_max: usize,
    /// Payload bytes of one insert.
    pub(crate) bytes_max: usize,
    /// How long the oldest message of a batch waits.
    pub(crate) age_max: HumanDuration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            // Small inserts cost the server merges: 25,000 rows at a time are a third cheaper than 10,000, and 8 MiB of trades.
            rows_max: 25_000,
            // Nine lanes hold at most two batches each: 144 MiB of payload in the worst case.
            bytes_max: 8 << 20,
            age_max: HumanDuration::from_secs(1),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nats: NatsConfig::default(),
            clickhouse: ClickHouseConfig::default(),
            schema: SchemaMode::Apply,
            wait: HumanDuration::from_secs(60),
            batch: BatchConfig::default(),
            ack_wait: HumanDuration::from_secs(30),
            takeover_after: None,
            retry: BackoffConfig {
                first: HumanDuration::from_millis(200),
                max: HumanDuration::from_secs(10),
                stable_after: HumanDuration::from_secs(10),
            },
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8085, 9094),
            shutdown: ShutdownConfig::default(),
        }
    }
}

impl Config {
    /// How long an instance may be silent before another one is given its messages.
    pub(crate) fn pin_ttl(&self) -> Duration {
        self.takeover_after.map_or_else(|| self.pin_ttl_min(), HumanDuration::get)
    }

    /// A batch is pulled, and then inserted.
    fn pin_ttl_min(&self) -> Duration {
        self.batch.age_max.get().saturating_add(self.clickhouse.insert_ends_within())
    }

    /// Messages the broker may have handed out and not seen acknowledged.
    pub(crate) fn ack_pending_max(&self) -> u32 {
        u32::try_from(self.batch.rows_max).unwrap_or(u32::MAX).saturating_mul(BATCHES_OUT)
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
        self.clickhouse.validate().map_err(|error| {
            ConfigError::invalid(format!("clickhouse.{}", error.field), error.value, error.reason)
        })?;
        let BatchConfig { rows_max, bytes_max, age_max } = self.batch;
        if !(1..=ROWS_MAX).contains(&rows_max) {
            return Err(ConfigError::invalid("batch.rows_max", rows_max, "must be from 1 to 50000"));
        }
        if !(1 << 10..=1 << 30).contains(&bytes_max) {
            return Err(ConfigError::invalid("batch.bytes_max", bytes_max, "must be from 1 KiB to 1 GiB"));
        }
        let (shortest, longest) = (HumanDuration::from_millis(10), HumanDuration::from_secs(60));
        if !(shortest..=longest).contains(&age_max) {
            return Err(ConfigError::invalid("batch.age_max", age_max, "must be from 10ms to 1m"));
        }
        // A message must not be delivered again while its batch still waits for more, nor while an insert of it can still
        // arrive.
        let admitted = Store::ADMITTED_AT_MOST.saturating_add(Duration::from_secs(1));
        if self.ack_wait.get() < age_max.get().saturating_mul(2).max(admitted) {
            let reason = "must be at least 4s and twice batch.age_max";
            return Err(ConfigError::invalid("ack_wait", self.ack_wait, reason));
        }
        if self.pin_ttl() < self.pin_ttl_min() {
            let reason = format!(
                "must be at least {}: batch.age_max, clickhouse.insert_timeout and 5s for its answer",
                HumanDuration::from(self.pin_ttl_min())
            );
            return Err(ConfigError::invalid("takeover_after", self.pin_ttl().as_secs_f64(), reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_the_defaults() {
        let defaults = serde_json::to_value(Config::default()).unwrap();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/hot-storage.yaml");
        let none = std::collections::BTreeMap::new();
        let loaded: Config = marketprism_service::config::load(Some(file.as_ref()), &none, &[]).unwrap();
        assert_eq!(serde_json::to_value(loaded).unwrap(), defaults);
    }
}
