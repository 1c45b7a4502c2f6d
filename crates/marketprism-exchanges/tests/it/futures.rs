//! USDⓈ-M beyond trades and books: funding, liquidations, open interest, the two ratios; dated contracts.

use marketprism_core::message::{FundingRate, Liquidation, LsrAllAccount, LsrTopPosition, OpenInterest};
use marketprism_core::{DataType, GapReason, Instrument, MarketType, Source, TakerSide};
use marketprism_exchanges::registry::{self, Seed, SessionConfig};
use marketprism_exchanges::{FetchFailed, Link, Pressure, Request, StreamState};
use serde_json::{Value, json};

use crate::driver::{Driver, START, options, pair};

const PUSHED: &[DataType] = &[DataType::FundingRate, DataType::Liquidation];
const POLLED: &[DataType] = &[DataType::OpenInterest, DataType::LsrTopPosition, DataType::LsrAllAccount];

fn dated() -> Instrument {
    Instrument::new("binance", MarketType::Futures, "BTC-USDT-20261225".into(), "BTCUSDT_261225").unwrap()
}

fn session(data_types: &[DataType]) -> Driver {
    let instruments = vec![pair(MarketType::Perpetual, "BTC", "USDT"), dated()];
    let config =
        SessionConfig { instruments, data_types: data_types.to_vec(), options: options(), seeds: Vec::new() };
    Driver::new("binance_usdm", config)
}

fn pushed() -> Driver {
    let mut driver = session(PUSHED);
    driver.opened();
    driver
}

fn mark_price(second: i64) -> Value {
    let time = START / 1000 + second * 1000;
    json!({"e": "markPriceUpdate", "E": time, "s": "BTCUSDT", "p": "64001.10000000", "ap": "64001.20000000",
        "P": "64010.00000000", "i": "64003.50000000", "r": "-0.00001250", "T": START / 1000 + 3_600_000, "st": 1})
}

fn force_order(second: i64) -> Value {
    let time = START / 1000 + second * 1000;
    json!({"e": "forceOrder", "E": time + 7, "o": {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "2.500",
        "p": "63000.10", "ap": "63100.25", "X": "FILLED", "l": "0.100", "z": "2.400", "T": time, "ps": "BTCUSDT", "st": 1}})
}

fn framed(stream: &str, data: &Value) -> String {
    json!({"stream": stream, "data": data}).to_string()
}

#[test]
fn streams_are_asked_for_where_the_contract_has_them() {
    let driver = pushed();
    let call: Value = serde_json::from_str(&driver.recorded.sent[0]).unwrap();
    assert_eq!(
        call["params"],
        json!(["btcusdt@forceOrder", "btcusdt@markPrice", "btcusdt_261225@forceOrder"])
    );
    let usdm = registry::find("binance_usdm").unwrap();
    let offered = |instrument: &Instrument| {
        usdm.data_types.iter().filter(|data_type| (usdm.offers)(instrument, **data_type)).count()
    };
    assert_eq!((offered(&pair(MarketType::Perpetual, "BTC", "USDT")), offered(&dated())), (7, 4));
}

#[test]
fn each_data_type_has_its_path() {
    let usdm = registry::find("binance_usdm").unwrap();
    let paths = (usdm.paths)(usdm.data_types, &options());
    let named: Vec<_> = paths.iter().map(|path| (path.name, path.path, path.data_types.len())).collect();
    assert_eq!(
        named,
        [("public", Some("/public/stream"), 1), ("market", Some("/market/stream"), 3), ("polled", None, 3)]
    );
}

#[test]
fn a_mark_price_is_a_funding_rate() {
    let mut driver = pushed();
    driver.frame(&framed("btcusdt@markPrice", &mark_price(0))).unwrap();
    let rates: Vec<FundingRate<'_>> = driver.recorded.of(DataType::FundingRate);
    let told = &rates[0];
    assert_eq!(told.funding_rate.to_string(), "-0.00001250");
    assert_eq!(told.mark_price.unwrap().to_string(), "64001.10000000");
    assert_eq!(told.index_price.unwrap().to_string(), "64003.50000000");
    assert_eq!(told.next_funding_time_us.unwrap().as_micros(), START + 3_600_000_000);
    assert_eq!((told.funding_time_us, told.interval_hours), (None, None), "not told");
    assert_eq!((told.ts_event_us.as_micros(), told.source), (START, Source::Ws));
}

