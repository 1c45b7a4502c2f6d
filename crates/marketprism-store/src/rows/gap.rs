//! `gaps`: the only place where a `gap` message becomes columns.

use marketprism_core::Timestamp;
use marketprism_core::message::Gap;

use super::table_columns;

table_columns! {
    /// The table `gaps`.
    Gaps from Gap as message {
        missing_data_type: &str = message.missing_data_type.as_str(),
        from_sequence: Option<u64> = message.from_sequence,
        to_sequence: Option<u64> = message.to_sequence,
        from_time: Option<i64> = message.from_time_us.map(Timestamp::as_micros),
        to_time: Option<i64> = message.to_time_us.map(Timestamp::as_micros),
        reason: &str = message.reason.as_str(),
        filled: u64 = message.filled,
        detail: Option<&str> = message.detail.as_deref(),
    }
}
