//! One event as the ledger remembers it, and a frame with the events it carries. Writing it down is `ledger.rs`.

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use crate::event::{AggregateTrade, Diff, Origin, Snapshot, Touch, Trade};
use crate::instrument::Instrument;

/// The words the ledger and the pipeline share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataType {
    Trade,
    #[serde(rename = "orderbook")]
    OrderBook,
    BestBidAsk,
    FundingRate,
    OpenInterest,
    Liquidation,
    LsrTopPosition,
    LsrAllAccount,
    VolatilityIndex,
}

/// A text for the socket and what the ledger is to say when it was written.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) text: String,
    /// By catalogue index; several where one message carries several events.
    pub(crate) entries: Vec<(usize, Record)>,
    /// The book's revision after it; only those who began with an earlier book get it.
    pub(crate) revision: Option<u64>,
}

impl Frame {
    /// A message about one event.
    pub(crate) fn new(text: String, instrument: usize, record: impl Into<Record>) -> Self {
        Self { text, entries: vec![(instrument, record.into())], revision: None }
    }

    /// A message that nobody is owed.
    pub(crate) fn unrecorded(text: String) -> Self {
        Self { text, entries: Vec::new(), revision: None }
    }

    /// The same with one more event in it.
    pub(crate) fn and(mut self, instrument: usize, record: impl Into<Record>) -> Self {
        self.entries.push((instrument, record.into()));
        self
    }

    /// The same as the update that brings a book to `revision`.
    pub(crate) fn at_revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }
}

/// One event; its fields are those of the ledger's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Record {
    Trade(TradeRecord),
    OrderBook(OrderBookRecord),
    BestBidAsk(BestBidAskRecord),
    FundingRate(FundingRateRecord),
    OpenInterest(OpenInterestRecord),
    Liquidation(LiquidationRecord),
    Ratio(RatioRecord),
    VolatilityIndex(VolatilityIndexRecord),
    /// Sent but not owed to anyone: placeholders, broken frames.
    Unrecorded,
}

/// A trade, quantities in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TradeRecord {
    pub(crate) trade_id: CompactString,
    pub(crate) price: CompactString,
    pub(crate) quantity: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) contracts: Option<CompactString>,
    /// The taker's: `buy` or `sell`.
    pub(crate) side: &'static str,
    pub(crate) aggregated: bool,
    /// Single trades in it, where the exchange says so (OKX).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// The instrument's consecutive number, where it is not the id (Deribit).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trade_seq: Option<u64>,
    pub(crate) ts_event_us: i64,
}

/// A book after one update, quantities in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OrderBookRecord {
    /// True for a whole book that was pushed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) snapshot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_update_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous_update_id: Option<u64>,
    pub(crate) last_update_id: u64,
    /// Unknown in a replay, where no true book exists.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) touch: Option<Touch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ts_event_us: Option<i64>,
}

/// Best bid and ask as they were pushed, quantities in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BestBidAskRecord {
    pub(crate) update_id: u64,
    #[serde(flatten)]
    pub(crate) touch: Touch,
}

/// Funding as sent; what the exchange does not send beside it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FundingRateRecord {
    pub(crate) funding_rate: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) funding_time_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_funding_time_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mark_price: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index_price: Option<CompactString>,
    pub(crate) ts_event_us: i64,
}

/// Open interest as sent: in the exchange's contracts, base units, quote units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OpenInterestRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open_interest: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open_interest_base: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open_interest_value: Option<CompactString>,
    pub(crate) ts_event_us: i64,
}

/// A liquidation order, quantity in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LiquidationRecord {
    /// The order's: `buy` closes a short.
    pub(crate) side: &'static str,
    pub(crate) price: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) average_price: Option<CompactString>,
    pub(crate) quantity: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) contracts: Option<CompactString>,
    pub(crate) ts_event_us: i64,
}

/// A long/short ratio as answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RatioRecord {
    /// Whose ratio: `LsrTopPosition` or `LsrAllAccount`.
    #[serde(skip)]
    pub(crate) data_type: DataType,
    pub(crate) period: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) long_ratio: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_ratio: Option<CompactString>,
    pub(crate) long_short_ratio: CompactString,
    pub(crate) ts_event_us: i64,
}

