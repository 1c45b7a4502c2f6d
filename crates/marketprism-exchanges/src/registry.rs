//! The table of integrations: one line each. Adding an exchange is a folder, a line here, and fixtures.

use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};

use crate::binance;
use crate::session::{Rejected, Session};

/// One connection's share of the work.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The instruments of this connection.
    pub instruments: Vec<Instrument>,
    /// The data types wanted of each.
    pub data_types: Vec<DataType>,
    /// How trades and books are taken.
    pub options: SessionOptions,
    /// What was last published before this process started, per instrument id, so that holes across a restart show.
    pub seeds: Vec<Seed>,
}

/// Options of a session that users set, the same for every exchange.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Which of the exchange's trade streams: `trade` or `aggTrade` on Binance; `None` takes its default.
    pub trade_stream: Option<String>,
    /// Levels per side in a published book.
    pub book_depth: u32,
    /// Levels per side kept; beyond them the worst are dropped.
    pub book_depth_max: u32,
    /// How often a changed book is published; zero publishes at every update.
    pub book_publish_interval: Duration,
    /// Levels asked for in a snapshot.
    pub snapshot_levels: u32,
}

/// The last thing published of one stream before this process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The exchange's own name of the instrument.
    pub instrument_id: String,
    /// Of which type.
    pub data_type: DataType,
    /// Trade id or book update id.
    pub sequence: u64,
    /// When it happened, by the exchange's clock.
    pub event: Timestamp,
}

/// What the collector needs to know of one exchange's market to open its connections.
#[derive(Debug)]
pub struct Integration {
    /// Name in the configuration, such as `binance_spot`. Never on the wire.
    pub id: &'static str,
    /// Token on the wire.
    pub exchange: &'static str,
    /// Market type on the wire.
    pub market_type: MarketType,
    /// Production WebSocket base, such as `wss://stream.binance.com:9443`.
    pub ws_url: &'static str,
    /// Production REST base, such as `https://api.binance.com`.
    pub rest_url: &'static str,
    /// Path of the instrument list below the REST base.
    pub instruments_path: &'static str,
    /// What the instrument list costs against the limit.
    pub instruments_weight: u32,
    /// REST weight the exchange allows in a minute.
    pub rest_weight_per_minute: u32,
    /// Connection attempts the exchange allows in five minutes, by address.
    pub connects_per_five_minutes: u32,
    /// After this long the exchange closes every connection.
    pub connection_life_max: Duration,
    /// Silence on a connection longer than this is a dead connection, whatever the socket says.
    pub silence_max: Duration,
    /// Most streams on one connection.
    pub streams_per_connection_max: usize,
    /// Data types this integration can give.
    pub data_types: &'static [DataType],
    /// Data types that must be taken on different paths: each inner list is one connection path.
    pub paths: fn(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath>,
    /// Reads the instrument list: what trades now.
    pub instruments: fn(body: &[u8]) -> Result<Vec<Instrument>, Rejected>,
    /// A session for one connection.
    pub open: fn(config: SessionConfig) -> Box<dyn Session>,
}

/// Where to connect for some data types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPath {
    /// Below the WebSocket base, such as `/market/stream`.
    pub path: &'static str,
    /// What is taken there.
    pub data_types: Vec<DataType>,
}

/// Every integration.
pub const INTEGRATIONS: &[&Integration] = &[&binance::spot::INTEGRATION, &binance::usdm::INTEGRATION];

/// The integration with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Integration> {
    INTEGRATIONS.iter().copied().find(|integration| integration.id == id)
}
