//! `open_interest`: contracts open at one time.

use super::fields::{InvalidField, message, not_negative_if_told};
use crate::decimal::Decimal;

message! {
    /// Open interest in the units the exchange tells; at least one of the three is present.
    OpenInterest is OpenInterest {
        /// In contracts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_interest: Option<Decimal>,
        /// In base units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_interest_base: Option<Decimal>,
        /// In quote units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_interest_value: Option<Decimal>,
    }
}

impl OpenInterest<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        not_negative_if_told("open_interest", self.open_interest)?;
        not_negative_if_told("open_interest_base", self.open_interest_base)?;
        not_negative_if_told("open_interest_value", self.open_interest_value)?;
        if self.open_interest.or(self.open_interest_base).or(self.open_interest_value).is_none() {
            return Err(InvalidField::new("open_interest", "absent", "and so are its other units"));
        }
        Ok(())
    }
}
