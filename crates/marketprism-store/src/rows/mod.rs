//! The columns of the tables: one file a table, filled from the messages it is made of.
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

pub(crate) use funding_rate::FundingRates;
pub(crate) use gap::Gaps;
pub(crate) use liquidation::Liquidations;
pub(crate) use lsr::{LsrAllAccounts, LsrTopPositions};
pub(crate) use open_interest::OpenInterests;
pub(crate) use orderbook::OrderBooks;
pub(crate) use trade::Trades;
pub(crate) use volatility_index::VolatilityIndices;

use crate::insert::Entry;
use crate::native::Block;

/// A table that is made of messages of one data type.
pub(crate) trait FromEntries {
    /// The messages as columns; one of another data type is left out.
    fn block(entries: &[Entry<'_>], created_at: i64) -> Block;
}

/// What `timestamp_source` says.
const fn timestamp_source(source: Option<TimeSource>) -> &'static str {
    match source {
        None => "exchange",
        Some(TimeSource::Recv) => "recv",
    }
}

/// Declares a table's columns: the common ones, its own, then where the message came from.
macro_rules! table_columns {
    (
        $(#[$meta:meta])*
        $table:ident from $message:ident as $name:ident { $( $column:ident: $type:ty = $value:expr, )* }
    ) => {
        $(#[$meta])*
        pub(crate) struct $table;

        impl $crate::rows::FromEntries for $table {
            fn block(entries: &[$crate::Entry<'_>], created_at: i64) -> $crate::native::Block {
                use $crate::native::Column;
                let room = entries.len();
                let mut rows = 0;
                let mut timestamp = Column::of::<i64>("timestamp", room);
                let mut exchange = Column::of::<&str>("exchange", room);
                let mut market_type = Column::of::<&str>("market_type", room);
                let mut symbol = Column::of::<&str>("symbol", room);
                let mut instrument_id = Column::of::<&str>("instrument_id", room);
                $( let mut $column = Column::of::<$type>(stringify!($column), room); )*
                let mut ts_recv = Column::of::<i64>("ts_recv", room);
                let mut timestamp_source = Column::of::<&str>("timestamp_source", room);
                let mut data_source = Column::of::<&str>("data_source", room);
                let mut message_schema = Column::of::<u16>("message_schema", room);
                let mut stream_epoch = Column::of::<u32>("stream_epoch", room);
                let mut stream_seq = Column::of::<u64>("stream_seq", room);
                let mut created = Column::of::<i64>("created_at", room);
                for entry in entries {
                    let marketprism_core::Message::$message($name) = entry.message else { continue };
                    let $name: &$message<'_> = $name;
                    rows += 1;
                    timestamp.push($name.ts_event_us.as_micros());
                    exchange.push::<&str>(&$name.exchange);
                    market_type.push($name.market_type.as_str());
                    symbol.push::<&str>(&$name.symbol);
                    instrument_id.push::<&str>(&$name.instrument_id);
                    $( $column.push::<$type>($value); )*
                    ts_recv.push($name.ts_recv_us.as_micros());
                    timestamp_source.push($crate::rows::timestamp_source($name.ts_event_source));
                    data_source.push($name.source.as_str());
                    message_schema.push($name.schema);
                    stream_epoch.push(entry.stream_epoch);
                    stream_seq.push(entry.stream_seq);
                    created.push(created_at);
                }
                let columns = vec![
                    timestamp, exchange, market_type, symbol, instrument_id, $( $column, )* ts_recv,
                    timestamp_source, data_source, message_schema, stream_epoch, stream_seq, created,
                ];
                $crate::native::Block { rows, columns }
            }
        }
    };
}
use table_columns;
