//! `volatility_indices`: the only place where a `volatility_index` message becomes columns.

use marketprism_core::Decimal;
use marketprism_core::message::VolatilityIndex;

use super::table_columns;

table_columns! {
    /// The table `volatility_indices`.
    VolatilityIndices from VolatilityIndex as message {
        index_value: i128 = message.index_value.units(),
        open: Option<i128> = message.open.map(Decimal::units),
        high: Option<i128> = message.high.map(Decimal::units),
        low: Option<i128> = message.low.map(Decimal::units),
        resolution_seconds: Option<u32> = message.resolution_seconds,
    }
}
