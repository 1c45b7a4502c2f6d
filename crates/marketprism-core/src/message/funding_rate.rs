//! `funding_rate`: funding of a perpetual contract.

use super::fields::{InvalidField, message, positive_if_told};
use crate::decimal::Decimal;
use crate::time::Timestamp;

message! {
    /// The funding rate that applies at the next funding time, as a fraction per interval (0.0001 is 0.01 %).
    FundingRate is FundingRate {
        /// Fraction per interval; may be negative.
        funding_rate: Decimal,
        /// When funding was last exchanged, µs since 1970 UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_time_us: Option<Timestamp>,
        /// When it is exchanged next, µs since 1970 UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_funding_time_us: Option<Timestamp>,
        /// Mark price in quote units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark_price: Option<Decimal>,
        /// Index price in quote units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index_price: Option<Decimal>,
        /// Hours between two fundings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval_hours: Option<u32>,
    }
}

impl FundingRate<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        positive_if_told("mark_price", self.mark_price)?;
        positive_if_told("index_price", self.index_price)?;
        match self.interval_hours {
            Some(0) => Err(InvalidField::new("interval_hours", 0, "is not above zero")),
            _ => Ok(()),
        }
    }
}
