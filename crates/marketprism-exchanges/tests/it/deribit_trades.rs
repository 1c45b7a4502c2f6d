//! Deribit's trades: consecutive by `trade_seq`, named by `trade_id`, holes filled from REST.

use marketprism_core::{DataType, GapReason, Source, TakerSide};
use marketprism_exchanges::{FetchFailed, RequestId};

use crate::deribit::{
    BTC, ETH, OPTION, OTHER, config, event, feed, historical, open, open_with, print, seed, settle, time,
    trades,
};
use crate::driver::{Driver, LINK, options};

const TRADE: &[DataType] = &[DataType::Trade];

fn sequences(driver: &Driver) -> Vec<u64> {
    driver.recorded.trades().iter().map(|trade| trade.trade_sequence.unwrap()).collect()
}

fn fetched(driver: &mut Driver, id: RequestId, sequences: impl IntoIterator<Item = u64>) {
    driver.fetched(id, Ok(&historical(BTC, sequences))).unwrap();
}

#[test]
fn a_trade_is_in_base_units_with_its_contracts_and_its_taker() {
    let mut driver = open(TRADE);
    feed(&mut driver, &trades(BTC, [10]));
    let told = driver.recorded.trades();
    let trade = &told[0];
    assert_eq!((trade.symbol.as_ref(), trade.instrument_id.as_ref()), ("BTC-USD", BTC));
    assert_eq!((trade.trade_id.as_ref(), trade.trade_sequence), ("9010", Some(10)));
    assert_eq!((trade.price.to_string(), trade.quantity.to_string()), ("64000.0".into(), "0.025".into()));
    assert_eq!((trade.contracts.unwrap().to_string(), trade.side), ("160.0".into(), TakerSide::Sell));
    assert_eq!((trade.ts_event_us, trade.source, trade.is_maker_buyer), (time(10), Source::Ws, None));
}

#[test]
fn contracts_that_are_not_told_are_computed_and_linear_amounts_are_base() {
    let mut driver = open(TRADE);
    for (id, amount) in [(BTC, "1600"), (ETH, "0.25"), (OPTION, "12.5")] {
        let print = print(id, 1)
            .replace(r#""amount":1.6e3"#, &format!(r#""amount":{amount},"iv":29.28"#))
            .replace(r#","contracts":160.0"#, "");
        feed(&mut driver, &event(&format!("trades.{id}.100ms"), &format!("[{print}]")));
    }
    let told: Vec<_> = driver
        .recorded
        .trades()
        .iter()
        .map(|trade| format!("{} {}", trade.quantity, trade.contracts.unwrap()))
        .collect();
    assert_eq!(told, ["0.025 160", "0.25 250", "12.5 12.5"]);
}

#[test]
fn a_hole_is_fetched_by_its_numbers() {
    let mut driver = open(TRADE);
    feed(&mut driver, &trades(BTC, [10]));
    feed(&mut driver, &trades(BTC, [14, 15]));
    let request = driver.request();
    assert_eq!(
        request.path,
        "/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&start_seq=11&end_seq=13&count=1000&include_old=true&sorting=asc"
    );
    assert_eq!((request.limit, request.weight), ("credits", 500));
    fetched(&mut driver, request.id, [13, 11, 12]);
    assert_eq!(sequences(&driver), [10, 14, 15, 11, 12, 13]);
    assert!(
        driver.recorded.trades()[3..]
            .iter()
            .all(|trade| trade.source == Source::Backfill && trade.quantity.to_string() == "0.025")
    );
    let gaps = driver.recorded.gaps();
    assert_eq!(
        (gaps.len(), gaps[0].missing_data_type, gaps[0].reason),
        (1, DataType::Trade, GapReason::Sequence)
    );
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence, gaps[0].filled), (Some(11), Some(13), 3));
}

#[test]
fn a_large_hole_takes_several_answers() {
    let mut driver = open(TRADE);
    feed(&mut driver, &trades(BTC, [10]));
    feed(&mut driver, &trades(BTC, [2_012]));
    for (from, to) in [(11, 1_010), (1_011, 2_010), (2_011, 2_011)] {
        let request = driver.request();
        assert!(request.path.contains(&format!("start_seq={from}&end_seq=2011&")), "{}", request.path);
        fetched(&mut driver, request.id, from..=to);
    }
    assert_eq!(driver.recorded.gaps()[0].filled, 2_001);
}

