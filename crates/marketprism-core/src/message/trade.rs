//! `trade`: one trade, or one aggregate where the exchange sends aggregates.

use std::borrow::Cow;

use super::fields::{InvalidField, message, positive, positive_if_told};
use crate::data_type::TakerSide;
use crate::decimal::Decimal;

message! {
    /// One trade, or one aggregate of trades at one price (Binance `aggTrade`), then with its first and last trade id.
    ///
    /// `price > 0`, `quantity > 0`, quantity always in base units.
    Trade is Trade {
        /// The exchange's id of the trade, or of the aggregate.
        #[serde(borrow)]
        trade_id: Cow<'a, str>,
        /// Price in quote units.
        price: Decimal,
        /// Quantity in base units.
        quantity: Decimal,
        /// Side of the taker.
        side: TakerSide,
        /// True where the buyer was the maker; absent where the exchange does not say it this way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_maker_buyer: Option<bool>,
        /// Quantity in contracts, where the exchange trades contracts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contracts: Option<Decimal>,
        /// The exchange's consecutive number of the trade, where that is not its id (Deribit `trade_seq`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trade_sequence: Option<u64>,
        /// First trade of an aggregate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_trade_id: Option<u64>,
        /// Last trade of an aggregate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_trade_id: Option<u64>,
    }
}

impl Trade<'_> {
    /// True for an aggregate of trades, whose ids are a sequence of their own.
    #[must_use]
    pub const fn is_aggregate(&self) -> bool {
        self.first_trade_id.is_some()
    }

    /// First and last of the exchange's consecutive numbers that it stands for; `None` where its id is no number.
    #[must_use]
    pub fn numbers(&self) -> Option<(u64, u64)> {
        let last = self.trade_sequence.or_else(|| self.trade_id.parse().ok())?;
        match (self.first_trade_id, self.last_trade_id) {
            // Goes by its last trade, so it counts trades (OKX); any other aggregate counts aggregates (Binance).
            (Some(first), Some(of_trades)) if of_trades == last => Some((first, last)),
            _ => Some((last, last)),
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        if self.trade_id.is_empty() {
            return Err(InvalidField::new("trade_id", &self.trade_id, "is empty"));
        }
        positive("price", self.price)?;
        positive("quantity", self.quantity)?;
        positive_if_told("contracts", self.contracts)?;
        match (self.first_trade_id, self.last_trade_id) {
            (Some(first), Some(last)) if first <= last => Ok(()),
            (None, None) => Ok(()),
            (_, last) => {
                let last = last.map_or_else(|| "absent".to_owned(), |last| last.to_string());
                Err(InvalidField::new("last_trade_id", last, "does not go with first_trade_id"))
            }
        }
    }
}
