//! `orderbook`: the best levels of a local book that was verified by the exchange's sequence rule.

use std::borrow::Cow;
use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{InvalidField, message};
use crate::data_type::SnapshotOf;
use crate::decimal::Decimal;

/// One price level, `[price, quantity]` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "(Decimal, Decimal)", into = "(Decimal, Decimal)")]
#[schemars(with = "(Decimal, Decimal)")]
pub struct Level {
    /// Price in quote units.
    pub price: Decimal,
    /// Quantity resting at the price, in base units.
    pub quantity: Decimal,
}

impl From<(Decimal, Decimal)> for Level {
    fn from((price, quantity): (Decimal, Decimal)) -> Self {
        Self { price, quantity }
    }
}

impl From<Level> for (Decimal, Decimal) {
    fn from(level: Level) -> Self {
        (level.price, level.quantity)
    }
}

message! {
    /// The best levels of a verified book after the exchange's update `last_update_id`.
    ///
    /// Bids fall, asks rise, best first, and the best bid is below the best ask. Consecutive messages of one symbol
    /// form a chain: `previous_update_id` is the `last_update_id` of the message published before, and `update_count`
    /// says how many of the exchange's updates lie between, so that the sum over stored messages is the number of
    /// updates the exchange sent.
    OrderBook is OrderBook {
        /// Bids, best (highest) first.
        #[serde(borrow)]
        bids: Cow<'a, [Level]>,
        /// Asks, best (lowest) first.
        #[serde(borrow)]
        asks: Cow<'a, [Level]>,
        /// The exchange's sequence after which the book looked so.
        last_update_id: u64,
        /// `last_update_id` of the previous message of this symbol; absent on the first one after a (re)synchronisation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous_update_id: Option<u64>,
        /// Updates received from the exchange since the previous message, all of them contained in this book.
        update_count: u64,
        /// Whether every known level is here.
        is_snapshot_of: SnapshotOf,
        /// The most levels a side may have in this message.
        depth: u32,
    }
}

impl OrderBook<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        check_side("bids", &self.bids, Ordering::Greater, self.depth)?;
        check_side("asks", &self.asks, Ordering::Less, self.depth)?;
        match (self.bids.first(), self.asks.first()) {
            (Some(bid), Some(ask)) if bid.price >= ask.price => Err(InvalidField::new(
                "bids",
                format_args!("{} >= {}", bid.price, ask.price),
                "crosses the best ask",
            )),
            _ => Ok(()),
        }
    }
}

/// `wanted` is how each price compares with the one after it.
fn check_side(
    field: &'static str,
    levels: &[Level],
    wanted: Ordering,
    depth: u32,
) -> Result<(), InvalidField> {
    if levels.len() > depth as usize {
        return Err(InvalidField::new(field, levels.len(), "levels are more than depth"));
    }
    for level in levels {
        if !level.price.is_positive() {
            return Err(InvalidField::new(field, level.price, "is a price not above zero"));
        }
        if !level.quantity.is_positive() {
            return Err(InvalidField::new(field, level.quantity, "is a quantity not above zero"));
        }
    }
    for (level, next) in levels.iter().zip(levels.iter().skip(1)) {
        if level.price.cmp(&next.price) != wanted {
            return Err(InvalidField::new(field, next.price, "is out of order"));
        }
    }
    Ok(())
}
