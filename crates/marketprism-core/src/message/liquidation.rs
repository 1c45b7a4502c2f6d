//! `liquidation`: a forced order.

use std::borrow::Cow;

use super::fields::{InvalidField, message, positive, positive_if_told};
use crate::data_type::TakerSide;
use crate::decimal::Decimal;

message! {
    /// A forced order; `side` is the order's own side, so `sell` means that a long position was closed.
    Liquidation is Liquidation {
        /// Side of the forced order.
        side: TakerSide,
        /// Price of the order (the bankruptcy price on some exchanges), in quote units.
        price: Decimal,
        /// Average price of the fills, in quote units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        average_price: Option<Decimal>,
        /// Quantity liquidated, in base units.
        quantity: Decimal,
        /// Quantity in contracts, where the exchange trades contracts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contracts: Option<Decimal>,
        /// The order's state in the exchange's own word, lower case.
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        status: Option<Cow<'a, str>>,
    }
}

impl Liquidation<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        positive("price", self.price)?;
        positive("quantity", self.quantity)?;
        positive_if_told("average_price", self.average_price)?;
        positive_if_told("contracts", self.contracts)
    }
}
