//! `lsr_top_positions` and `lsr_all_accounts`: the only place where their messages become columns.

use marketprism_core::Decimal;
use marketprism_core::message::{LsrAllAccount, LsrTopPosition};

use super::table_row;

table_row! {
    /// A row of `lsr_top_positions`.
    LsrTopPositionRow from LsrTopPosition as message {
        long_short_ratio: i128 = message.long_short_ratio.units(),
        long_position_ratio: Option<i128> = message.long_ratio.map(Decimal::units),
        short_position_ratio: Option<i128> = message.short_ratio.map(Decimal::units),
        period: &'a str = &message.period,
    }
}

table_row! {
    /// A row of `lsr_all_accounts`.
    LsrAllAccountRow from LsrAllAccount as message {
        long_short_ratio: i128 = message.long_short_ratio.units(),
        long_account_ratio: Option<i128> = message.long_ratio.map(Decimal::units),
        short_account_ratio: Option<i128> = message.short_ratio.map(Decimal::units),
        period: &'a str = &message.period,
    }
}
