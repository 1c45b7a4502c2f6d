//! `open_interests`: the only place where a `open_interest` message becomes columns.

use marketprism_core::Decimal;
use marketprism_core::message::OpenInterest;

use super::table_columns;

table_columns! {
    /// The table `open_interests`.
    OpenInterests from OpenInterest as message {
        open_interest: Option<i128> = message.open_interest.map(Decimal::units),
        open_interest_base: Option<i128> = message.open_interest_base.map(Decimal::units),
        open_interest_value: Option<i128> = message.open_interest_value.map(Decimal::units),
    }
}
