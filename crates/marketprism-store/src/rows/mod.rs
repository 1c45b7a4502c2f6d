//! Rows as the tables have them: one file a table, borrowed from the messages they are made of.
//!
//! Prices and quantities are integers of 10^-18 (`Decimal(38, 18)`), times are µs (`DateTime64(6)`). The client compares
//! widths, not scales, so a test reads the DDL and compares it with [`marketprism_core::decimal::SCALE`].

mod funding_rate;
mod gap;
mod liquidation;
mod lsr;
mod open_interest;
mod orderbook;
mod trade;
mod volatility_index;

use marketprism_core::TimeSource;

pub(crate) use funding_rate::FundingRateRow;
pub(crate) use gap::GapRow;
pub(crate) use liquidation::LiquidationRow;
pub(crate) use lsr::{LsrAllAccountRow, LsrTopPositionRow};
pub(crate) use open_interest::OpenInterestRow;
pub(crate) use orderbook::OrderBookRow;
pub(crate) use trade::TradeRow;
pub(crate) use volatility_index::VolatilityIndexRow;

use crate::insert::Entry;

/// A row that is made of a message of one data type.
pub(crate) trait FromEntry<'a>: Sized {
    /// The row, or `None` for a message of another data type.
    fn from_entry(entry: &Entry<'a>, created_at: i64) -> Option<Self>;
}

/// What `timestamp_source` says.
const fn timestamp_source(source: Option<TimeSource>) -> &'static str {
    match source {
        None => "exchange",
        Some(TimeSource::Recv) => "recv",
    }
}

/// Declares a row: the common columns, its own, then where it came from.
macro_rules! table_row {
    (
        $(#[$meta:meta])*
        $row:ident from $message:ident as $name:ident { $( $column:ident: $type:ty = $value:expr, )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, serde::Serialize, clickhouse::Row)]
        pub(crate) struct $row<'a> {
            timestamp: i64,
            exchange: &'a str,
            market_type: &'static str,
            symbol: &'a str,
            instrument_id: &'a str,
            $( $column: $type, )*
            ts_recv: i64,
            timestamp_source: &'static str,
            data_source: &'static str,
            message_schema: u16,
            stream_epoch: u32,
            stream_seq: u64,
            created_at: i64,
        }

        impl<'a> $crate::rows::FromEntry<'a> for $row<'a> {
            fn from_entry(entry: &$crate::Entry<'a>, created_at: i64) -> Option<Self> {
                let marketprism_core::Message::$message($name) = entry.message else { return None };
                let $name: &'a $message<'a> = $name;
                Some(Self {
                    timestamp: $name.ts_event_us.as_micros(),
                    exchange: &$name.exchange,
                    market_type: $name.market_type.as_str(),
                    symbol: &$name.symbol,
                    instrument_id: &$name.instrument_id,
                    $( $column: $value, )*
                    ts_recv: $name.ts_recv_us.as_micros(),
                    timestamp_source: $crate::rows::timestamp_source($name.ts_event_source),
                    data_source: $name.source.as_str(),
                    message_schema: $name.schema,
                    stream_epoch: entry.stream_epoch,
                    stream_seq: entry.stream_seq,
                    created_at,
                })
            }
        }
    };
}
use table_row;