#[test]
fn a_mark_price_comes_once_whatever_socket_brings_it() {
    let mut driver = pushed();
    driver.opened_on(Link(1));
    for second in [0, 3, 6] {
        for link in [0, 1] {
            driver.frame_on(Link(link), &framed("btcusdt@markPrice", &mark_price(second))).unwrap();
        }
    }
    assert_eq!(driver.recorded.of::<FundingRate<'_>>(DataType::FundingRate).len(), 3);
    assert_eq!(driver.recorded.notes_of("Duplicate"), 3);
}

#[test]
fn no_next_funding_is_no_time() {
    let mut driver = pushed();
    let mut data = mark_price(0);
    data["T"] = json!(0);
    driver.frame(&framed("btcusdt@markPrice", &data)).unwrap();
    let rates: Vec<FundingRate<'_>> = driver.recorded.of(DataType::FundingRate);
    assert_eq!(rates[0].next_funding_time_us, None);
}

#[test]
fn the_hours_between_fundings_are_listed_where_they_are_not_eight() {
    for (listed, hours) in [("BTCUSDT", 4), ("OTHERUSDT", 8)] {
        let mut driver = pushed();
        let request = driver.request();
        assert_eq!((request.path.as_str(), request.limit), ("/fapi/v1/fundingInfo", "funding"));
        let body = json!([{"symbol": listed, "adjustedFundingRateCap": "0.02", "adjustedFundingRateFloor": "-0.02",
            "fundingIntervalHours": 4, "disclaimer": false, "updateTime": null}]);
        driver.fetched(request.id, Ok(body.to_string().as_bytes())).unwrap();
        driver.frame(&framed("btcusdt@markPrice", &mark_price(0))).unwrap();
        let rates: Vec<FundingRate<'_>> = driver.recorded.of(DataType::FundingRate);
        assert_eq!(rates[0].interval_hours, Some(hours));
    }
}

#[test]
fn the_hours_are_asked_for_again_after_a_failure_and_each_hour() {
    let mut driver = pushed();
    let request = driver.request();
    driver.fetched(request.id, Err(FetchFailed::Transport("reset".into()))).unwrap();
    driver.pass(1_100);
    let again = driver.request_taken();
    driver.fetched(again, Ok(b"[]")).unwrap();
    let mut asked_after = None;
    for minute in 0..61 {
        driver.frame(&framed("btcusdt@markPrice", &mark_price(minute * 60))).unwrap();
        driver.pass(60_000);
        if !driver.take_requests().is_empty() {
            asked_after.get_or_insert(minute);
        }
    }
    assert_eq!(asked_after, Some(59));
}

#[test]
fn a_forced_order_is_what_was_filled_of_it() {
    let mut driver = pushed();
    driver.frame(&framed("btcusdt@forceOrder", &force_order(0))).unwrap();
    let told: Vec<Liquidation<'_>> = driver.recorded.of(DataType::Liquidation);
    assert_eq!((told[0].side, told[0].price.to_string()), (TakerSide::Sell, "63000.10".into()));
    assert_eq!(told[0].average_price.unwrap().to_string(), "63100.25");
    assert_eq!((told[0].quantity.to_string(), told[0].contracts), ("2.400".into(), None));
    assert_eq!((told[0].status.as_deref(), told[0].ts_event_us.as_micros()), (Some("filled"), START));
}

#[test]
fn forced_orders_that_are_none_of_ours_are_left_out() {
    let mut driver = pushed();
    let mut coin = force_order(0);
    coin["o"]["st"] = json!(2);
    let mut unfilled = force_order(1);
    unfilled["o"]["z"] = json!("0");
    for data in [coin, unfilled] {
        driver.frame(&framed("btcusdt@forceOrder", &data)).unwrap();
    }
    assert!(driver.recorded.messages.is_empty());
    assert_eq!(
        driver.recorded.notes,
        ["Ignored { what: \"coin_margined\" }", "Ignored { what: \"liquidation_unfilled\" }"]
    );
}

#[test]
fn a_forced_order_comes_once_whatever_socket_brings_it() {
    let mut driver = pushed();
    driver.opened_on(Link(1));
    for second in 0..40 {
        for link in [0, 1] {
            driver.frame_on(Link(link), &framed("btcusdt@forceOrder", &force_order(second))).unwrap();
        }
    }
    assert_eq!(driver.recorded.of::<Liquidation<'_>>(DataType::Liquidation).len(), 40);
}

#[test]
fn days_without_liquidations_replace_no_socket() {
    let mut driver = pushed();
    for second in (0..2 * 3_600).step_by(5) {
        for call in std::mem::take(&mut driver.recorded.sent) {
            let id = &serde_json::from_str::<Value>(&call).unwrap()["id"];
            driver.frame(&json!({"result": null, "id": id}).to_string()).unwrap();
        }
        driver.frame(&framed("btcusdt@markPrice", &mark_price(second))).unwrap();
        driver.pass(5_000);
        driver.recorded.requests.clear();
    }
    assert!(driver.recorded.reconnects.is_empty(), "{:?}", driver.recorded.reconnects);
    assert_eq!(driver.state("BTC-USDT", DataType::FundingRate), StreamState::Live);
}

#[test]
fn a_bad_field_of_a_push_is_named() {
    let bad = |mut data: Value, path: &[&str], value: Value| {
        let field = path.iter().fold(&mut data, |at, name| &mut at[*name]);
        *field = value;
        data
    };
    let cases = [
        ("markPrice", bad(mark_price(0), &["p"], json!("x")), "field `p`: `x` is not a decimal"),
        ("markPrice", bad(mark_price(0), &["p"], json!("0")), "field `mark_price`: `0` is not above zero"),
        ("markPrice", bad(mark_price(0), &["r"], json!(null)), "field `r`: invalid type: null"),
        (
            "markPrice",
            bad(mark_price(0), &["s"], json!("ETHUSDT")),
            "field `s`: `ETHUSDT` on the stream of BTCUSDT",
        ),
        (
            "forceOrder",
            bad(force_order(0), &["o", "S"], json!("LONG")),
            "field `o.S`: unknown variant `LONG`",
        ),
        (
            "forceOrder",
            bad(force_order(0), &["o", "p"], json!("-1")),
            "field `price`: `-1` is not above zero",
        ),
        ("forceOrder", bad(force_order(0), &["o"], json!(7)), "field `o`: invalid type"),
    ];
    for (kind, data, expected) in cases {
        let mut driver = pushed();
        let rejected = driver.frame(&framed(&format!("btcusdt@{kind}"), &data)).unwrap_err();
        assert!(rejected.reason == "invalid_field" && rejected.detail.contains(expected), "{rejected}");
        assert!(driver.recorded.messages.is_empty());
        driver.pass(100);
        let gaps = driver.recorded.gaps();
        assert!(
            gaps.len() == 1 && gaps[0].reason == GapReason::Undecodable,
            "its absence is a fact: {gaps:?}"
        );
    }
}

/// The polls of one turn, by the last word of their path before the query.
fn polls(driver: &mut Driver) -> Vec<(String, Request)> {
    driver.tick();
    let named = |request: Request| {
        let end = request.path.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
        (end, request)
    };
    driver.take_requests().into_iter().map(named).collect()
}

#[test]
fn polled_data_needs_no_socket() {
    let mut driver = session(POLLED);
    let polls = polls(&mut driver);
    let asked: Vec<_> = polls
        .iter()
        .map(|(name, request)| (name.as_str(), request.path.contains("BTCUSDT_261225"), request.limit))
        .collect();
    assert_eq!(
        asked,
        [
            ("openInterest", false, "weight"),
            ("topLongShortPositionRatio", false, "statistics"),
            ("globalLongShortAccountRatio", false, "statistics"),
            ("openInterest", true, "weight"),
        ]
    );
    assert_eq!(driver.state("BTC-USDT", DataType::OpenInterest), StreamState::Waiting);
    let interest =
        json!({"symbol": "BTCUSDT", "openInterest": "70125.250", "time": START / 1000 - 40}).to_string();
    driver.fetched(polls[0].1.id, Ok(interest.as_bytes())).unwrap();
    let row = |millis: Value, ratio: &str| {
        json!({"symbol": "BTCUSDT", "longAccount": "0.6000", "longShortRatio": ratio,
        "shortAccount": "0.4000", "timestamp": millis})
    };
    let rows = json!([
        row(json!(START / 1000 - 600_000), "1.4"),
        row(json!((START / 1000 - 300_000).to_string()), "1.5000")
    ]);
    for (_, request) in &polls[1..3] {
        driver.fetched(request.id, Ok(rows.to_string().as_bytes())).unwrap();
    }
    let interests: Vec<OpenInterest<'_>> = driver.recorded.of(DataType::OpenInterest);
    assert_eq!(interests[0].open_interest_base.unwrap().to_string(), "70125.250");
    assert_eq!((interests[0].open_interest, interests[0].open_interest_value), (None, None));
    assert_eq!((interests[0].source, interests[0].ts_event_us.as_micros()), (Source::Rest, START - 40_000));
    // Of a first answer only the last row: the others may have been published by an earlier process.
    let positions: Vec<LsrTopPosition<'_>> = driver.recorded.of(DataType::LsrTopPosition);
    let accounts: Vec<LsrAllAccount<'_>> = driver.recorded.of(DataType::LsrAllAccount);
    assert_eq!((positions.len(), accounts.len()), (1, 1));
    assert_eq!(
        (positions[0].long_short_ratio.to_string(), positions[0].period.as_ref()),
        ("1.5000".into(), "5m")
    );
    assert_eq!(positions[0].long_ratio.unwrap().to_string(), "0.6000");
    assert_eq!(accounts[0].ts_event_us.as_micros(), START - 300_000_000);
    assert_eq!(driver.state("BTC-USDT", DataType::OpenInterest), StreamState::Live);
}

/// Answers every poll of a turn with the same rows.
fn answer(driver: &mut Driver, rows: &Value) {
    for (name, request) in polls(driver) {
        let body = if name.ends_with("Ratio") {
            rows.clone()
        } else {
            json!({"symbol": "BTCUSDT", "openInterest": "1", "time": 1})
        };
        let _of_the_other_contract = driver.fetched(request.id, Ok(body.to_string().as_bytes()));
    }
}

#[test]
fn a_row_is_published_once_and_one_that_was_missed_comes_late() {
    let mut driver = session(POLLED);
    let row = |period: i64| {
        json!({"symbol": "BTCUSDT", "longAccount": "0.6", "longShortRatio": "1.5", "shortAccount": "0.4",
        "timestamp": START / 1000 + period * 300_000})
    };
    answer(&mut driver, &json!([row(0)]));
    driver.pass(270_000);
    assert!(
        polls(&mut driver).iter().all(|(name, _)| !name.ends_with("Ratio")),
        "there is none before its time"
    );
    driver.pass(60_000);
    answer(&mut driver, &json!([row(0)]));
    driver.pass(30_000);
    answer(&mut driver, &json!([row(0), row(1), row(2), row(3)]));
    driver.pass(900_000);
    answer(&mut driver, &json!([row(1), row(2), row(3)]));
    let told: Vec<LsrTopPosition<'_>> = driver.recorded.of(DataType::LsrTopPosition);
    let periods: Vec<_> =
        told.iter().map(|row| (row.ts_event_us.as_micros() - START) / 300_000_000).collect();
    assert_eq!(periods, [0, 1, 2, 3]);
}

#[test]
fn under_pressure_ratios_are_not_asked_for_and_open_interest_is() {
    let mut driver = session(POLLED);
    driver.set_pressure(Pressure::PausePolls);
    let asked = polls(&mut driver);
    assert_eq!(
        asked.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["openInterest", "openInterest"]
    );
    driver.set_pressure(Pressure::None);
    let asked = polls(&mut driver);
    assert!(asked.len() == 2 && asked.iter().all(|(name, _)| name.ends_with("Ratio")));
}

#[test]
fn a_poll_that_fails_is_asked_again_and_names_the_field() {
    let mut driver = session(&[DataType::OpenInterest]);
    let cases = [
        (
            r#"{"symbol":"BTCUSDT","openInterest":"-1","time":1700000000000}"#,
            "field `open_interest_base`: `-1` is below zero",
        ),
        (
            r#"{"symbol":"ETHUSDT","openInterest":"1","time":1700000000000}"#,
            "field `symbol`: `ETHUSDT` in the answer for BTCUSDT",
        ),
        (r#"{"symbol":"BTCUSDT","openInterest":"1"}"#, "missing field `time`"),
        (r#"{"symbol":"BTCUSDT","openInterest":"1","time":"soon"}"#, "field `time`: `soon` is no time in ms"),
        ("<html>", "expected value"),
    ];
    let mut waited = 0;
    for (body, expected) in cases {
        let mut asked = polls(&mut driver);
        while asked.is_empty() && waited < 600 {
            driver.pass(100);
            waited += 1;
            asked = polls(&mut driver);
        }
        asked.retain(|(_, request)| !request.path.contains("_261225"));
        let Some((_, request)) = asked.pop() else { panic!("not asked again for {expected}") };
        let rejected = driver.fetched(request.id, Ok(body.as_bytes())).unwrap_err();
        assert!(rejected.detail.contains(expected), "{rejected}");
    }
    assert!(driver.recorded.messages.is_empty());
}

/// Acknowledges what was asked for since the last look, then lets a tick pass.
fn acknowledge(driver: &mut Driver) {
    let sent = std::mem::take(&mut driver.recorded.sent);
    for (text, link) in sent.iter().zip(std::mem::take(&mut driver.recorded.sent_on)) {
        let call: Value = serde_json::from_str(text).unwrap();
        driver.frame_on(link, &json!({"result": null, "id": call["id"]}).to_string()).unwrap();
    }
    driver.pass(100);
}

#[test]
fn what_is_pushed_while_nobody_listens_is_declared() {
    let mut driver = pushed();
    acknowledge(&mut driver);
    driver.frame(&framed("btcusdt@forceOrder", &force_order(0))).unwrap();
    driver.opened_on(Link(1));
    acknowledge(&mut driver);
    driver.closed();
    driver.pass(5_000);
    assert!(driver.recorded.gaps().is_empty(), "another socket had it");

    let heard = driver.now;
    driver.frame_on(Link(1), &framed("btcusdt@markPrice", &mark_price(5))).unwrap();
    driver.pass(2_000);
    driver.closed_on(Link(1));
    driver.pass(3_000);
    driver.opened_on(Link(2));
    driver.pass(1_000);
    assert!(driver.recorded.gaps().is_empty(), "not subscribed yet");
    acknowledge(&mut driver);
    let gaps = driver.recorded.gaps();
    let declared: Vec<_> = gaps
        .iter()
        .map(|gap| (gap.market_type, gap.missing_data_type, gap.from_time_us, gap.to_time_us))
        .collect();
    let of = |market_type, data_type| (market_type, data_type, Some(heard), Some(driver.now));
    assert_eq!(
        declared,
        [
            of(MarketType::Perpetual, DataType::FundingRate),
            of(MarketType::Perpetual, DataType::Liquidation),
            of(MarketType::Futures, DataType::Liquidation)
        ]
    );
    driver.pass(10_000);
    assert_eq!(driver.recorded.gaps().len(), 3, "said once");
}

#[test]
fn a_restart_declares_what_was_pushed_since_the_last_message_of_the_instrument() {
    let now = marketprism_core::Timestamp::from_micros(START).unwrap();
    let seed = Seed {
        instrument_id: "BTCUSDT".to_owned(),
        data_type: DataType::FundingRate,
        sequence: None,
        event: now.saturating_add_micros(-60_000_000),
        holes: vec![],
    };
    let config = SessionConfig {
        instruments: vec![pair(MarketType::Perpetual, "BTC", "USDT"), dated()],
        data_types: PUSHED.to_vec(),
        options: options(),
        seeds: vec![seed],
    };
    let mut driver = Driver::new("binance_usdm", config);
    driver.opened();
    acknowledge(&mut driver);
    let gaps = driver.recorded.gaps();
    let declared: Vec<_> = gaps.iter().map(|gap| (gap.missing_data_type, gap.from_time_us)).collect();
    let from = Some(now.saturating_add_micros(-65_000_000));
    assert_eq!(declared, [(DataType::FundingRate, from), (DataType::Liquidation, from)]);
}
