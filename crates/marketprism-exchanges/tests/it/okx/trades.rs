//! Trades: merged prints, holes, and what REST gives back.

use marketprism_core::{DataType, GapReason, Source, TakerSide};
use serde_json::{Value, json};

use super::{at, inverse, linear, open, session, spot};
use crate::driver::{Driver, START};

/// A print of so many matches that ends at this id.
fn print_of(instrument_id: &str, id: u64, count: u64, millis: i64) -> Value {
    json!({
        "instId": instrument_id, "tradeId": id.to_string(), "px": "250.5", "sz": "0.40", "side": "sell",
        "ts": (START / 1_000 + millis).to_string(), "count": count.to_string(), "source": "0", "seqId": 9_000_000_001_u64
    })
}

fn frame(instrument_id: &str, rows: &[Value]) -> String {
    let arg = json!({"channel": "trades", "instId": instrument_id}).to_string();
    format!(r#"{{"arg":{arg},"data":{}}}"#, Value::from(rows))
}

fn trade(id: u64, count: u64, millis: i64) -> String {
    frame("BTC-USDT", &[print_of("BTC-USDT", id, count, millis)])
}

/// A match as REST tells it.
fn match_of(id: u64) -> Value {
    json!({
        "instId": "BTC-USDT", "side": "buy", "sz": "0.1", "px": "250", "source": "0",
        "tradeId": id.to_string(), "ts": (START / 1_000).to_string()
    })
}

fn answer(ids: impl Iterator<Item = u64>) -> Vec<u8> {
    let rows: Vec<Value> = ids.map(match_of).collect();
    json!({"code": "0", "msg": "", "data": rows}).to_string().into_bytes()
}

#[test]
fn a_print_of_one_match_goes_by_its_id_and_one_of_several_says_which() {
    let mut driver = open();
    driver.frame(&trade(70, 1, 5)).unwrap();
    driver.frame(&trade(74, 4, 6)).unwrap();
    driver.frame(&trade(75, 1, 7)).unwrap();
    let trades = driver.recorded.trades();
    assert_eq!(driver.recorded.trade_ids(), [70, 74, 75]);
    assert_eq!(trades.iter().map(|trade| trade.is_aggregate()).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!((trades[1].first_trade_id, trades[1].last_trade_id), (Some(71), Some(74)));
    let first = &trades[0];
    assert_eq!((first.price.to_string(), first.quantity.to_string()), ("250.5".into(), "0.40".into()));
    assert_eq!((first.side, first.ts_event_us, first.is_maker_buyer), (TakerSide::Sell, at(5), None));
    assert!(first.contracts.is_none() && first.trade_sequence.is_none());
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn one_frame_may_bring_several() {
    let mut driver = open();
    let rows = [print_of("BTC-USDT", 5, 1, 0), print_of("BTC-USDT", 8, 3, 0), print_of("BTC-USDT", 9, 1, 0)];
    driver.frame(&frame("BTC-USDT", &rows)).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [5, 8, 9]);
}

#[test]
fn contracts_stand_beside_base_units() {
    let mut driver = session("okx_swap", vec![linear(), inverse()], &[DataType::Trade]);
    driver.opened();
    for id in ["BTC-USDT-SWAP", "BTC-USD-SWAP"] {
        driver.frame(&frame(id, &[print_of(id, 5, 1, 0)])).unwrap();
    }
    let quantities: Vec<_> = driver
        .recorded
        .trades()
        .iter()
        .map(|trade| (trade.contracts.unwrap().to_string(), trade.quantity.to_string()))
        .collect();
    assert_eq!(quantities[0], ("0.40".to_owned(), "0.0040".to_owned()));
    // 40 dollars at 250.5.
    assert_eq!(quantities[1], ("0.40".to_owned(), "0.15968063872255489".to_owned()));
}

#[test]
fn a_hole_is_filled_with_single_matches_newest_first() {
    let mut driver = open();
    driver.frame(&trade(100, 1, 0)).unwrap();
    driver.frame(&trade(260, 10, 1)).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [100, 260], "live trades do not wait");
    let request = driver.request();
    // Missing are 101 to 250.
    assert_eq!(request.path, "/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=251&limit=100");
    assert_eq!(request.limit, "history_trades");
    driver.fetched(request.id, Ok(&answer((151..=250).rev()))).unwrap();
    let request = driver.request();
    assert!(request.path.ends_with("&after=151&limit=51"), "{}", request.path);
    driver.fetched(request.id, Ok(&answer((100..=150).rev()))).unwrap();
    let trades = driver.recorded.trades();
    let backfilled: Vec<u64> = trades
        .iter()
        .filter(|trade| trade.source == Source::Backfill)
        .map(|trade| trade.trade_id.parse().unwrap())
        .collect();
    assert_eq!(backfilled, (151..=250).chain(101..=150).collect::<Vec<_>>());
    assert!(
        trades.iter().filter(|trade| trade.source == Source::Backfill).all(|trade| !trade.is_aggregate())
    );
    let gaps = driver.recorded.gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence, gaps[0].filled), (Some(101), Some(250), 150));
    assert_eq!((gaps[0].reason, gaps[0].missing_data_type), (GapReason::Sequence, DataType::Trade));
}

