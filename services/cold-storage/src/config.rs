//! What can be configured; `config/cold-storage.yaml` documents every key.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use marketprism_bus::NatsConfig;
use marketprism_core::DataType;
use marketprism_service::{
    AdminConfig, ConfigError, Configuration, HumanDuration, LoggingConfig, ShutdownConfig,
};
use marketprism_store::{ClickHouseConfig, SchemaMode, Store};
use serde::{Deserialize, Serialize};

/// Rows in the largest range: it is one block in the cold server's memory for each day it touches.
const ROWS_MAX: u64 = 1_000_000;

/// The owner of the lease says four times in `takeover_after` that it is there. So for three quarters of it an insert that is
/// sent while it was still the owner's can arrive before another one copies: longer than the server takes such an insert
/// ([`Store::ADMITTED_AT_MOST`]).
const TAKEOVER_MIN: Duration = Store::ADMITTED_AT_MOST.saturating_add(Duration::from_secs(2));

/// Configuration of cold-storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker, only asked how far hot-storage has acknowledged.
    pub(crate) nats: NatsConfig,
    /// Read from; its schema is hot-storage's business.
    pub(crate) hot: ClickHouseConfig,
    /// Written to.
    pub(crate) cold: ClickHouseConfig,
    /// `apply` or `check`, of the cold tier.
    pub(crate) schema: SchemaMode,
    /// How long to wait at the start for what does not answer, or is not prepared, yet.
    pub(crate) wait: HumanDuration,
    /// How the hot tier is copied.
    pub(crate) replication: ReplicationConfig,
    /// When the hot tier lets go of what is copied.
    pub(crate) release: ReleaseConfig,
    /// Logs.
    pub(crate) logging: LoggingConfig,
    /// Health and metrics.
    pub(crate) admin: AdminConfig,
    /// Draining at the end.
    pub(crate) shutdown: ShutdownConfig,
}

/// How the copying goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReplicationConfig {
    /// Pause after a round in which everything was copied.
    pub(crate) interval: HumanDuration,
    /// Another instance stands by, and goes on when this one has been silent for so long.
    pub(crate) takeover_after: HumanDuration,
    /// The data types, in the order they are copied.
    pub(crate) order: Vec<DataType>,
    /// Rows in one range.
    pub(crate) rows_max: u64,
    /// Rows in one range of order books, which are some hundred times larger.
    pub(crate) orderbook_rows_max: u64,
    /// Ranges of one table before the next table has its turn.
    pub(crate) ranges_per_turn: u32,
    /// How old a row must be before it is copied.
    pub(crate) lag: HumanDuration,
    /// Rows copied in a second, all tables together; `null` for as many as go.
    pub(crate) rows_per_second_max: Option<NonZeroU64>,
    /// Bytes copied in a second, all tables together, as they are sent; `null` for as many as go.
    pub(crate) bytes_per_second_max: Option<NonZeroU64>,
}

/// When hot rows may go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReleaseConfig {
    /// Pause between two looks for days that may go.
    pub(crate) interval: HumanDuration,
    /// How old a whole day must be; `null` keeps everything.
    pub(crate) retention: Option<HumanDuration>,
    /// Data types that are kept longer or shorter than that.
    pub(crate) retention_by_type: BTreeMap<DataType, Option<HumanDuration>>,
}

impl ReleaseConfig {
    pub(crate) fn retention_of(&self, data_type: DataType) -> Option<Duration> {
        let own = self.retention_by_type.get(&data_type);
        own.copied().unwrap_or(self.retention).map(HumanDuration::get)
    }
}

impl Default for ReleaseConfig {
    fn default() -> Self {
        Self {
            interval: HumanDuration::from_secs(600),
            retention: Some(HumanDuration::from_secs(7 * 86_400)),
            retention_by_type: BTreeMap::new(),
        }
    }
}

impl ReplicationConfig {
    pub(crate) const fn rows_max_of(&self, data_type: DataType) -> u64 {
        let rows =
            if matches!(data_type, DataType::OrderBook) { self.orderbook_rows_max } else { self.rows_max };
        // A range goes at full speed: under a limit it is no more than a second of it.
        match self.rows_per_second_max {
            Some(limit) if limit.get() < rows => limit.get(),
            _ => rows,
        }
    }
}

