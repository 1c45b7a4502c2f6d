//! `volatility_index`: an index such as Deribit's DVOL.

use super::fields::{InvalidField, message, positive, positive_if_told};
use crate::decimal::Decimal;

message! {
    /// A volatility index in volatility points; with open, high and low where it is a bar.
    VolatilityIndex is VolatilityIndex {
        /// The index, or the close of the bar.
        index_value: Decimal,
        /// First value of the bar.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open: Option<Decimal>,
        /// Highest value of the bar.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        high: Option<Decimal>,
        /// Lowest value of the bar.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        low: Option<Decimal>,
        /// Width of the bar in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolution_seconds: Option<u32>,
    }
}

impl VolatilityIndex<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        positive("index_value", self.index_value)?;
        positive_if_told("open", self.open)?;
        positive_if_told("high", self.high)?;
        positive_if_told("low", self.low)
    }
}