#[test]
fn what_the_exchange_does_not_give_back_is_declared() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::Trade]);
    driver.opened();
    driver.frame(&trade(100, 1, 0)).unwrap();
    driver.frame(&trade(103, 1, 1)).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&answer([102, 100].into_iter()))).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].filled, gaps[0].reason), (1, 1, GapReason::BackfillFailed));
    // Bodies that cannot be read are asked for again, then the hole is declared.
    driver.frame(&trade(105, 1, 2)).unwrap();
    for body in [
        r#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#,
        "<html>",
        "{}",
        r#"{"code":"0","data":[{"tradeId":"x"}]}"#,
        r#"{"code":"0","data":5}"#,
    ] {
        let mut requests = Vec::new();
        while requests.is_empty() {
            driver.pass(1_000);
            driver.frame("pong").unwrap();
            requests = driver.take_requests();
        }
        driver.fetched(requests[0].id, Ok(body.as_bytes())).unwrap_err();
    }
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[1].from_sequence, gaps[1].filled), (2, Some(104), 0));
    assert_eq!(gaps[1].reason, GapReason::BackfillFailed);
}

#[test]
fn a_row_that_cannot_be_used_costs_only_itself() {
    let cases: [(&str, Value, &str); 6] = [
        ("px", json!("-1"), "`price`: `-1`"),
        ("px", json!("1e"), "1e"),
        ("side", json!("long"), "long"),
        ("tradeId", json!("abc"), "`tradeId`: `abc`"),
        ("count", json!("0"), "`count`: `0`"),
        ("ts", json!("yesterday"), "`yesterday`"),
    ];
    for (field, value, detail) in cases {
        let mut driver = open();
        let mut bad = print_of("BTC-USDT", 6, 1, 0);
        bad[field] = value;
        let rows = [print_of("BTC-USDT", 5, 1, 0), bad, print_of("BTC-USDT", 7, 1, 0)];
        let rejected = driver.frame(&frame("BTC-USDT", &rows)).unwrap_err();
        assert_eq!(rejected.reason, "invalid_field");
        assert!(rejected.detail.contains(detail), "{rejected}");
        assert_eq!(driver.recorded.trade_ids(), [5, 7], "{field}");
        let path = driver.request().path;
        assert!(path.contains("after=7&"), "the one in between is fetched: {path}");
    }
}

#[test]
fn duplicates_are_dropped_across_sockets_and_reconnects() {
    let mut driver = open();
    driver.frame(&trade(5, 1, 0)).unwrap();
    driver.frame(&trade(8, 3, 0)).unwrap();
    driver.frame(&trade(8, 3, 0)).unwrap();
    driver.closed();
    driver.opened();
    driver.frame(&trade(8, 3, 0)).unwrap();
    driver.frame(&trade(9, 1, 0)).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [5, 8, 9]);
    assert_eq!(driver.recorded.notes_of("Duplicate"), 2);
    hole_is_declared_as_disconnect(&mut driver);
}

fn hole_is_declared_as_disconnect(driver: &mut Driver) {
    driver.closed();
    driver.opened();
    driver.frame(&trade(12, 1, 0)).unwrap();
    let id = driver.request().id;
    driver.fetched(id, Ok(&answer((8..=11).rev()))).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].reason, gaps[0].filled), (1, GapReason::Disconnect, 2));
}