#[test]
fn a_restart_and_a_reconnect_show_their_holes() {
    let mut driver = open_with(config(TRADE, options(), vec![seed(BTC, DataType::Trade, 10, 10)]));
    feed(&mut driver, &trades(BTC, [12]));
    let request = driver.request();
    fetched(&mut driver, request.id, [11]);
    driver.closed();
    driver.opened();
    settle(&mut driver);
    feed(&mut driver, &trades(BTC, [14]));
    let request = driver.request();
    fetched(&mut driver, request.id, [13]);
    assert_eq!(sequences(&driver), [12, 11, 14, 13]);
    let reasons: Vec<_> = driver.recorded.gaps().iter().map(|gap| gap.reason).collect();
    assert_eq!(reasons, [GapReason::Disconnect; 2]);
}

#[test]
fn two_sockets_give_one_line() {
    let mut driver = open(TRADE);
    driver.opened_on(OTHER);
    settle(&mut driver);
    feed(&mut driver, &trades(BTC, [10, 11]));
    driver.frame_on(OTHER, &trades(BTC, [11, 12])).unwrap();
    // The first socket lost what the second one brings a little later.
    feed(&mut driver, &trades(BTC, [14]));
    driver.frame_on(OTHER, &trades(BTC, [13, 14])).unwrap();
    driver.closed_on(LINK);
    driver.frame_on(OTHER, &trades(BTC, [15])).unwrap();
    driver.pass(5_000);
    assert_eq!(sequences(&driver), [10, 11, 12, 14, 13, 15]);
    assert!(driver.recorded.gaps().is_empty() && driver.take_requests().is_empty());
    assert_eq!(driver.recorded.notes_of("Duplicate"), 2);
}

#[test]
fn a_bad_trade_is_named_costs_no_other_and_is_fetched() {
    for (good, bad, expected) in [
        (r#""price":64000.0"#, r#""price":"64000.0""#, "field `price`: `\"64000.0\"` is not a decimal"),
        (r#""price":64000.0"#, r#""price":0.0"#, "field `amount`: `1600` at price `0.0`"),
        (r#""amount":1.6e3"#, r#""amount":-1"#, "field `quantity`"),
        (r#""direction":"sell""#, r#""direction":"zell""#, "field `direction`: unknown variant `zell`"),
        (r#""trade_seq":11"#, r#""trade_seq":null"#, "field `trade_seq`: invalid type: null"),
        (
            r#""instrument_name":"BTC-PERPETUAL""#,
            r#""instrument_name":"X""#,
            "field `instrument_name`: `X` on the channel of BTC-PERPETUAL",
        ),
    ] {
        let mut driver = open(TRADE);
        feed(&mut driver, &trades(BTC, [10]));
        let broken = print(BTC, 11).replace(good, bad);
        assert_ne!(broken, print(BTC, 11));
        let frame = event(&format!("trades.{BTC}.100ms"), &format!("[{broken},{}]", print(BTC, 12)));
        let rejected = driver.frame(&frame).unwrap_err();
        assert_eq!(rejected.reason, "invalid_field");
        assert!(rejected.detail.contains(expected), "{rejected}");
        let request = driver.request();
        fetched(&mut driver, request.id, [11]);
        assert_eq!(sequences(&driver), [10, 12, 11]);
    }
}

#[test]
fn what_rest_refuses_for_now_is_asked_again_and_what_it_refuses_is_a_gap() {
    let refused = |code: i64| FetchFailed::Status {
        status: 400,
        body: format!(
            r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"said so","data":null}},"usIn":1}}"#
        ),
        retry_after_seconds: None,
    };
    let mut driver = open(TRADE);
    feed(&mut driver, &trades(BTC, [10]));
    feed(&mut driver, &trades(BTC, [12]));
    let request = driver.request();
    driver.fetched(request.id, Err(refused(10_040))).unwrap();
    assert!(driver.recorded.gaps().is_empty());
    let request = driver.request();
    driver.fetched(request.id, Err(refused(-32_602))).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].reason), (1, GapReason::BackfillFailed));
    assert!(gaps[0].detail.as_ref().unwrap().contains("-32602"), "{gaps:?}");
}

#[test]
fn an_unreadable_answer_is_counted_and_asked_again() {
    let mut driver = open(TRADE);
    feed(&mut driver, &trades(BTC, [10]));
    feed(&mut driver, &trades(BTC, [12]));
    let request = driver.request();
    let rejected = driver.fetched(request.id, Ok(b"{\"jsonrpc\":\"2.0\"}")).unwrap_err();
    assert_eq!(rejected.detail, "field `result`: missing");
    let request = driver.request();
    fetched(&mut driver, request.id, [11]);
    assert_eq!(driver.recorded.gaps()[0].filled, 1);
    driver.drain();
    assert_eq!(driver.recorded.gaps().len(), 1);
}
