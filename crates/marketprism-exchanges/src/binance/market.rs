//! What differs between Binance's markets, as data: paths, weights, limits and the sequence rule; and the requests that
//! follow from it.

use marketprism_core::{DataType, Instrument};

use super::WEIGHT;
use super::session::BinanceSession;
use crate::polled::{Call, Polled, PolledSession};
use crate::registry::{BookMode, ConnectionPath, SessionConfig, SessionOptions};
use crate::session::Session;

/// One of Binance's markets.
#[derive(Debug)]
pub(super) struct Market {
    /// Which data type which instrument has.
    pub(super) offers: fn(&Instrument, DataType) -> bool,
    /// What is polled, and how.
    pub(super) polled: &'static [Polled],
    /// How consecutive depth events are recognised.
    pub(super) chain: Chain,
    /// The trade stream taken unless the user chooses.
    pub(super) trade_stream_default: TradeStream,
    /// REST path of the depth snapshot.
    pub(super) depth_path: &'static str,
    /// Snapshot sizes the exchange knows with their weight, smallest first. A size between two takes the larger
    /// unless `depth_sizes_exact` is false.
    pub(super) depth_weights: &'static [(u32, u32)],
    /// Whether only the sizes listed are allowed, not those between them.
    pub(super) depth_sizes_exact: bool,
    /// Where missing trades are fetched by id.
    pub(super) trades_rest: TradesRest,
    /// Where missing aggregates are fetched by id.
    pub(super) aggregates_rest: TradesRest,
}

/// A REST endpoint that gives trades from an id on.
#[derive(Debug)]
pub(super) struct TradesRest {
    pub(super) path: &'static str,
    /// Most trades in one answer.
    pub(super) limit: u32,
    pub(super) weight: u32,
}

/// How depth events follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// Spot: update ids are dense, the next event begins at `u + 1`.
    Dense,
    /// USDⓈ-M: update ids are sparse, the next event names this one's `u` as its `pu`.
    Linked,
}

/// Which stream trades are taken from. Their ids are two sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TradeStream {
    /// `@trade`: every print.
    Trade,
    /// `@aggTrade`: prints of one taker order at one price together.
    Aggregate,
}

impl TradeStream {
    /// From the user's option; what is neither is refused by the collector's configuration check.
    pub(super) fn chosen(option: Option<&str>, default: Self) -> Self {
        match option {
            Some("trade") => Self::Trade,
            Some("aggTrade") => Self::Aggregate,
            _ => default,
        }
    }

    /// The stream's name after the symbol.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Aggregate => "aggTrade",
        }
    }
}

impl Market {
    /// The trade stream the user chose, or the market's default.
    pub(super) fn trade_stream(&self, options: &SessionOptions) -> TradeStream {
        TradeStream::chosen(options.trade_stream.as_deref(), self.trade_stream_default)
    }

    /// A session for one connection.
    pub(super) fn open(&'static self, config: SessionConfig) -> Box<dyn Session> {
        if config.data_types.iter().all(|data_type| is_polled(*data_type, &config.options)) {
            Box::new(PolledSession::new(self.polled, self.offers, config))
        } else {
            Box::new(BinanceSession::new(self, config))
        }
    }

    /// Levels a side and weight of a snapshot of at least `levels` a side, or of the most the exchange gives.
    pub(super) fn snapshot_size(&self, levels: u32) -> (u32, u32) {
        let fitting = self.depth_weights.iter().find(|(size, _)| *size >= levels);
        let (size, weight) = fitting.or(self.depth_weights.last()).copied().unwrap_or((levels, 1));
        (if self.depth_sizes_exact { size } else { levels.clamp(1, size) }, weight)
    }

    /// A snapshot of at least `levels` a side, or of the most the exchange gives.
    pub(super) fn snapshot(&self, instrument_id: &str, levels: u32) -> Call {
        let (size, weight) = self.snapshot_size(levels);
        let symbol = percent_encoded(instrument_id);
        Call { path: format!("{}?symbol={symbol}&limit={size}", self.depth_path), weight, limit: WEIGHT }
    }

    /// The trades of a stream from an id on, up to another one.
    pub(super) fn trades(&self, stream: TradeStream, instrument_id: &str, (from, to): (u64, u64)) -> Call {
        let TradesRest { path, limit, weight } = match stream {
            TradeStream::Trade => &self.trades_rest,
            TradeStream::Aggregate => &self.aggregates_rest,
        };
        // One more than is missing: the trade behind it proves that nothing is left out.
        let limit = to.saturating_sub(from).saturating_add(2).min(u64::from(*limit));
        let symbol = percent_encoded(instrument_id);
        Call {
            path: format!("{path}?symbol={symbol}&fromId={from}&limit={limit}"),
            weight: *weight,
            limit: WEIGHT,
        }
    }
}

/// Whether a data type is polled by REST, not pushed.
pub(super) fn is_polled(data_type: DataType, options: &SessionOptions) -> bool {
    match data_type {
        DataType::OpenInterest | DataType::LsrTopPosition | DataType::LsrAllAccount => true,
        DataType::OrderBook => options.book_mode == BookMode::Snapshot,
        DataType::Trade
        | DataType::FundingRate
        | DataType::Liquidation
        | DataType::VolatilityIndex
        | DataType::Gap => false,
    }
}

/// What is polled, as a path of its own: it lives without sockets.
pub(super) fn polled_path(data_types: &[DataType], options: &SessionOptions) -> Option<ConnectionPath> {
    let polled = data_types.iter().copied().filter(|data_type| is_polled(*data_type, options));
    let path = ConnectionPath { name: "polled", path: None, data_types: polled.collect() };
    Some(path).filter(|path| !path.data_types.is_empty())
}

/// A symbol in a query: symbols are not always ASCII.
pub(super) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
