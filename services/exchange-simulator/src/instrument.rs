//! What is traded here: market types, instruments, and the built-in list of realistic ones.
//! Prices are whole ticks and quantities whole steps; only `units.rs` makes text of them.

use serde::{Deserialize, Serialize};

/// The only exchange spoken so far.
pub(crate) const EXCHANGE: &str = "binance";

/// Which of the exchange's markets, in the words of the pipeline's subjects.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum MarketType {
    /// Binance spot.
    Spot,
    /// Binance USDⓈ-M perpetuals.
    Perpetual,
}

impl MarketType {
    /// The name in subjects, the ledger and control requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Perpetual => "perpetual",
        }
    }
}

/// One tradable instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Its market.
    pub market_type: MarketType,
    /// The exchange's own name, upper case: `BTCUSDT`.
    pub instrument_id: String,
    /// Base asset: `BTC`.
    pub base: String,
    /// Quote asset: `USDT`.
    pub quote: String,
    /// The tick, in units of 10^-`price_decimals`.
    pub tick_units: i64,
    /// Digits after the point of a price on the wire.
    pub price_decimals: u32,
    /// The quantity step, in units of 10^-`quantity_decimals`.
    pub step_units: i64,
    /// Digits after the point of a quantity on the wire.
    pub quantity_decimals: u32,
    /// Where the walk starts, in ticks.
    pub start_ticks: i64,
    /// A usual quantity, in steps.
    pub usual_steps: i64,
    /// How often it is picked, relative to the others.
    pub weight: u64,
}

impl Instrument {
    /// The canonical symbol: `BTC-USDT`.
    #[must_use]
    pub fn symbol(&self) -> String {
        format!("{}-{}", self.base, self.quote)
    }

    /// A price in wire units, from ticks.
    pub(crate) fn price_units(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(self.tick_units)
    }

    /// A quantity in wire units, from steps.
    pub(crate) fn quantity_units(&self, steps: i64) -> i64 {
        steps.saturating_mul(self.step_units)
    }
}

