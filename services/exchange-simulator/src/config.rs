//! The simulator's configuration: file and environment first, flags on top.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use marketprism_service::{
    AdminConfig, ConfigError, Configuration, HumanDuration, LoggingConfig, ShutdownConfig,
};
use serde::{Deserialize, Serialize};

use crate::binance::product::Product;
use crate::exchange::Market;
use crate::instrument::MarketType;

/// Above this the pacing, not the machine, would be the limit.
const RATE_MAX: u64 = 1_000_000;
/// Twice the fifty symbols a market that a large collector has; each has a book of its own from the start.
pub(crate) const SYMBOLS_MAX: u16 = 100;

/// The whole configuration; `config/exchange-simulator.yaml` explains each key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Where WebSocket, REST and control are served, all on one port; 0 takes a free one.
    pub listen: SocketAddr,
    /// A file to write once it is bound: `{"simulator":"127.0.0.1:9443"}`.
    pub address_file: Option<PathBuf>,
    /// Decides prices, sizes and ids; equal seeds give equal markets.
    pub seed: u64,
    /// Messages a second over all instruments: trades (merged ones on USDⓈ-M and OKX) and book updates.
    pub rate: u64,
    /// Instruments of each market, from the top of the built-in list and beyond it; dated ones, inverse ones and indices
    /// come on top.
    pub symbols: usize,
    /// Markets that are served when nothing is replayed.
    pub markets: Vec<Market>,
    /// Where one JSON line is appended for every event sent; `null` only counts.
    pub ledger: Option<PathBuf>,
    /// Trades of each kind and instrument that REST can look back on.
    pub history_trades_max: usize,
    /// How often contracts and indices are told about.
    pub cadence: CadenceConfig,
    /// The exchange's own limits; shorter ones make tests quick.
    pub limits: LimitsConfig,
    /// A capture to serve in place of the generator.
    pub replay: ReplayConfig,
    /// Logs.
    pub logging: LoggingConfig,
    /// Health and metrics.
    pub admin: AdminConfig,
    /// Draining.
    pub shutdown: ShutdownConfig,
}

/// Section `cadence`: what is told at fixed intervals, beside `rate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CadenceConfig {
    /// Mark and index prices; Binance's funding rate is with them.
    pub mark_price: HumanDuration,
    /// OKX's funding rate.
    pub funding_rate: HumanDuration,
    /// Open interest.
    pub open_interest: HumanDuration,
    /// How often an instrument can have a liquidation.
    pub liquidation: HumanDuration,
    /// Values of volatility indices.
    pub volatility_index: HumanDuration,
    /// OKX's update of a book that did not change.
    pub keep_alive: HumanDuration,
}

/// Section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Between two PING frames.
    pub ping_interval: HumanDuration,
    /// How long the PONG may take, and how long a client may leave a write stuck.
    pub pong_timeout: HumanDuration,
    /// When a connection is closed whatever it does.
    pub connection_life: HumanDuration,
    /// Streams of one connection.
    pub streams_per_connection_max: usize,
    /// How long an OKX connection may be without a message either way.
    pub okx_idle_timeout: HumanDuration,
    /// Subscribe and unsubscribe requests of one OKX connection in an hour.
    pub okx_operations_per_hour: usize,
    /// REST weight of one minute, spot.
    pub spot_weight_per_minute: u64,
    /// REST weight of one minute, USDⓈ-M.
    pub usdm_weight_per_minute: u64,
    /// After which Deribit drops a socket that has neither heartbeat nor subscription.
    pub deribit_idle_timeout: HumanDuration,
    /// Deribit heartbeats of longer intervals come this often; clients ask for whole seconds, at least 10.
    pub deribit_heartbeat_max: HumanDuration,
}

/// Section `replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// Capture files, each continuing the one before; empty means no replay.
    pub paths: Vec<PathBuf>,
    /// How they are written.
    pub format: CaptureFormat,
    /// The market they were recorded from.
    pub market_type: MarketType,
    /// Pace.
    pub speed: Speed,
    /// After the first subscription to the capture's streams, how long to wait for the others.
    pub start_wait: HumanDuration,
}

/// How a capture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CaptureFormat {
    /// hftbacktest's collector: gzip, `<receive time, ns> <frame>` a line.
    Hbt,
    /// cryptofeed: `<receive time, s>: <frame>` a line, with its REST bodies.
    Cryptofeed,
}

