//! `funding_rates`: the only place where a `funding_rate` message becomes columns.

use marketprism_core::message::FundingRate;
use marketprism_core::{Decimal, Timestamp};

use super::table_columns;

table_columns! {
    /// The table `funding_rates`.
    FundingRates from FundingRate as message {
        funding_rate: i128 = message.funding_rate.units(),
        funding_time: Option<i64> = message.funding_time_us.map(Timestamp::as_micros),
        next_funding_time: Option<i64> = message.next_funding_time_us.map(Timestamp::as_micros),
        mark_price: Option<i128> = message.mark_price.map(Decimal::units),
        index_price: Option<i128> = message.index_price.map(Decimal::units),
        interval_hours: Option<u32> = message.interval_hours,
    }
}
