//! One event as the ledger remembers it. Writing it down is `ledger.rs`.

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use crate::event::{AggregateTrade, Diff, Origin, Touch, Trade};

/// The words the ledger and the pipeline share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataType {
    Trade,
    #[serde(rename = "orderbook")]
    OrderBook,
    BestBidAsk,
}

/// One event as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Trade {
        trade_id: CompactString,
        price: CompactString,
        quantity: CompactString,
        buyer_is_maker: bool,
        aggregated: bool,
        ts_event_us: i64,
    },
    OrderBook {
        first_update_id: u64,
        last_update_id: u64,
        /// Unknown in a replay, where no true book exists.
        touch: Option<Touch>,
    },
    BestBidAsk {
        update_id: u64,
        touch: Touch,
    },
    /// Sent but not owed to anyone: placeholders, broken frames.
    Unrecorded,
}

impl Record {
    pub(crate) fn data_type(&self) -> Option<DataType> {
        match self {
            Self::Trade { .. } => Some(DataType::Trade),
            Self::OrderBook { .. } => Some(DataType::OrderBook),
            Self::BestBidAsk { .. } => Some(DataType::BestBidAsk),
            Self::Unrecorded => None,
        }
    }
}

impl From<&Trade> for Record {
    fn from(trade: &Trade) -> Self {
        match trade.origin {
            Origin::Placeholder => Self::Unrecorded,
            Origin::Market => Self::Trade {
                trade_id: format_compact!("{}", trade.id),
                price: trade.price.clone(),
                quantity: trade.quantity.clone(),
                buyer_is_maker: trade.buyer_is_maker,
                aggregated: false,
                ts_event_us: trade.time_ms.saturating_mul(1000),
            },
        }
    }
}

impl From<&AggregateTrade> for Record {
    fn from(trade: &AggregateTrade) -> Self {
        Self::Trade {
            trade_id: format_compact!("{}", trade.id),
            price: trade.price.clone(),
            quantity: trade.quantity.clone(),
            buyer_is_maker: trade.buyer_is_maker,
            aggregated: true,
            ts_event_us: trade.time_ms.saturating_mul(1000),
        }
    }
}

impl From<&Diff> for Record {
    fn from(diff: &Diff) -> Self {
        Self::OrderBook {
            first_update_id: diff.first_update_id,
            last_update_id: diff.last_update_id,
            touch: Some(diff.touch.clone()),
        }
    }
}