/// The pace of a replay: `1x`, `20x`, `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// So many times as fast as recorded.
    Times(u32),
    /// As fast as the subscribers read.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.strip_suffix('x').and_then(|times| times.parse::<u32>().ok()) {
            Some(times) if times > 0 => Ok(Self::Times(times)),
            Some(_) | None => Err(format!("{text:?} is not a speed such as 1x, 20x or max")),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}x"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl Serialize for Speed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9443)),
            address_file: None,
            seed: 42,
            rate: 1000,
            symbols: 4,
            markets: vec![Market::BinanceSpot, Market::BinanceUsdm],
            ledger: None,
            history_trades_max: 10_000,
            cadence: CadenceConfig::default(),
            limits: LimitsConfig::default(),
            replay: ReplayConfig::default(),
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8090, 9099),
            shutdown: ShutdownConfig::default(),
        }
    }
}

impl Default for CadenceConfig {
    fn default() -> Self {
        Self {
            mark_price: HumanDuration::from_secs(1),
            funding_rate: HumanDuration::from_secs(30),
            open_interest: HumanDuration::from_secs(3),
            liquidation: HumanDuration::from_secs(1),
            volatility_index: HumanDuration::from_secs(1),
            keep_alive: HumanDuration::from_secs(60),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            ping_interval: HumanDuration::from_secs(20),
            pong_timeout: HumanDuration::from_secs(60),
            connection_life: HumanDuration::from_secs(24 * 3600),
            streams_per_connection_max: 1024,
            okx_idle_timeout: HumanDuration::from_secs(30),
            okx_operations_per_hour: 480,
            spot_weight_per_minute: 6000,
            usdm_weight_per_minute: 2400,
            deribit_idle_timeout: HumanDuration::from_millis(60_500),
            deribit_heartbeat_max: HumanDuration::from_secs(3600),
        }
    }
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: CaptureFormat::Hbt,
            market_type: MarketType::Spot,
            speed: Speed::Times(1),
            start_wait: HumanDuration::from_secs(10),
        }
    }
}

impl ReplayConfig {
    /// Whose captures they are: all formats are of Binance.
    pub(crate) fn product(&self) -> Product {
        Product::of_market_type(self.market_type)
    }
}

impl Configuration for SimulatorConfig {
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
        let within = |key: &str, value: u64, most: u64| {
            if (1..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::invalid(key, value, format!("must be from 1 to {most}")))
            }
        };
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        within("rate", self.rate, RATE_MAX)?;
        within("symbols", count(self.symbols), SYMBOLS_MAX.into())?;
        within("history_trades_max", count(self.history_trades_max), 1_000_000)?;
        within("limits.streams_per_connection_max", count(self.limits.streams_per_connection_max), 1024)?;
        within("limits.okx_operations_per_hour", count(self.limits.okx_operations_per_hour), 480)?;
        for (key, duration) in [
            ("cadence.mark_price", self.cadence.mark_price),
            ("cadence.funding_rate", self.cadence.funding_rate),
            ("cadence.open_interest", self.cadence.open_interest),
            ("cadence.liquidation", self.cadence.liquidation),
            ("cadence.volatility_index", self.cadence.volatility_index),
            ("cadence.keep_alive", self.cadence.keep_alive),
            ("limits.ping_interval", self.limits.ping_interval),
            ("limits.okx_idle_timeout", self.limits.okx_idle_timeout),
            ("limits.pong_timeout", self.limits.pong_timeout),
            ("limits.connection_life", self.limits.connection_life),
            ("limits.deribit_idle_timeout", self.limits.deribit_idle_timeout),
            ("limits.deribit_heartbeat_max", self.limits.deribit_heartbeat_max),
        ] {
            let milliseconds = u64::try_from(duration.get().as_millis()).unwrap_or(u64::MAX);
            if !(1..=7 * 86_400_000).contains(&milliseconds) {
                return Err(ConfigError::invalid(key, duration, "must be from 1ms to 7days"));
            }
        }
        if self.markets.is_empty() {
            return Err(ConfigError::invalid("markets", "[]", "name at least one"));
        }
        if !matches!(self.replay.market_type, MarketType::Spot | MarketType::Perpetual) {
            let market_type = self.replay.market_type.as_str();
            return Err(ConfigError::invalid("replay.market_type", market_type, "must be spot or perpetual"));
        }
        Ok(())
    }
}
