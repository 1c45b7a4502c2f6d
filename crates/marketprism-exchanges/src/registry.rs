//! The table of integrations: one line each. Adding an exchange is a folder, a line here, and fixtures.

use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};
use serde::{Deserialize, Serialize};

use crate::context::SECOND;
use crate::session::{Rejected, Session};
use crate::stored_trades::TradeHole;
use crate::{binance, deribit, okx};

/// One connection's share of the work. Serialised, it begins a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// How books are taken.
    pub book_mode: BookMode,
    /// How often polled data (open interest, ratios, volatility bars) is asked for, per symbol.
    pub poll_interval: Duration,
    /// The period of the long/short ratios, in the exchanges' common word, such as `5m`.
    pub ratio_period: String,
}

impl SessionOptions {
    /// Microseconds of `ratio_period`; 0 where it is none.
    pub(crate) fn ratio_period_micros(&self) -> i64 {
        let units = [("m", 60), ("h", 3_600), ("d", 86_400)];
        let micros = units.iter().find_map(|(unit, seconds)| {
            let number: i64 = self.ratio_period.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(seconds * SECOND)
        });
        micros.unwrap_or_default()
    }
}

/// How order books are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BookMode {
    /// A local book, kept by the exchange's updates and verified by its sequence.
    #[default]
    Incremental,
    /// A snapshot from REST every publish interval, without a local book.
    Snapshot,
}

/// The last thing published of one stream before this process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The exchange's own name of the instrument.
    pub instrument_id: String,
    /// Of which type.
    pub data_type: DataType,
    /// Trade id or book update id, of what has one.
    pub sequence: Option<u64>,
    /// When it happened, by the exchange's clock.
    pub event: Timestamp,
    /// Holes in the trades before it that are open.
    #[serde(default)]
    pub holes: Vec<TradeHole>,
}

impl Seed {
    /// The last thing of one stream.
    pub(crate) fn of<'s>(seeds: &'s [Self], instrument_id: &str, data_type: DataType) -> Option<&'s Self> {
        seeds.iter().find(|seed| seed.instrument_id == instrument_id && seed.data_type == data_type)
    }

    /// When the last thing of any stream of an instrument happened: until then somebody listened.
    pub(crate) fn latest(seeds: &[Self], instrument_id: &str) -> Option<Timestamp> {
        seeds.iter().filter(|seed| seed.instrument_id == instrument_id).map(|seed| seed.event).max()
    }

    /// Its sequence, where it has one, and its time.
    pub(crate) fn place(&self) -> Option<(u64, Timestamp)> {
        Some((self.sequence?, self.event))
    }
}

/// A limit of REST requests that the exchange counts by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestLimit {
    /// What requests call it by ([`Request::limit`](crate::Request::limit)), such as `weight`; also a metric label.
    pub name: &'static str,
    /// Weight allowed …
    pub weight: u32,
    /// … within this time.
    pub per: Duration,
    /// Response header that tells the weight used within that time, where the exchange has one.
    pub used_header: Option<&'static str>,
}

/// Limits of connections by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectLimit {
    /// Attempts allowed …
    pub attempts: u32,
    /// … within this time.
    pub per: Duration,
    /// Connections open at once.
    pub open_max: Option<usize>,
}

/// How fast streams are subscribed on one connection, after the exchange's limits on client messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeRate {
    /// So many streams in one request …
    pub streams: usize,
    /// … and one request in this time.
    pub per: Duration,
}

/// A request whose answer lists instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstrumentsRequest {
    /// Path and query below the REST base.
    pub path: &'static str,
    /// What it costs …
    pub weight: u32,
    /// … against which limit.
    pub limit: &'static str,
}

/// What the collector needs to know of one exchange's market to open its connections.
#[derive(Debug)]
pub struct Integration {
    /// Name in the configuration, such as `binance_spot`. Never on the wire.
    pub id: &'static str,
    /// Token on the wire.
    pub exchange: &'static str,
    /// Market types its instruments have, the main one first.
    pub market_types: &'static [MarketType],
    /// Canonical symbols collected unless the user names others.
    pub symbols_default: &'static [&'static str],
    /// Production WebSocket base, such as `wss://stream.binance.com:9443`.
    pub ws_url: &'static str,
    /// Production REST base, such as `https://api.binance.com`.
    pub rest_url: &'static str,
    /// Where the instruments are listed; the lists together are all of them.
    pub instruments_requests: &'static [InstrumentsRequest],
    /// Limits of REST, at least one.
    pub rest_limits: &'static [RestLimit],
    /// Limits of connections.
    pub connect_limit: ConnectLimit,
    /// After this long the exchange closes every connection.
    pub connection_life_max: Option<Duration>,
    /// Silence on a connection longer than this is a dead connection, whatever the socket says.
    pub silence_max: Duration,
    /// Most streams on one connection.
    pub streams_per_connection_max: usize,
    /// Most order books among them, where the exchange advises fewer.
    pub books_per_connection_max: Option<usize>,
    /// How fast sessions subscribe; plans tell from it how long a start takes.
    pub subscribe_rate: SubscribeRate,
    /// Data types this integration can give.
    pub data_types: &'static [DataType],
    /// Whether it gives this data type of this instrument.
    pub offers: fn(instrument: &Instrument, data_type: DataType) -> bool,
    /// Data types that must be taken on different paths: each inner list is one connection path.
    pub paths: fn(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath>,
    /// Reads one instrument list: what trades now.
    pub instruments: fn(body: &[u8]) -> Result<Vec<Instrument>, Rejected>,
    /// A session for one connection.
    pub open: fn(config: SessionConfig) -> Box<dyn Session>,
}

/// Where to connect for some data types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPath {
    /// Name in logs, metrics and plans, such as `market`.
    pub name: &'static str,
    /// Below the WebSocket base, such as `/market/stream`; `None` where everything is polled by REST.
    pub path: Option<&'static str>,
    /// What is taken there.
    pub data_types: Vec<DataType>,
}

/// Every integration.
pub const INTEGRATIONS: &[&Integration] = &[
    &binance::spot::INTEGRATION,
    &binance::usdm::INTEGRATION,
    &okx::spot::INTEGRATION,
    &okx::swap::INTEGRATION,
    &deribit::integration::INTEGRATION,
];

/// The integration with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Integration> {
    INTEGRATIONS.iter().copied().find(|integration| integration.id == id)
}
