//! What Binance lists: sixteen pairs of each market, all quoted in USDT, and one dated contract.

use super::product::Product;
use crate::instrument::{Expiry, Instrument, MarketType, Sizes};

/// Name, price tick, quantity step (both as `(units, decimals)`), start price in ticks, usual quantity in
/// steps, weight.
pub(crate) type Row<'a> = (&'a str, (i64, u32), (i64, u32), i64, i64, u64);

/// Spot writes 8 decimals whatever the tick.
const SPOT: &[Row<'_>] = &[
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
const PERPETUAL: &[Row<'_>] = &[
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

/// Delivers on 2026-12-25 08:00 UTC.
const DATED: (Row<'_>, &str, Expiry) = (
    ("BTC", (10, 2), (1, 3), 838_900, 40, 1),
    "BTCUSDT_261225",
    Expiry { time_ms: 1_798_185_600_000, label: "20261225" },
);

/// Every instrument of `product`, the most traded first and what is dated last.
pub(crate) fn instruments(product: Product) -> Vec<Instrument> {
    match product {
        Product::Spot => SPOT.iter().map(|row| pair(product, row)).collect(),
        Product::Usdm => {
            let (row, instrument_id, expiry) = DATED;
            let dated = Instrument {
                market_type: MarketType::Futures,
                instrument_id: instrument_id.to_owned(),
                expiry: Some(expiry),
                ..pair(product, &row)
            };
            PERPETUAL.iter().map(|row| pair(product, row)).chain([dated]).collect()
        }
    }
}

/// A pair of `product` by its row.
pub(crate) fn pair(product: Product, row: &Row<'_>) -> Instrument {
    let &(
        base,
        (tick_units, price_decimals),
        (step_units, quantity_decimals),
        start_ticks,
        usual_steps,
        weight,
    ) = row;
    Instrument {
        market: product.market(),
        market_type: product.market_type(),
        instrument_id: format!("{base}USDT"),
        base: base.to_owned(),
        quote: "USDT".to_owned(),
        expiry: None,
        sizes: Sizes::Base,
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
    use super::{instruments, split_by_known_quote};
    use crate::binance::product::Product;

    #[test]
    fn lists_are_full_and_have_the_awkward_names() {
        let usdm = instruments(Product::Usdm);
        assert_eq!((usdm.len(), instruments(Product::Spot).len()), (17, 16));
        assert!(usdm.iter().any(|one| one.instrument_id == "币安人生USDT"));
        assert!(usdm.iter().any(|one| one.symbol() == "1000PEPE-USDT"));
        assert_eq!(usdm.last().unwrap().symbol(), "BTC-USDT-20261225");
    }

    #[test]
    fn names_split_at_the_longest_quote() {
        assert_eq!(split_by_known_quote("BTCFDUSD"), ("BTC", "FDUSD"));
        assert_eq!(split_by_known_quote("BLZETH"), ("BLZ", "ETH"));
        assert_eq!(split_by_known_quote("USDT"), ("USDT", ""));
        assert_eq!(split_by_known_quote("ODD"), ("ODD", ""));
    }
}
