//! `lsr_top_positions` and `lsr_all_accounts`: the only place where their messages become columns.

use marketprism_core::Decimal;
use marketprism_core::message::{LsrAllAccount, LsrTopPosition};

use super::table_columns;

table_columns! {
    /// The table `lsr_top_positions`.
    LsrTopPositions from LsrTopPosition as message {
        long_short_ratio: i128 = message.long_short_ratio.units(),
        long_position_ratio: Option<i128> = message.long_ratio.map(Decimal::units),
        short_position_ratio: Option<i128> = message.short_ratio.map(Decimal::units),
        period: &str = &message.period,
    }
}

table_columns! {
    /// The table `lsr_all_accounts`.
    LsrAllAccounts from LsrAllAccount as message {
        long_short_ratio: i128 = message.long_short_ratio.units(),
        long_account_ratio: Option<i128> = message.long_ratio.map(Decimal::units),
        short_account_ratio: Option<i128> = message.short_ratio.map(Decimal::units),
        period: &str = &message.period,
    }
}