/// Name, price tick, quantity step (both as `(units, decimals)`), start price in ticks, usual quantity in
/// steps, weight.
type Row = (&'static str, (i64, u32), (i64, u32), i64, i64, u64);

/// Spot writes 8 decimals whatever the tick.
const SPOT: &[Row] = &[
    ("BTC", (1_000_000, 8), (1_000, 8), 7_665_000, 4_000, 30),
    ("ETH", (1_000_000, 8), (10_000, 8), 268_000, 4_000, 20),
    ("PEPE", (1, 8), (100_000_000, 8), 1_180, 9_000_000, 8),
    ("SOL", (1_000_000, 8), (100_000, 8), 15_000, 3_000, 12),
    ("XRP", (10_000, 8), (10_000_000, 8), 6_000, 5_000, 8),
    ("DOGE", (1_000, 8), (100_000_000, 8), 12_000, 4_000, 6),
    ("BNB", (1_000_000, 8), (100_000, 8), 58_000, 900, 6),
    ("ADA", (10_000, 8), (10_000_000, 8), 4_500, 9_000, 5),
    ("LINK", (1_000_000, 8), (1_000_000, 8), 1_400, 4_000, 5),
    ("AVAX", (1_000_000, 8), (1_000_000, 8), 2_800, 2_000, 4),
    ("LTC", (1_000_000, 8), (100_000, 8), 7_200, 2_000, 4),
    ("SUI", (10_000, 8), (10_000_000, 8), 18_000, 3_000, 3),
    ("TRX", (10_000, 8), (10_000_000, 8), 2_900, 9_000, 3),
    ("DOT", (100_000, 8), (1_000_000, 8), 5_200, 6_000, 3),
    ("NEAR", (100_000, 8), (10_000_000, 8), 4_100, 2_000, 2),
    ("UNI", (100_000, 8), (1_000_000, 8), 8_300, 4_000, 2),
];

/// USDⓈ-M writes as many decimals as `pricePrecision` says, which is not the tick (BTCUSDT: 2, tick 0.10).
const PERPETUAL: &[Row] = &[
    ("BTC", (10, 2), (1, 3), 834_344, 90, 30),
    ("ETH", (1, 2), (1, 3), 268_160, 900, 20),
    ("1000PEPE", (1, 7), (1, 0), 118_000, 9_000, 8),
    ("币安人生", (1, 5), (1, 0), 21_500, 700, 6),
    ("SOL", (1, 2), (1, 2), 15_000, 400, 12),
    ("XRP", (1, 4), (1, 1), 6_000, 5_000, 8),
    ("DOGE", (1, 5), (1, 0), 12_000, 4_000, 6),
    ("BNB", (1, 2), (1, 2), 58_000, 90, 6),
    ("ADA", (1, 4), (1, 0), 4_500, 900, 5),
    ("LINK", (1, 3), (1, 2), 14_000, 4_000, 5),
    ("AVAX", (1, 3), (1, 0), 28_000, 30, 4),
    ("LTC", (1, 2), (1, 3), 7_200, 2_000, 4),
    ("SUI", (1, 4), (1, 1), 18_000, 3_000, 3),
    ("1000SHIB", (1, 6), (1, 0), 10_200, 90_000, 3),
    ("TRX", (1, 5), (1, 0), 29_000, 900, 3),
    ("DOT", (1, 3), (1, 1), 5_200, 600, 2),
];

/// How many instruments each market's built-in list has.
pub(crate) const BUILT_IN_PER_MARKET: usize = 16;

/// The first `count` instruments of `market_type`'s built-in list, all quoted in USDT.
#[must_use]
pub fn built_in(market_type: MarketType, count: usize) -> Vec<Instrument> {
    let rows = match market_type {
        MarketType::Spot => SPOT,
        MarketType::Perpetual => PERPETUAL,
    };
    rows.iter().take(count).map(|row| instrument(market_type, row)).collect()
}

fn instrument(market_type: MarketType, row: &Row) -> Instrument {
    let &(
        base,
        (tick_units, price_decimals),
        (step_units, quantity_decimals),
        start_ticks,
        usual_steps,
        weight,
    ) = row;
    Instrument {
        market_type,
        instrument_id: format!("{base}USDT"),
        base: base.to_owned(),
        quote: "USDT".to_owned(),
        tick_units,
        price_decimals,
        step_units,
        quantity_decimals,
        start_ticks,
        usual_steps,
        weight,
    }
}

/// Quote assets a captured name can end in, longest first so that `BTCFDUSD` is not `BTCFD-USD`.
const KNOWN_QUOTES: &[&str] =
    &["FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "GBP", "USD"];

/// Splits an instrument id by the known quote assets; an unknown quote leaves the whole name as the base.
pub(crate) fn split_by_known_quote(instrument_id: &str) -> (&str, &str) {
    KNOWN_QUOTES
        .iter()
        .find_map(|quote| {
            let base = instrument_id.strip_suffix(quote)?;
            (!base.is_empty()).then_some((base, *quote))
        })
        .unwrap_or((instrument_id, ""))
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN_PER_MARKET, MarketType, built_in, split_by_known_quote};

    #[test]
    fn lists_are_full_and_have_the_awkward_names() {
        let perpetual = built_in(MarketType::Perpetual, usize::MAX);
        assert_eq!(perpetual.len(), BUILT_IN_PER_MARKET);
        assert_eq!(built_in(MarketType::Spot, usize::MAX).len(), BUILT_IN_PER_MARKET);
        assert!(perpetual.iter().any(|i| i.instrument_id == "币安人生USDT"));
        assert!(perpetual.iter().any(|i| i.symbol() == "1000PEPE-USDT"));
    }

    #[test]
    fn names_split_at_the_longest_quote() {
        assert_eq!(split_by_known_quote("BTCFDUSD"), ("BTC", "FDUSD"));
        assert_eq!(split_by_known_quote("BLZETH"), ("BLZ", "ETH"));
        assert_eq!(split_by_known_quote("USDT"), ("USDT", ""));
        assert_eq!(split_by_known_quote("ODD"), ("ODD", ""));
    }
}
