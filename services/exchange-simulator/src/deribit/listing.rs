//! What Deribit trades here, and what it says of it in `get_instruments`: inverse contracts sized in USD, linear ones
//! and options sized in base units, a dated future, and the two volatility indices.
//!
//! `{"kind":"future","instrument_name":"BTC-PERPETUAL","instrument_type":"reversed","expiration_timestamp":32503708800000,
//! "is_active":true,"tick_size":0.5,"contract_size":10.0,"min_trade_amount":10.0,"settlement_currency":"BTC",
//! "settlement_period":"perpetual","base_currency":"BTC","counter_currency":"USD","quote_currency":"USD",…}`

use serde::Serialize;

use super::number::Number;
use crate::exchange::Market;
use crate::instrument::{Contract, Expiry, Instrument, MarketType, Sizes};
use crate::units::decimal;

/// Perpetuals end in the year 3000.
const NEVER_MS: i64 = 32_503_708_800_000;
/// 2018-08-13.
const CREATED_MS: i64 = 1_534_167_754_000;
/// 2026-12-25 08:00 UTC.
const DECEMBER_MS: i64 = 1_798_185_600_000;

/// Name, base, quote; price tick, quantity step, both as `(units, decimals)`; contract size (as the step), whether
/// inverse; start price in ticks, usual quantity in steps, weight.
type Row =
    (&'static str, &'static str, &'static str, (i64, u32), (i64, u32), (i64, u32), bool, i64, i64, u64);

const PERPETUALS: &[Row] = &[
    ("BTC-PERPETUAL", "BTC", "USD", (5, 1), (10, 0), (10, 0), true, 166_868, 800, 30),
    ("ETH-PERPETUAL", "ETH", "USD", (5, 2), (1, 0), (1, 0), true, 53_632, 2_000, 20),
    ("BTC_USDC-PERPETUAL", "BTC", "USDC", (1, 1), (1, 4), (1, 4), false, 834_360, 2_000, 12),
    ("ETH_USDC-PERPETUAL", "ETH", "USDC", (5, 2), (1, 3), (1, 3), false, 53_640, 2_500, 8),
];
const FUTURE: Row = ("BTC-25DEC26", "BTC", "USD", (25, 1), (10, 0), (10, 0), true, 33_600, 400, 4);
const CALL: Row = ("BTC-25DEC26-70000-C", "BTC", "USD", (1, 4), (1, 1), (1, 0), false, 1_750, 40, 3);
const PUT: Row = ("BTC-25DEC26-70000-P", "BTC", "USD", (1, 4), (1, 1), (1, 0), false, 140, 60, 3);
/// Names of the volatility indices, and whose they are.
const INDICES: [(&str, &str); 2] = [("btc_usd", "BTC"), ("eth_usd", "ETH")];

/// Every instrument, indices last.
pub(crate) fn instruments() -> Vec<Instrument> {
    let perpetuals = PERPETUALS.iter().map(|row| instrument(row, MarketType::Perpetual, None));
    let dated = [
        (FUTURE, MarketType::Futures, "20261225"),
        (CALL, MarketType::Options, "20261225-70000-C"),
        (PUT, MarketType::Options, "20261225-70000-P"),
    ];
    let dated = dated.iter().map(|(row, market_type, label)| {
        instrument(row, *market_type, Some(Expiry { time_ms: DECEMBER_MS, label }))
    });
    perpetuals.chain(dated).chain(INDICES.iter().map(index)).collect()
}

/// Whether it is a volatility index, which is in no list of instruments.
pub(crate) fn is_index(instrument: &Instrument) -> bool {
    instrument.quote.is_empty()
}

/// `future` or `option`.
pub(crate) fn kind(instrument: &Instrument) -> &'static str {
    if instrument.market_type == MarketType::Options { "option" } else { "future" }
}

/// What it is settled in, which is the exchange's "currency" of the instrument.
pub(crate) fn settlement_currency(instrument: &Instrument) -> &str {
    if is_linear(instrument) { &instrument.quote } else { &instrument.base }
}

/// The name of the index that the price follows: `btc_usd`, `btc_usdc`.
pub(crate) fn price_index(instrument: &Instrument) -> String {
    format!("{}_{}", instrument.base, instrument.quote).to_lowercase()
}

/// What `get_instrument` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Listing<'a> {
    price_index: String,
    kind: &'static str,
    instrument_name: &'a str,
    instrument_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    strike: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    option_type: Option<&'static str>,
    expiration_timestamp: i64,
    creation_timestamp: i64,
    is_active: bool,
    state: &'static str,
    tick_size: Number,
    tick_size_steps: [(); 0],
    contract_size: Number,
    min_trade_amount: Number,
    maker_commission: Number,
    taker_commission: Number,
    settlement_currency: &'a str,
    settlement_period: &'static str,
    base_currency: &'a str,
    counter_currency: &'a str,
    /// What the price is in: for an option the base currency.
    quote_currency: &'a str,
}

