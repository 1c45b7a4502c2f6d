//! The collector's configuration: `config/collector.yaml` shows every key with its default.

use std::collections::BTreeMap;
use std::time::Duration;

use marketprism_bus::{NatsConfig, PublisherConfig};
use marketprism_core::DataType;
use marketprism_exchanges::registry::{self, BookMode, Integration, SessionOptions};
use marketprism_service::{
    AdminConfig, BackoffConfig, ConfigError, Configuration, HumanDuration, LoggingConfig, ShutdownConfig,
};
use serde::{Deserialize, Serialize};

/// Everything the collector can be told.
#[derive(Debug, Serialize, Deserialize)]
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
    /// Messages between the sockets and the publisher. When it is full the sockets are not read, and TCP holds the
    /// exchange back.
    pub(crate) publish_queue_messages_max: usize,
    /// Pauses between attempts to connect to an exchange, and to read its instrument list.
    pub(crate) reconnect: BackoffConfig,
    /// Keyed by integration id.
    pub(crate) exchanges: BTreeMap<String, ExchangeConfig>,
}

/// One exchange's market.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExchangeConfig {
    /// Whether it is collected.
    pub(crate) enabled: bool,
    /// Canonical symbols, such as `BTC-USDT`.
    pub(crate) symbols: Vec<String>,
    /// What to take of each.
    pub(crate) data_types: Vec<DataType>,
    /// WebSocket base; the exchange's own when absent.
    pub(crate) ws_url: Option<String>,
    /// REST base; the exchange's own when absent.
    pub(crate) rest_url: Option<String>,
    /// Which of the exchange's trade streams; its default when absent.
    pub(crate) trade_stream: Option<String>,
    /// How its order books are kept and published.
    pub(crate) orderbook: OrderBookConfig,
    /// Streams on one connection; the exchange's limit when absent.
    pub(crate) streams_per_connection_max: Option<usize>,
}

/// How order books are kept and published.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OrderBookConfig {
    /// Levels per side in a message.
    pub(crate) depth: u32,
    /// Levels per side kept in memory.
    pub(crate) depth_max: u32,
    /// How often a changed book is published; `0s` at every update.
    pub(crate) publish_interval: HumanDuration,
    /// Levels per side asked for in a snapshot.
    pub(crate) snapshot_levels: u32,
}

impl Default for Config {
    fn default() -> Self {
        let exchanges = ["binance_spot", "binance_usdm"];
        Self {
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8087, 9092),
            shutdown: ShutdownConfig::default(),
            nats: NatsConfig::default(),
            wait: HumanDuration::from_secs(60),
            publisher: PublisherConfig::default(),
            // A second of the busiest minute seen (about 10,000 messages/s over all exchanges).
            publish_queue_messages_max: 10_000,
            reconnect: BackoffConfig::default(),
            exchanges: exchanges.map(|id| (id.to_owned(), ExchangeConfig::default())).into(),
        }
    }
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            symbols: ["BTC-USDT", "ETH-USDT"].map(str::to_owned).into(),
            data_types: vec![DataType::Trade, DataType::OrderBook],
            ws_url: None,
            rest_url: None,
            trade_stream: None,
            orderbook: OrderBookConfig::default(),
            streams_per_connection_max: None,
        }
    }
}

impl Default for OrderBookConfig {
    fn default() -> Self {
        Self {
            depth: 100,
            // What the exchanges' own snapshots hold; levels beyond are unknown after a start anyway.
            depth_max: 1_000,
            publish_interval: HumanDuration::from_secs(1),
            snapshot_levels: 1_000,
        }
    }
}

impl ExchangeConfig {
    /// What a session needs to know of it.
    pub(crate) fn session_options(&self) -> SessionOptions {
        SessionOptions {
            trade_stream: self.trade_stream.clone(),
            book_depth: self.orderbook.depth,
            book_depth_max: self.orderbook.depth_max,
            book_publish_interval: self.orderbook.publish_interval.get(),
            snapshot_levels: self.orderbook.snapshot_levels,
            book_mode: BookMode::Incremental,
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        }
    }

    fn validate(&self, id: &str, integration: &Integration) -> Result<(), ConfigError> {
        let key = |field: &str| format!("exchanges.{id}.{field}");
        if self.symbols.is_empty() {
            return Err(ConfigError::invalid(
                key("symbols"),
                "[]",
                "names nothing to collect; use enabled: false",
            ));
        }
        if self.data_types.is_empty() {
            return Err(ConfigError::invalid(key("data_types"), "[]", "names nothing to collect"));
        }
        for data_type in &self.data_types {
            if !integration.data_types.contains(data_type) {
                let known: Vec<_> = integration.data_types.iter().map(|known| known.as_str()).collect();
                let reason = format!("is not offered here; known: {}", known.join(", "));
                return Err(ConfigError::invalid(key("data_types"), data_type, reason));
            }
        }
        if let Some(stream) = &self.trade_stream
            && !["trade", "aggTrade"].contains(&stream.as_str())
        {
            return Err(ConfigError::invalid(key("trade_stream"), stream, "is neither trade nor aggTrade"));
        }
        check_url(&key("ws_url"), self.ws_url.as_deref(), &["ws", "wss"])?;
        check_url(&key("rest_url"), self.rest_url.as_deref(), &["http", "https"])?;
        if self.streams_per_connection_max == Some(0) {
            return Err(ConfigError::invalid(key("streams_per_connection_max"), 0, "must be above zero"));
        }
        self.orderbook.validate(&key("orderbook"))
    }
}

impl OrderBookConfig {
    fn validate(self, key: &str) -> Result<(), ConfigError> {
        if self.depth == 0 || self.depth > self.depth_max {
            let reason = format!("must be 1 to {key}.depth_max, which is {}", self.depth_max);
            return Err(ConfigError::invalid(format!("{key}.depth"), self.depth, reason));
        }
        if !(1..=5_000).contains(&self.snapshot_levels) {
            let reason = "must be 1 to 5000, the most an exchange gives";
            return Err(ConfigError::invalid(format!("{key}.snapshot_levels"), self.snapshot_levels, reason));
        }
        if self.publish_interval.get() > Duration::from_secs(60) {
            let reason = "is longer than a minute: a book that old is of no use";
            return Err(ConfigError::invalid(
                format!("{key}.publish_interval"),
                self.publish_interval,
                reason,
            ));
        }
        Ok(())
    }
}

fn check_url(key: &str, value: Option<&str>, schemes: &[&str]) -> Result<(), ConfigError> {
    let Some(value) = value else { return Ok(()) };
    match url::Url::parse(value) {
        Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(()),
        Ok(_) => Err(ConfigError::invalid(
            key,
            value,
            format!("does not begin with {}://", schemes.join(":// or ")),
        )),
        Err(error) => Err(ConfigError::invalid(key, value, format!("is no URL: {error}"))),
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
        if !(1..=1_000_000).contains(&self.publish_queue_messages_max) {
            let value = self.publish_queue_messages_max;
            return Err(ConfigError::invalid("publish_queue_messages_max", value, "must be 1 to 1000000"));
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
