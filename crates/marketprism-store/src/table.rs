//! Which table holds a data type. The names are those of the system before this one: people query them.

use marketprism_core::DataType;

/// The table of a data type, the same in both tiers.
#[must_use]
pub const fn table(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Trade => "trades",
        DataType::OrderBook => "orderbooks",
        DataType::FundingRate => "funding_rates",
        DataType::OpenInterest => "open_interests",
        DataType::Liquidation => "liquidations",
        DataType::VolatilityIndex => "volatility_indices",
        DataType::LsrTopPosition => "lsr_top_positions",
        DataType::LsrAllAccount => "lsr_all_accounts",
        DataType::Gap => "gaps",
    }
}