impl<'a> Listing<'a> {
    pub(crate) fn of(instrument: &'a Instrument) -> Self {
        let option = instrument.market_type == MarketType::Options;
        let number = |units, decimals| Number::float(&decimal(units, decimals));
        let (strike, option_type) = strike_and_type(instrument).unzip();
        let contract = instrument.contract();
        Self {
            price_index: price_index(instrument),
            kind: kind(instrument),
            instrument_name: &instrument.instrument_id,
            instrument_type: if is_linear(instrument) { "linear" } else { "reversed" },
            strike: strike.map(Number::float),
            option_type,
            expiration_timestamp: instrument.expiry.as_ref().map_or(NEVER_MS, |expiry| expiry.time_ms),
            creation_timestamp: CREATED_MS,
            is_active: true,
            state: "open",
            tick_size: number(instrument.tick_units, instrument.price_decimals),
            tick_size_steps: [],
            contract_size: contract
                .map_or_else(|| number(1, 0), |it| number(it.size_units, it.size_decimals)),
            min_trade_amount: number(instrument.step_units, instrument.quantity_decimals),
            maker_commission: Number::float("0"),
            taker_commission: Number::float("0.0005"),
            settlement_currency: settlement_currency(instrument),
            settlement_period: if instrument.expiry.is_some() { "month" } else { "perpetual" },
            base_currency: &instrument.base,
            counter_currency: &instrument.quote,
            quote_currency: if option { &instrument.base } else { &instrument.quote },
        }
    }
}

/// `70000` and `call` of the canonical ending `20261225-70000-C`.
fn strike_and_type(instrument: &Instrument) -> Option<(&'static str, &'static str)> {
    let (_, option) = instrument.expiry.as_ref()?.label.split_once('-')?;
    let (strike, letter) = option.split_once('-')?;
    Some((strike, if letter == "C" { "call" } else { "put" }))
}

fn is_linear(instrument: &Instrument) -> bool {
    instrument.quote != "USD"
}

fn instrument(row: &Row, market_type: MarketType, expiry: Option<Expiry>) -> Instrument {
    let &(name, base, quote, tick, step, contract, inverse, start_ticks, usual_steps, weight) = row;
    let contract = Contract { size_units: contract.0, size_decimals: contract.1, inverse };
    Instrument {
        market: Market::Deribit,
        market_type,
        instrument_id: name.to_owned(),
        base: base.to_owned(),
        quote: quote.to_owned(),
        expiry,
        sizes: Sizes::Amount(contract),
        tick_units: tick.0,
        price_decimals: tick.1,
        step_units: step.0,
        quantity_decimals: step.1,
        start_ticks,
        usual_steps,
        weight,
    }
}

fn index((name, base): &(&'static str, &'static str)) -> Instrument {
    let row = (*name, *base, "", (1, 2), (1, 0), (1, 0), false, 4_200, 1, 0);
    Instrument { sizes: Sizes::Base, ..instrument(&row, MarketType::Options, None) }
}

#[cfg(test)]
mod tests {
    use super::{Listing, instruments};
    use serde_json::{Value, json};

    fn listing(name: &str) -> (String, Value) {
        let instruments = instruments();
        let instrument = instruments.iter().find(|one| one.instrument_id == name).unwrap();
        let text = serde_json::to_string(&Listing::of(instrument)).unwrap();
        (instrument.symbol(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn each_kind_says_what_its_quantities_are() {
        for (name, symbol, expected) in [
            ("BTC-PERPETUAL", "BTC-USD", json!(["future", "reversed", "perpetual", "BTC", "USD", 10.0, 0.5])),
            (
                "BTC_USDC-PERPETUAL",
                "BTC-USDC",
                json!(["future", "linear", "perpetual", "USDC", "USDC", 0.0001, 0.1]),
            ),
            (
                "BTC-25DEC26",
                "BTC-USD-20261225",
                json!(["future", "reversed", "month", "BTC", "USD", 10.0, 2.5]),
            ),
            (
                "BTC-25DEC26-70000-P",
                "BTC-USD-20261225-70000-P",
                json!(["option", "reversed", "month", "BTC", "BTC", 1.0, 0.0001]),
            ),
        ] {
            let (its_symbol, row) = listing(name);
            assert_eq!(its_symbol, symbol);
            let fields = [
                "kind",
                "instrument_type",
                "settlement_period",
                "settlement_currency",
                "quote_currency",
                "contract_size",
                "tick_size",
            ];
            assert_eq!(
                fields.map(|field| row[field].clone()).to_vec(),
                *expected.as_array().unwrap(),
                "{name}"
            );
        }
        let (_, put) = listing("BTC-25DEC26-70000-P");
        assert_eq!((&put["strike"], &put["option_type"]), (&json!(7.0e4), &json!("put")));
        assert_eq!(put["expiration_timestamp"], 1_798_185_600_000_i64);
    }
}
