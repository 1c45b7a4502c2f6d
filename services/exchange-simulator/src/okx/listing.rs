//! What OKX lists here: sixteen spot pairs, as many linear swaps, one inverse swap and one dated contract.

use crate::exchange::Market;
use crate::instrument::{Contract, Expiry, Instrument, MarketType, Sizes};

/// Base, tick and quantity step (both as `(units, decimals)`), start price in ticks, usual quantity in steps, weight.
type Row = (&'static str, (i64, u32), (i64, u32), i64, i64, u64);

const SPOT: &[Row] = &[
    ("BTC", (1, 1), (1, 8), 766_400, 4_000_000, 30),
    ("ETH", (1, 2), (1, 6), 268_100, 400_000, 20),
    ("SOL", (1, 2), (1, 6), 15_010, 3_000_000, 12),
    ("XRP", (1, 4), (1, 6), 6_010, 900_000_000, 8),
    ("DOGE", (1, 5), (1, 6), 12_010, 900_000_000, 6),
    ("PEPE", (1, 9), (1, 0), 11_800, 9_000_000, 6),
    ("BNB", (1, 1), (1, 6), 5_801, 900_000, 5),
    ("ADA", (1, 4), (1, 6), 4_510, 900_000_000, 5),
    ("LINK", (1, 3), (1, 6), 14_010, 40_000_000, 4),
    ("AVAX", (1, 2), (1, 6), 2_810, 20_000_000, 4),
    ("LTC", (1, 2), (1, 6), 7_210, 2_000_000, 3),
    ("SUI", (1, 4), (1, 6), 18_010, 3_000_000, 3),
    ("TRX", (1, 5), (1, 6), 29_010, 90_000_000, 3),
    ("DOT", (1, 3), (1, 6), 5_210, 60_000_000, 2),
    ("NEAR", (1, 3), (1, 6), 4_110, 20_000_000, 2),
    ("UNI", (1, 3), (1, 6), 8_310, 4_000_000, 2),
];

/// A linear swap's row and its contract size in base units, as `(units, decimals)`.
const SWAPS: &[(Row, (i64, u32))] = &[
    (("BTC", (1, 1), (1, 2), 834_410, 900, 30), (1, 2)),
    (("ETH", (1, 2), (1, 2), 268_210, 900, 20), (1, 1)),
    (("SOL", (1, 2), (1, 2), 15_020, 900, 12), (1, 0)),
    (("XRP", (1, 4), (1, 2), 6_020, 900, 8), (100, 0)),
    (("DOGE", (1, 5), (1, 2), 12_020, 400, 6), (1_000, 0)),
    (("PEPE", (1, 9), (1, 1), 11_810, 900, 6), (10_000_000, 0)),
    (("BNB", (1, 1), (1, 0), 5_802, 900, 5), (1, 2)),
    (("ADA", (1, 4), (1, 1), 4_520, 900, 5), (100, 0)),
    (("LINK", (1, 3), (1, 1), 14_020, 900, 4), (1, 0)),
    (("AVAX", (1, 2), (1, 1), 2_820, 900, 4), (1, 0)),
    (("LTC", (1, 2), (1, 1), 7_220, 900, 3), (1, 0)),
    (("SUI", (1, 4), (1, 0), 18_020, 900, 3), (1, 0)),
    (("TRX", (1, 5), (1, 2), 29_020, 90, 3), (1_000, 0)),
    (("DOT", (1, 3), (1, 1), 5_220, 900, 2), (1, 0)),
    (("NEAR", (1, 3), (1, 1), 4_120, 90, 2), (10, 0)),
    (("UNI", (1, 3), (1, 0), 8_320, 900, 2), (1, 0)),
];

/// 100 USD a contract.
const INVERSE: Row = ("BTC", (1, 1), (1, 0), 834_300, 60, 4);
/// 0.01 BTC a contract, delivered on 2026-12-25 08:00 UTC.
const DATED: Row = ("BTC", (1, 1), (1, 2), 839_700, 300, 2);
const DATED_EXPIRY: Expiry = Expiry { time_ms: 1_798_185_600_000, label: "20261225" };

/// Every instrument of `market`, the most traded first and what is no plain pair last.
pub(crate) fn instruments(market: Market) -> Vec<Instrument> {
    if market == Market::OkxSpot {
        return SPOT.iter().map(|row| instrument(market, row, "USDT")).collect();
    }
    let linear = |size_units, size_decimals| Contract { size_units, size_decimals, inverse: false };
    let swap = |row: &Row, quote: &str, contract| {
        let pair = instrument(market, row, quote);
        let instrument_id = format!("{}-SWAP", pair.instrument_id);
        Instrument { instrument_id, sizes: Sizes::Contracts(contract), ..pair }
    };
    let dated = Instrument {
        market_type: MarketType::Futures,
        instrument_id: "BTC-USDT-261225".to_owned(),
        expiry: Some(DATED_EXPIRY),
        ..swap(&DATED, "USDT", linear(1, 2))
    };
    let inverse = swap(&INVERSE, "USD", Contract { size_units: 100, size_decimals: 0, inverse: true });
    let swaps = SWAPS.iter().map(|(row, (units, decimals))| swap(row, "USDT", linear(*units, *decimals)));
    swaps.chain([inverse, dated]).collect()
}

fn instrument(market: Market, row: &Row, quote: &str) -> Instrument {
    let &(
        base,
        (tick_units, price_decimals),
        (step_units, quantity_decimals),
        start_ticks,
        usual_steps,
        weight,
    ) = row;
    Instrument {
        market,
        market_type: if market == Market::OkxSpot { MarketType::Spot } else { MarketType::Perpetual },
        instrument_id: format!("{base}-{quote}"),
        base: base.to_owned(),
        quote: quote.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::instruments;
    use crate::exchange::Market;

    #[test]
    fn names_and_symbols_are_those_of_the_exchange() {
        let derivatives = instruments(Market::OkxSwap);
        let named = |id: &str| derivatives.iter().find(|one| one.instrument_id == id).unwrap().symbol();
        assert_eq!(named("BTC-USDT-SWAP"), "BTC-USDT");
        assert_eq!(named("BTC-USD-SWAP"), "BTC-USD");
        assert_eq!(named("BTC-USDT-261225"), "BTC-USDT-20261225");
        assert_eq!(instruments(Market::OkxSpot)[0].instrument_id, "BTC-USDT");
    }
}
