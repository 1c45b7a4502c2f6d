//! `gap`: what is missing, as a stored fact.

use std::borrow::Cow;

use super::fields::{InvalidField, message};
use crate::data_type::{DataType, GapReason};
use crate::time::Timestamp;

message! {
    /// Messages of one stream that are not stored, by sequence, by time, or both; bounds are inclusive.
    ///
    /// `ts_event_us` is when the gap was noticed.
    Gap is Gap {
        /// The data type of what is missing.
        missing_data_type: DataType,
        /// First missing sequence or id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_sequence: Option<u64>,
        /// Last missing sequence or id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to_sequence: Option<u64>,
        /// Nothing is missing before this time, µs since 1970 UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_time_us: Option<Timestamp>,
        /// Nothing is missing after this time, µs since 1970 UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to_time_us: Option<Timestamp>,
        /// Why.
        reason: GapReason,
        /// How many of the missing were recovered and published as `backfill`.
        filled: u64,
        /// More about it, for people.
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        detail: Option<Cow<'a, str>>,
    }
}

impl Gap<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        if let (Some(from), Some(to)) = (self.from_sequence, self.to_sequence)
            && from > to
        {
            return Err(InvalidField::new("from_sequence", from, "is above to_sequence"));
        }
        if let (Some(from), Some(to)) = (self.from_time_us, self.to_time_us)
            && from > to
        {
            return Err(InvalidField::new("from_time_us", from.as_micros(), "is after to_time_us"));
        }
        if self.from_sequence.is_none() && self.from_time_us.is_none() {
            return Err(InvalidField::new("from_sequence", "absent", "and so is from_time_us"));
        }
        Ok(())
    }
}