/// A volatility index: its value, or a bar of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct VolatilityIndexRecord {
    pub(crate) index_value: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolution_seconds: Option<u64>,
    pub(crate) ts_event_us: i64,
}

impl Record {
    pub(crate) fn data_type(&self) -> Option<DataType> {
        match self {
            Self::Trade(_) => Some(DataType::Trade),
            Self::OrderBook(_) => Some(DataType::OrderBook),
            Self::BestBidAsk(_) => Some(DataType::BestBidAsk),
            Self::FundingRate(_) => Some(DataType::FundingRate),
            Self::OpenInterest(_) => Some(DataType::OpenInterest),
            Self::Liquidation(_) => Some(DataType::Liquidation),
            Self::Ratio(ratio) => Some(ratio.data_type),
            Self::VolatilityIndex(_) => Some(DataType::VolatilityIndex),
            Self::Unrecorded => None,
        }
    }
}

impl Record {
    /// When it happened by the exchange's clock, where it says so.
    pub(crate) fn ts_event_us(&self) -> Option<i64> {
        match self {
            Self::Trade(trade) => Some(trade.ts_event_us),
            Self::OrderBook(book) => book.ts_event_us,
            Self::FundingRate(funding) => Some(funding.ts_event_us),
            Self::OpenInterest(open_interest) => Some(open_interest.ts_event_us),
            Self::Liquidation(order) => Some(order.ts_event_us),
            Self::Ratio(ratio) => Some(ratio.ts_event_us),
            Self::VolatilityIndex(index) => Some(index.ts_event_us),
            Self::BestBidAsk(_) | Self::Unrecorded => None,
        }
    }
}

impl OrderBookRecord {
    /// After an update that names the one before it; `diff` as the wire writes it.
    pub(crate) fn chained(instrument: &Instrument, diff: &Diff) -> Record {
        Record::OrderBook(Self {
            snapshot: false,
            first_update_id: None,
            previous_update_id: Some(diff.previous_update_id),
            last_update_id: diff.last_update_id,
            touch: diff.touch.in_base(instrument),
            ts_event_us: Some(diff.time_ms.saturating_mul(1000)),
        })
    }

    /// A whole book that was pushed.
    pub(crate) fn pushed(instrument: &Instrument, book: &Snapshot) -> Record {
        let touch = book.bids.first().cloned().zip(book.asks.first().cloned());
        Record::OrderBook(Self {
            snapshot: true,
            first_update_id: None,
            previous_update_id: None,
            last_update_id: book.last_update_id,
            touch: touch.and_then(|(best_bid, best_ask)| Touch { best_bid, best_ask }.in_base(instrument)),
            ts_event_us: Some(book.time_ms.saturating_mul(1000)),
        })
    }
}

impl From<&Trade> for Record {
    fn from(trade: &Trade) -> Self {
        match trade.origin {
            Origin::Placeholder => Self::Unrecorded,
            Origin::Market => Self::Trade(TradeRecord {
                trade_id: format_compact!("{}", trade.id),
                price: trade.price.clone(),
                quantity: trade.quantity.clone(),
                contracts: None,
                side: side(trade.buyer_is_maker),
                aggregated: false,
                count: None,
                trade_seq: None,
                ts_event_us: trade.time_ms.saturating_mul(1000),
            }),
        }
    }
}

impl From<&AggregateTrade> for Record {
    fn from(trade: &AggregateTrade) -> Self {
        Self::Trade(TradeRecord {
            trade_id: format_compact!("{}", trade.id),
            price: trade.price.clone(),
            quantity: trade.quantity.clone(),
            contracts: None,
            side: side(trade.buyer_is_maker),
            aggregated: true,
            count: None,
            trade_seq: None,
            ts_event_us: trade.time_ms.saturating_mul(1000),
        })
    }
}

impl From<&Diff> for Record {
    fn from(diff: &Diff) -> Self {
        Self::OrderBook(OrderBookRecord {
            snapshot: false,
            first_update_id: Some(diff.first_update_id),
            previous_update_id: None,
            last_update_id: diff.last_update_id,
            touch: Some(diff.touch.clone()),
            ts_event_us: None,
        })
    }
}

/// The taker's side.
pub(crate) fn side(buyer_is_maker: bool) -> &'static str {
    if buyer_is_maker { "sell" } else { "buy" }
}
