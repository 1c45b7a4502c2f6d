//! What happens on an exchange, before any wire format: trades, book updates, and what is told of contracts and indices.
//! Prices and quantities are already the exchange's own text, so wire, ledger and REST agree to the digit.

use compact_str::CompactString;
use serde::Serialize;

use crate::instrument::Instrument;
use crate::units::plain;

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

/// The next thing that happens to an instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Fill(Fill),
    Diff(Diff),
    /// Nothing happened to the book for as long as a keep-alive takes.
    Still(StillBook),
    /// The mark price was computed anew.
    Mark(Mark),
    /// The same facts when funding is due to be told.
    Funding(Mark),
    OpenInterest(OpenInterest),
    /// One or more orders of the last second.
    Liquidations(Vec<Liquidation>),
    VolatilityIndex(VolatilityIndex),
}

/// A taker order that was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fill {
    /// The book's last update before it.
    pub(crate) book_update_id: u64,
    pub(crate) trades: Vec<Trade>,
    pub(crate) aggregate: AggregateTrade,
    /// USDⓈ-M only: a zero-price trade after the fill, with the next id.
    pub(crate) placeholder: Option<Trade>,
}

/// One order-book diff with absolute quantities, and the touch of the book after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diff {
    /// Counts the book's updates, whatever the exchange's ids do.
    pub(crate) revision: u64,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Touch {
    pub(crate) best_bid: PriceLevel,
    pub(crate) best_ask: PriceLevel,
}

impl Touch {
    /// The same with quantities in base units.
    pub(crate) fn in_base(&self, instrument: &Instrument) -> Option<Self> {
        let level = |(price, quantity): &PriceLevel| {
            Some((plain(price).into(), plain(&instrument.base_quantity(quantity, price)?).into()))
        };
        Some(Self { best_bid: level(&self.best_bid)?, best_ask: level(&self.best_ask)? })
    }
}

/// A book as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StillBook {
    pub(crate) last_update_id: u64,
    pub(crate) time_ms: i64,
}

/// What is computed of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) mark_price: CompactString,
    pub(crate) index_price: CompactString,
    /// A fraction for one `funding_interval_ms`; only perpetuals have one.
    pub(crate) funding_rate: Option<CompactString>,
    /// The upcoming settlement.
    pub(crate) funding_time_ms: i64,
    pub(crate) funding_interval_ms: i64,
    pub(crate) time_ms: i64,
}

/// Open interest in the units of the wire's quantities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenInterest {
    pub(crate) quantity: CompactString,
    /// The price to value it at.
    pub(crate) mark_price: CompactString,
    pub(crate) time_ms: i64,
}

/// An order by which a position was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Liquidation {
    /// True: a long was closed.
    pub(crate) is_sell: bool,
    /// Its limit, the bankruptcy price.
    pub(crate) price: CompactString,
    pub(crate) average_price: CompactString,
    pub(crate) quantity: CompactString,
    pub(crate) time_ms: i64,
}

/// The value of a volatility index, in percentage points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolatilityIndex {
    pub(crate) value: CompactString,
    pub(crate) time_ms: i64,
}

/// A whole book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) last_update_id: u64,
    pub(crate) time_ms: i64,
    /// Best first.
    pub(crate) bids: Vec<PriceLevel>,
    /// Best first.
    pub(crate) asks: Vec<PriceLevel>,
}
