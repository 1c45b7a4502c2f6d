//! Funding, open interest, liquidations.

use marketprism_core::message::{FundingRate, Liquidation, OpenInterest};
use marketprism_core::{DataType, GapReason, MarketType, TakerSide};
use marketprism_exchanges::registry;
use serde_json::{Value, json};

use super::{acknowledge, at, inverse, linear, session};
use crate::driver::{Driver, START};

const TYPES: &[DataType] = &[DataType::FundingRate, DataType::OpenInterest, DataType::Liquidation];

fn contracts() -> Driver {
    let mut driver = session("okx_swap", vec![linear(), inverse()], TYPES);
    driver.opened();
    driver
}

fn push(channel: &str, instrument_id: &str, row: &Value) -> String {
    json!({"arg": {"channel": channel, "instId": instrument_id}, "data": [row]}).to_string()
}

fn funding(millis: i64) -> Value {
    let hours = |hours: i64| (START / 1_000 + hours * 3_600_000).to_string();
    json!({
        "formulaType": "withRate", "fundingRate": "-0.0000412345678901", "fundingTime": hours(2), "impactValue": "20000",
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "method": "current_period", "nextFundingRate": "",
        "nextFundingTime": hours(6), "premium": "", "prevFundingTime": hours(-2), "settFundingRate": "0.0001",
        "settState": "settled", "ts": (START / 1_000 + millis).to_string()
    })
}

#[test]
fn a_funding_rate_applies_at_the_settlement_to_come() {
    let mut driver = contracts();
    driver.frame(&push("funding-rate", "BTC-USDT-SWAP", &funding(0))).unwrap();
    driver.frame(&push("funding-rate", "BTC-USDT-SWAP", &funding(0))).unwrap();
    driver.frame(&push("funding-rate", "BTC-USDT-SWAP", &funding(60_000))).unwrap();
    let rates: Vec<FundingRate<'_>> = driver.recorded.of(DataType::FundingRate);
    assert_eq!(rates.len(), 2, "what another socket brought is one");
    let rate = &rates[0];
    assert_eq!(rate.funding_rate.to_string(), "-0.0000412345678901");
    assert_eq!(rate.funding_time_us, Some(at(2 * 3_600_000)));
    assert_eq!(rate.next_funding_time_us, Some(at(6 * 3_600_000)));
    assert_eq!((rate.interval_hours, rate.mark_price, rate.index_price), (Some(4), None, None));
    assert_eq!((rate.ts_event_us, &*rate.symbol), (at(0), "BTC-USDT"));
}

#[test]
fn open_interest_has_three_units() {
    let mut driver = contracts();
    let row = |millis: i64| {
        json!({
            "instId": "BTC-USD-SWAP", "instType": "SWAP", "oi": "512345.00000000417", "oiCcy": "615.1200000000123",
            "oiUsd": "51234500.12345678901234", "ts": (START / 1_000 + millis).to_string()
        })
    };
    driver.frame(&push("open-interest", "BTC-USD-SWAP", &row(3_000))).unwrap();
    driver.frame(&push("open-interest", "BTC-USD-SWAP", &row(0))).unwrap();
    let mut partial = row(6_000);
    partial.as_object_mut().unwrap().remove("oiUsd");
    driver.frame(&push("open-interest", "BTC-USD-SWAP", &partial)).unwrap();
    let interests: Vec<OpenInterest<'_>> = driver.recorded.of(DataType::OpenInterest);
    assert_eq!(interests.len(), 2, "an older one is another socket's");
    let texts = |at: usize| {
        let OpenInterest { open_interest, open_interest_base, open_interest_value, .. } = &interests[at];
        [open_interest, open_interest_base, open_interest_value]
            .map(|value| value.map_or_else(String::new, |value| value.to_string()))
    };
    assert_eq!(texts(0), ["512345.00000000417", "615.1200000000123", "51234500.12345678901234"]);
    assert_eq!(texts(1)[2], "");
}

fn detail(price: &str, size: &str, side: &str, millis: i64) -> Value {
    json!({
        "bkLoss": "0", "bkPx": price, "ccy": "", "posSide": "", "side": side, "sz": size,
        "ts": (START / 1_000 + millis).to_string()
    })
}

