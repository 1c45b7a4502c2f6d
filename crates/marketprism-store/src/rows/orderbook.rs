//! `orderbooks`: the only place where a `orderbook` message becomes columns.

use marketprism_core::message::{Level, OrderBook};
use serde::{Serialize, Serializer};

use super::table_row;

table_row! {
    /// A row of `orderbooks`.
    OrderBookRow from OrderBook as message {
        last_update_id: u64 = message.last_update_id,
        previous_update_id: Option<u64> = message.previous_update_id,
        update_count: u64 = message.update_count,
        is_snapshot_of: &'static str = message.is_snapshot_of.as_str(),
        depth: u32 = message.depth,
        bids_count: u32 = count(&message.bids),
        asks_count: u32 = count(&message.asks),
        best_bid_price: Option<i128> = message.bids.first().map(|level| level.price.units()),
        best_ask_price: Option<i128> = message.asks.first().map(|level| level.price.units()),
        best_bid_quantity: Option<i128> = message.bids.first().map(|level| level.quantity.units()),
        best_ask_quantity: Option<i128> = message.asks.first().map(|level| level.quantity.units()),
        bids: Levels<'a> = Levels(&message.bids),
        asks: Levels<'a> = Levels(&message.asks),
    }
}

/// Levels as `Array(Tuple(Decimal(38, 18), Decimal(38, 18)))`.
#[derive(Debug)]
pub(crate) struct Levels<'a>(&'a [Level]);

impl Serialize for Levels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|level| (level.price.units(), level.quantity.units())))
    }
}

fn count(levels: &[Level]) -> u32 {
    // A message's side has at most `depth` levels, which is a u32.
    u32::try_from(levels.len()).unwrap_or(u32::MAX)
}
