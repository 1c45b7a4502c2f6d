//! Which stream carries what, as plain data. broker-bootstrap applies it; everyone else verifies it.

use crate::data_type::DataType;
use crate::subject::{self, DEAD_LETTER_PREFIX};

/// A stream as it should be. File storage, limits retention and discard-old are the same for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSpec {
    /// The stream's name on the broker.
    pub name: &'static str,
    /// What it is for, in one line; stored as the stream's description.
    pub description: &'static str,
    /// The data types it carries; none for the dead letters.
    pub data_types: &'static [DataType],
    /// Messages older than this are dropped by the broker.
    pub max_age_seconds: u64,
    /// The stream's size limit; the oldest messages are dropped beyond it.
    pub max_bytes: i64,
    /// Two messages with one id within this window are one message.
    pub duplicate_window_seconds: u64,
}

/// Name of the stream of everything but order books.
pub const MARKET_DATA: &str = "MARKET_DATA";
/// Name of the stream of order books.
pub const ORDERBOOK_SNAP: &str = "ORDERBOOK_SNAP";
/// Name of the stream of messages that can never be stored.
pub const DEAD_LETTER: &str = "DEAD_LETTER";

const HOUR_SECONDS: u64 = 3_600;
const GIB: i64 = 1 << 30;

/// Every stream of MarketPrism.
pub const STREAMS: &[StreamSpec] = &[
    StreamSpec {
        name: MARKET_DATA,
        description: "trades, funding, open interest, liquidations, ratios, volatility indices, gaps",
        data_types: &[
            DataType::Trade,
            DataType::FundingRate,
            DataType::OpenInterest,
            DataType::Liquidation,
            DataType::VolatilityIndex,
            DataType::LsrTopPosition,
            DataType::LsrAllAccount,
            DataType::Gap,
        ],
        max_age_seconds: 48 * HOUR_SECONDS,
        // 21 million messages of 400 bytes: 48 h at 124 messages/s, 6 h at 1000/s. Small enough for a laptop's disk;
        // raise it where more is collected, for it is how long storage may be away.
        max_bytes: 8 * GIB,
        duplicate_window_seconds: 120,
    },
    StreamSpec {
        name: ORDERBOOK_SNAP,
        description: "top-of-book snapshots of verified local order books",
        data_types: &[DataType::OrderBook],
        max_age_seconds: 24 * HOUR_SECONDS,
        // 1.4 million books of 6 KiB (100 levels a side): 24 h at 16 books/s, 6 h at 64/s.
        max_bytes: 8 * GIB,
        duplicate_window_seconds: 120,
    },
    StreamSpec {
        name: DEAD_LETTER,
        description: "messages that can never be stored, with the reason and the original bytes",
        data_types: &[],
        // Long enough for a person to come back from holiday and replay them.
        max_age_seconds: 30 * 24 * HOUR_SECONDS,
        max_bytes: GIB,
        duplicate_window_seconds: 120,
    },
];

impl StreamSpec {
    /// The subjects the stream takes.
    #[must_use]
    pub fn subjects(&self) -> Vec<String> {
        if self.data_types.is_empty() {
            return vec![format!("{DEAD_LETTER_PREFIX}.>")];
        }
        self.data_types.iter().map(|data_type| subject::filter(*data_type)).collect()
    }
}

/// The stream that carries a data type.
#[must_use]
pub const fn stream_of(data_type: DataType) -> &'static str {
    if matches!(data_type, DataType::OrderBook) { ORDERBOOK_SNAP } else { MARKET_DATA }
}

/// The durable consumer through which hot-storage reads one data type; cold-storage reads its ack floor.
#[must_use]
pub fn hot_consumer(data_type: DataType) -> String {
    format!("hot-storage-{data_type}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_data_type_is_in_exactly_the_stream_that_stream_of_names() {
        for data_type in DataType::ALL {
            let holders: Vec<_> = STREAMS
                .iter()
                .filter(|spec| spec.data_types.contains(data_type))
                .map(|spec| spec.name)
                .collect();
            assert_eq!(holders, [stream_of(*data_type)]);
        }
    }
}