fn liquidations(rows: &[(&str, &[Value])]) -> String {
    let row = |(id, details): &(&str, &[Value])| json!({"details": details, "instFamily": "", "instId": id, "instType": "SWAP", "uly": ""});
    let rows: Vec<Value> = rows.iter().map(row).collect();
    json!({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": rows}).to_string()
}

#[test]
fn liquidations_of_wanted_instruments_are_taken_each_once() {
    let mut driver = contracts();
    let frame = liquidations(&[
        ("XDP-USDT-SWAP", &[detail("0.02", "42", "buy", 0)]),
        ("BTC-USDT-SWAP", &[detail("80000", "250", "sell", 1_000), detail("80010", "3", "buy", 0)]),
        ("BTC-USD-SWAP", &[detail("80000", "8", "buy", 0)]),
    ]);
    driver.frame(&frame).unwrap();
    driver.frame(&frame).unwrap();
    let orders: Vec<Liquidation<'_>> = driver.recorded.of(DataType::Liquidation);
    let told: Vec<_> = orders
        .iter()
        .map(|order| {
            (&*order.instrument_id, order.side, order.quantity.to_string(), order.contracts.unwrap())
        })
        .collect();
    let decimal = |text: &str| text.parse().unwrap();
    assert_eq!(
        told,
        [
            ("BTC-USDT-SWAP", TakerSide::Sell, "2.50".to_owned(), decimal("250")),
            ("BTC-USDT-SWAP", TakerSide::Buy, "0.03".to_owned(), decimal("3")),
            // 800 dollars at 80000.
            ("BTC-USD-SWAP", TakerSide::Buy, "0.01".to_owned(), decimal("8")),
        ]
    );
    assert_eq!((orders[0].price, orders[0].average_price), (decimal("80000"), None));
    assert_eq!(driver.recorded.notes_of("Duplicate"), 3);
}

#[test]
fn one_bad_detail_costs_only_itself() {
    let mut driver = contracts();
    let details =
        [detail("80000", "1", "sell", 0), detail("0", "1", "sell", 1), detail("80000", "2", "sell", 2)];
    let rejected = driver.frame(&liquidations(&[("BTC-USDT-SWAP", &details)])).unwrap_err();
    assert!(rejected.reason == "invalid_field" && rejected.detail.contains("price"), "{rejected}");
    assert_eq!(driver.recorded.of::<Liquidation<'_>>(DataType::Liquidation).len(), 2);
    driver.pass(100);
    assert_eq!(undecodable(&driver), [("BTC-USDT".to_owned(), DataType::Liquidation)]);
}

/// Symbols and data types of what is declared as such.
fn undecodable(driver: &Driver) -> Vec<(String, DataType)> {
    let gaps = driver.recorded.gaps();
    let gaps = gaps.iter().filter(|gap| gap.reason == GapReason::Undecodable);
    gaps.map(|gap| (gap.symbol.to_string(), gap.missing_data_type)).collect()
}

#[test]
fn a_push_that_cannot_be_read_is_declared() {
    let mut driver = contracts();
    driver.frame(&push("funding-rate", "BTC-USDT-SWAP", &json!({ "fundingRate": 7 }))).unwrap_err();
    driver.frame(&push("open-interest", "BTC-USDT-SWAP", &json!({ "oi": [] }))).unwrap_err();
    driver.pass(100);
    let of_btc = |data_type| ("BTC-USDT".to_owned(), data_type);
    assert_eq!(undecodable(&driver), [of_btc(DataType::FundingRate), of_btc(DataType::OpenInterest)]);

    let mut driver = contracts();
    driver.frame(&liquidations(&[]).replace("[]", "[{\"instId\":null}]")).unwrap_err();
    driver.pass(100);
    assert_eq!(undecodable(&driver).len(), 2, "of whom it was is unknown");
}

#[test]
fn liquidations_of_a_type_are_one_stream_and_futures_have_no_funding() {
    let mut dated = linear();
    dated.market_type = MarketType::Futures;
    dated.symbol = "BTC-USDT-20261225".to_owned();
    dated.instrument_id = "BTC-USDT-261225".to_owned();
    let offers = registry::find("okx_swap").unwrap().offers;
    assert!(!offers(&dated, DataType::FundingRate) && offers(&dated, DataType::OpenInterest));
    let mut driver = session("okx_swap", vec![linear(), inverse(), dated], TYPES);
    driver.opened();
    let args: Vec<String> = acknowledge(&mut driver)[0].1.iter().map(ToString::to_string).collect();
    let expected = [
        json!({"channel": "funding-rate", "instId": "BTC-USD-SWAP"}),
        json!({"channel": "funding-rate", "instId": "BTC-USDT-SWAP"}),
        json!({"channel": "open-interest", "instId": "BTC-USD-SWAP"}),
        json!({"channel": "open-interest", "instId": "BTC-USDT-261225"}),
        json!({"channel": "open-interest", "instId": "BTC-USDT-SWAP"}),
        json!({"channel": "liquidation-orders", "instType": "FUTURES"}),
        json!({"channel": "liquidation-orders", "instType": "SWAP"}),
    ];
    assert_eq!(args, expected.map(|arg| arg.to_string()));
}

#[test]
fn what_is_pushed_while_nobody_listens_is_declared() {
    let mut driver = contracts();
    acknowledge(&mut driver);
    driver.pass(1_000);
    assert!(driver.recorded.gaps().is_empty());
    let heard = driver.now;
    driver.frame(&push("funding-rate", "BTC-USDT-SWAP", &funding(0))).unwrap();
    driver.pass(1_000);
    driver.closed();
    driver.pass(2_000);
    driver.opened();
    driver.pass(1_000);
    assert!(driver.recorded.gaps().is_empty(), "not subscribed yet");
    acknowledge(&mut driver);
    driver.pass(100);
    let gaps = driver.recorded.gaps();
    // Three streams of two instruments.
    assert_eq!(gaps.len(), 6);
    assert!(gaps.iter().all(|gap| gap.from_time_us == Some(heard) && gap.to_time_us == Some(driver.now)));
    let of = |data_type| gaps.iter().filter(|gap| gap.missing_data_type == data_type).count();
    assert_eq!(TYPES.iter().map(|data_type| of(*data_type)).collect::<Vec<_>>(), [2, 2, 2]);
}