impl Default for ReplicationConfig {
    fn default() -> Self {
        Self {
            interval: HumanDuration::from_secs(10),
            takeover_after: HumanDuration::from_secs(30),
            order: vec![
                DataType::Trade,
                DataType::OrderBook,
                DataType::FundingRate,
                DataType::OpenInterest,
                DataType::Liquidation,
                DataType::LsrTopPosition,
                DataType::LsrAllAccount,
                DataType::VolatilityIndex,
                DataType::Gap,
            ],
            // Some 70 MB of trades; smaller ones spend more of their time on finding and comparing.
            rows_max: 500_000,
            // 5,000 books of 2 × 400 levels of 32 bytes are 128 MB.
            orderbook_rows_max: 5_000,
            ranges_per_turn: 20,
            lag: HumanDuration::from_secs(0),
            rows_per_second_max: None,
            bytes_per_second_max: None,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nats: NatsConfig::default(),
            hot: ClickHouseConfig::default(),
            cold: ClickHouseConfig::cold(),
            schema: SchemaMode::Apply,
            wait: HumanDuration::from_secs(60),
            replication: ReplicationConfig::default(),
            release: ReleaseConfig::default(),
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8086, 9095),
            shutdown: ShutdownConfig::default(),
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
        self.nats.validate().map_err(|error| {
            ConfigError::invalid(format!("nats.{}", error.field), error.value, error.reason)
        })?;
        for (section, tier) in [("hot", &self.hot), ("cold", &self.cold)] {
            tier.validate().map_err(|error| {
                ConfigError::invalid(format!("{section}.{}", error.field), error.value, error.reason)
            })?;
        }
        if self.hot.url == self.cold.url && self.hot.database == self.cold.database {
            let reason = "is the hot tier's database on the hot tier's server";
            return Err(ConfigError::invalid("cold.database", &self.cold.database, reason));
        }
        let ReplicationConfig { interval, order, rows_max, orderbook_rows_max, ranges_per_turn, .. } =
            &self.replication;
        if interval.get().is_zero() {
            return Err(ConfigError::invalid(
                "replication.interval",
                interval,
                "must be longer than nothing",
            ));
        }
        for (at, data_type) in order.iter().enumerate() {
            if order.iter().skip(at + 1).any(|other| other == data_type) {
                return Err(ConfigError::invalid("replication.order", data_type, "is there twice"));
            }
        }
        if let Some(missing) = DataType::ALL.iter().find(|one| !order.contains(one)) {
            return Err(ConfigError::invalid("replication.order", missing, "is missing"));
        }
        for (field, rows) in [("rows_max", rows_max), ("orderbook_rows_max", orderbook_rows_max)] {
            if !(1..=ROWS_MAX).contains(rows) {
                let path = format!("replication.{field}");
                return Err(ConfigError::invalid(path, rows, "must be from 1 to 1000000"));
            }
        }
        if self.release.interval.get().is_zero() {
            let reason = "must be longer than nothing";
            return Err(ConfigError::invalid("release.interval", self.release.interval, reason));
        }
        let takeover_after = self.replication.takeover_after;
        if takeover_after.get() < TAKEOVER_MIN {
            let reason = "must be at least 5s";
            return Err(ConfigError::invalid("replication.takeover_after", takeover_after, reason));
        }
        if *ranges_per_turn == 0 {
            return Err(ConfigError::invalid("replication.ranges_per_turn", 0, "must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_the_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/cold-storage.yaml");
        let none = std::collections::BTreeMap::new();
        let loaded: Config = marketprism_service::config::load(Some(file.as_ref()), &none, &[]).unwrap();
        let [loaded, defaults] =
            [loaded, Config::default()].map(|config| serde_json::to_value(config).unwrap());
        assert_eq!(loaded, defaults);
    }

    #[test]
    fn a_tier_is_not_copied_into_itself() {
        let mut config = Config::default();
        config.cold.url = config.hot.url.clone();
        assert!(config.validate().is_ok(), "two databases on one server");
        config.cold.database = config.hot.database.clone();
        assert_eq!(config.validate().unwrap_err().path(), "cold.database");
    }
}
