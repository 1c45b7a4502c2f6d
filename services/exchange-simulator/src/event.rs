//! What happens on the exchange, before any wire format: trades, aggregate trades, diffs, best prices.
//! Prices and quantities are already the exchange's own text, so wire, ledger and REST agree to the digit.

use compact_str::CompactString;

/// Price and quantity as the exchange writes them.
pub(crate) type PriceLevel = (CompactString, CompactString);

/// What a trade on USDⓈ-M came from (`X`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Two orders met.
    Market,
    /// A zero-price placeholder that consumers must drop.
    Placeholder,
}

/// One trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trade {
    pub(crate) id: u64,
    pub(crate) price: CompactString,
    pub(crate) quantity: CompactString,
    /// True: the taker sold.
    pub(crate) buyer_is_maker: bool,
    pub(crate) time_ms: i64,
    pub(crate) origin: Origin,
}

/// All trades of one taker order at one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AggregateTrade {
    pub(crate) id: u64,
    pub(crate) first_trade_id: u64,
    pub(crate) last_trade_id: u64,
    pub(crate) price: CompactString,
    pub(crate) quantity: CompactString,
    pub(crate) buyer_is_maker: bool,
    pub(crate) time_ms: i64,
}

/// A taker order that was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) trades: Vec<Trade>,
    pub(crate) aggregate: AggregateTrade,
    /// USDⓈ-M only: a zero-price trade after the fill, with the next id.
    pub(crate) placeholder: Option<Trade>,
}

/// One order-book diff with absolute quantities, and the touch of the book after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) first_update_id: u64,
    pub(crate) last_update_id: u64,
    /// `last_update_id` of the diff before (`pu` on USDⓈ-M).
    pub(crate) previous_update_id: u64,
    /// Best first.
    pub(crate) bids: Vec<PriceLevel>,
    /// Best first.
    pub(crate) asks: Vec<PriceLevel>,
    pub(crate) touch: Touch,
    /// Whether `touch` differs from the diff before: a bookTicker is due.
    pub(crate) touch_moved: bool,
    pub(crate) time_ms: i64,
}

/// Best bid and best ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) best_bid: PriceLevel,
    pub(crate) best_ask: PriceLevel,
}

/// A whole book for REST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) last_update_id: u64,
    pub(crate) time_ms: i64,
    /// Best first.
    pub(crate) bids: Vec<PriceLevel>,
    /// Best first.
    pub(crate) asks: Vec<PriceLevel>,
}
