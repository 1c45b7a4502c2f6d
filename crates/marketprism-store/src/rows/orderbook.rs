//! `orderbooks`: the only place where a `orderbook` message becomes columns.

use marketprism_core::message::{Level, OrderBook};

use super::table_columns;

table_columns! {
    /// The table `orderbooks`.
    OrderBooks from OrderBook as message {
        last_update_id: u64 = message.last_update_id,
        previous_update_id: Option<u64> = message.previous_update_id,
        update_count: u64 = message.update_count,
        is_snapshot_of: &str = message.is_snapshot_of.as_str(),
        depth: u32 = message.depth,
        bids_count: u32 = count(&message.bids),
        asks_count: u32 = count(&message.asks),
        best_bid_price: Option<i128> = message.bids.first().map(|level| level.price.units()),
        best_ask_price: Option<i128> = message.asks.first().map(|level| level.price.units()),
        best_bid_quantity: Option<i128> = message.bids.first().map(|level| level.quantity.units()),
        best_ask_quantity: Option<i128> = message.asks.first().map(|level| level.quantity.units()),
        bids: &[Level] = &message.bids,
        asks: &[Level] = &message.asks,
    }
}

fn count(levels: &[Level]) -> u32 {
    // A message's side has at most `depth` levels, which is a u32.
    u32::try_from(levels.len()).unwrap_or(u32::MAX)
}
