//! Order books: joined by the recipe, verified at every event, never silently wrong.

use std::time::Duration;

use marketprism_core::{DataType, GapReason};
use marketprism_exchanges::registry::SessionOptions;
use marketprism_exchanges::{FetchFailed, StreamState};
use serde_json::json;

use crate::driver::{Driver, START, options};

type Levels<'l> = &'l [(&'l str, &'l str)];

/// First and last id of each event, the snapshot's last update, and the update the book must end at, if it joins.
type SpotCase<'c> = (&'c [(u64, u64)], u64, Option<u64>);
/// The same with `pu` before the two.
type UsdmCase<'c> = (&'c [(u64, u64, u64)], u64, Option<u64>);

fn levels(levels: Levels<'_>) -> serde_json::Value {
    levels.iter().map(|(price, quantity)| json!([price, quantity])).collect()
}

fn spot_event(first: u64, last: u64, bids: Levels<'_>, asks: Levels<'_>) -> String {
    let millis = START / 1000 + i64::try_from(last).unwrap();
    json!({"stream": "btcusdt@depth@100ms", "data": {"e": "depthUpdate", "E": millis, "s": "BTCUSDT", "U": first,
        "u": last, "b": levels(bids), "a": levels(asks)}})
    .to_string()
}

fn usdm_event(previous: u64, first: u64, last: u64, bids: Levels<'_>, asks: Levels<'_>) -> String {
    let millis = START / 1000 + i64::try_from(last).unwrap();
    json!({"stream": "btcusdt@depth@100ms", "data": {"e": "depthUpdate", "E": millis + 5, "T": millis, "s": "BTCUSDT",
        "ps": "BTCUSDT", "U": first, "u": last, "pu": previous, "b": levels(bids), "a": levels(asks)}})
    .to_string()
}

fn snapshot(last: u64) -> Vec<u8> {
    let body = json!({"lastUpdateId": last, "bids": [["100.0", "1"], ["99.0", "2"]], "asks": [["101.0", "3"], ["102.0", "4"]]});
    body.to_string().into_bytes()
}

/// A live spot book after update 110.
fn live(options: SessionOptions) -> Driver {
    let mut driver = Driver::open("binance_spot", options);
    driver.frame(&spot_event(101, 105, &[], &[])).unwrap();
    let request = driver.request();
    assert_eq!((request.path.as_str(), request.weight), ("/api/v3/depth?symbol=BTCUSDT&limit=1000", 50));
    driver.fetched(request.id, Ok(&snapshot(105))).unwrap();
    driver.frame(&spot_event(106, 110, &[("100.5", "1.5")], &[])).unwrap();
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
    driver
}

#[test]
fn spot_joins_by_the_recipe() {
    let cases: [SpotCase<'_>; 6] = [
        (&[(101, 105), (106, 110)], 105, Some(110)),
        (&[(101, 105), (106, 110)], 103, Some(110)),
        // The snapshot ends just before the buffer begins.
        (&[(101, 105)], 100, Some(105)),
        // It is older than the buffer.
        (&[(101, 105)], 99, None),
        // It contains everything received: it waits.
        (&[(101, 105)], 105, None),
        (&[(101, 105)], 200, None),
    ];
    for (events, last, expected) in cases {
        let mut driver = Driver::open("binance_spot", options());
        for (first, last) in events {
            driver.frame(&spot_event(*first, *last, &[("98.0", "1")], &[])).unwrap();
        }
        let request = driver.request();
        driver.fetched(request.id, Ok(&snapshot(last))).unwrap();
        let books = driver.recorded.books();
        assert_eq!(books.last().map(|book| book.last_update_id), expected, "{events:?} {last}");
        if let Some(book) = books.last() {
            assert_eq!(book.update_count, events.len() as u64);
            assert_eq!(book.previous_update_id, None);
        }
    }
}

#[test]
fn usdm_joins_by_the_recipe() {
    let cases: [UsdmCase<'_>; 5] = [
        (&[(90, 95, 99), (99, 103, 110)], 99, Some(110)),
        // The snapshot falls between two events: nothing is missing.
        (&[(90, 95, 99), (99, 103, 110)], 101, Some(110)),
        (&[(90, 95, 99), (99, 103, 110)], 105, Some(110)),
        (&[(90, 95, 99)], 89, None),
        (&[(90, 95, 99)], 100, None),
    ];
    for (events, last, expected) in cases {
        let mut driver = Driver::open("binance_usdm", options());
        for (previous, first, last) in events {
            driver.frame(&usdm_event(*previous, *first, *last, &[], &[("101.0", "9")])).unwrap();
        }
        let request = driver.request();
        assert_eq!((request.path.as_str(), request.weight), ("/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20));
        driver.fetched(request.id, Ok(&snapshot(last))).unwrap();
        let books = driver.recorded.books();
        assert_eq!(books.last().map(|book| book.last_update_id), expected, "{events:?} {last}");
        if let Some(book) = books.last() {
            assert_eq!(
                (book.asks[0].quantity.to_string(), book.update_count),
                ("9".into(), events.len() as u64)
            );
        }
    }
}

#[test]
fn a_waiting_snapshot_joins_the_next_event() {
    let mut driver = Driver::open("binance_spot", options());
    driver.frame(&spot_event(101, 105, &[], &[])).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&snapshot(107))).unwrap();
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Syncing);
    driver.frame(&spot_event(106, 110, &[("100.0", "0"), ("55.5", "0")], &[])).unwrap();
    let books = driver.recorded.books();
    assert_eq!((books[0].bids[0].price.to_string(), books[0].bids.len()), ("99.0".into(), 1));
    assert_eq!(books[0].update_count, 2);
}

#[test]
fn a_snapshot_that_is_too_old_is_asked_for_again_later() {
    let mut driver = Driver::open("binance_spot", options());
    driver.frame(&spot_event(101, 105, &[], &[])).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&snapshot(50))).unwrap();
    driver.pass(900);
    assert!(driver.take_requests().is_empty());
    driver.pass(200);
    let request = driver.request_taken();
    driver.fetched(request, Ok(&snapshot(103))).unwrap();
    assert_eq!(driver.recorded.books()[0].last_update_id, 105);
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn a_snapshot_that_fails_is_asked_for_again() {
    for answer in [
        Err(FetchFailed::Transport("timeout".into())),
        Err(FetchFailed::Status { status: 503, body: String::new(), retry_after_seconds: None }),
        Ok(&b"{\"lastUpdateId\":10"[..]),
        Ok(&b"{\"bids\":[],\"asks\":[]}"[..]),
        Ok(&b"\xff"[..]),
    ] {
        let mut driver = Driver::open("binance_spot", options());
        driver.frame(&spot_event(101, 105, &[], &[])).unwrap();
        let request = driver.request();
        let is_body = answer.is_ok();
        assert_eq!(driver.fetched(request.id, answer).is_err(), is_body);
        driver.pass(1_100);
        assert_eq!(driver.take_requests().len(), 1);
    }
}

#[test]
fn a_break_is_declared_and_the_symbol_alone_resynchronises() {
    let mut driver = live(options());
    let eth = |text: String| text.replace("btcusdt", "ethusdt").replace("BTCUSDT", "ETHUSDT");
    driver.frame(&eth(spot_event(1, 2, &[], &[]))).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&snapshot(1))).unwrap();
    // 111 to 115 are missing.
    driver.frame(&spot_event(116, 120, &[], &[])).unwrap();
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Syncing);
    assert_eq!(driver.state("ETH-USDT", DataType::OrderBook), StreamState::Live);
    driver.frame(&spot_event(121, 125, &[], &[])).unwrap();
    let request = driver.request();
    assert!(request.path.contains("BTCUSDT"));
    driver.fetched(request.id, Ok(&snapshot(121))).unwrap();
    {
        let gaps = driver.recorded.gaps();
        assert_eq!(gaps.len(), 1);
        assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(111), Some(115)));
        assert_eq!((gaps[0].missing_data_type, gaps[0].reason), (DataType::OrderBook, GapReason::Sequence));
        let books = driver.recorded.books();
        let book = books.iter().rfind(|book| book.symbol == "BTC-USDT").unwrap();
        assert_eq!((book.last_update_id, book.previous_update_id, book.update_count), (125, None, 2));
    }
    assert!(driver.recorded.reconnects.is_empty());
    assert_eq!(driver.recorded.notes_of("Resync"), 1);
}

#[test]
fn usdm_breaks_where_pu_does_not_match() {
    let mut driver = Driver::open("binance_usdm", options());
    driver.frame(&usdm_event(90, 95, 99, &[], &[])).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&snapshot(97))).unwrap();
    driver.frame(&usdm_event(99, 150, 160, &[], &[])).unwrap();
    driver.frame(&usdm_event(170, 175, 180, &[], &[])).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(161), Some(170)));
    assert_eq!(driver.recorded.books().len(), 2);
}

#[test]
fn an_old_event_is_dropped() {
    let mut driver = live(options());
    driver.frame(&spot_event(106, 110, &[("100.9", "1")], &[])).unwrap();
    assert_eq!(driver.recorded.notes_of("Duplicate"), 1);
    assert_eq!(driver.recorded.books().len(), 1);
}

#[test]
fn a_crossed_book_is_never_published() {
    let mut driver = live(options());
    driver.frame(&spot_event(111, 112, &[("103.0", "1")], &[])).unwrap();
    assert_eq!(driver.recorded.books().len(), 1);
    {
        let gaps = driver.recorded.gaps();
        assert_eq!(gaps[0].detail.as_deref(), Some("the book crossed"));
    }
    driver.pass(1_100);
    let request = driver.request_taken();
    // A snapshot from before the crossing would lead there again.
    driver.fetched(request, Ok(&snapshot(111))).unwrap();
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Syncing);
    driver.pass(5_000);
    let request = driver.request_taken();
    driver.fetched(request, Ok(&snapshot(113))).unwrap();
    driver.frame(&spot_event(113, 114, &[], &[])).unwrap();
    assert_eq!(driver.recorded.books()[1].update_count, 2);
}

#[test]
fn a_bad_frame_resynchronises_its_symbol() {
    let cases = [
        (r#"[["100.7","1"]]"#, r#"[["-100.7","1"]]"#, "field `b[0]`: price `-100.7` is not above zero"),
        (r#"[["100.7","1"]]"#, r#"[["100.7","-1"]]"#, "field `b[0]`: quantity `-1` is below zero"),
        (r#"[["100.7","1"]]"#, r#"[["100.7"]]"#, "field `b[0]`: invalid length 1"),
        (r#""U":111"#, r#""U":"x""#, "field `U`: invalid type: string \"x\""),
        (r#""U":111,"#, "", "field `U`: missing"),
        (r#""U":111"#, r#""U":999"#, "field `U`: `999` is above `u` 112"),
        (r#""s":"BTCUSDT""#, r#""s":"ETHUSDT""#, "field `s`: `ETHUSDT` on the stream of BTCUSDT"),
    ];
    for (good, bad, expected) in cases {
        let mut driver = live(options());
        let frame = spot_event(111, 112, &[("100.7", "1")], &[]);
        let broken = frame.replace(good, bad);
        assert_ne!(frame, broken);
        let rejected = driver.frame(&broken).unwrap_err();
        assert!(rejected.detail.contains(expected), "{rejected}");
        assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Syncing);
        driver.frame(&spot_event(113, 114, &[], &[])).unwrap();
        let gaps = driver.recorded.gaps();
        assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(111), Some(112)));
        assert_eq!(gaps[0].reason, GapReason::Undecodable);
    }
}

#[test]
fn a_reconnect_publishes_what_it_has_and_declares_what_was_missed() {
    let mut driver = live(SessionOptions { book_publish_interval: Duration::from_secs(1), ..options() });
    driver.closed();
    assert_eq!(driver.recorded.books().len(), 1, "the last state before the loss is published");
    driver.opened();
    driver.frame(&spot_event(131, 135, &[], &[])).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&snapshot(134))).unwrap();
    driver.pass(1_000);
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(111), Some(130)));
    assert_eq!(gaps[0].reason, GapReason::Disconnect);
    assert_eq!(driver.recorded.books()[1].update_count, 1);
}

#[test]
fn books_are_published_in_their_interval_and_only_when_changed() {
    let mut driver = live(SessionOptions { book_publish_interval: Duration::from_millis(500), ..options() });
    driver.pass(500);
    let before = driver.recorded.books().len();
    assert_eq!(before, 1);
    driver.pass(1_000);
    assert_eq!(driver.recorded.books().len(), before, "nothing changed");
    for last in [111, 112, 113] {
        driver.frame(&spot_event(last, last, &[("100.6", "1")], &[])).unwrap();
    }
    driver.pass(500);
    let books = driver.recorded.books();
    let book = &books[1];
    assert_eq!((book.last_update_id, book.previous_update_id, book.update_count), (113, Some(110), 3));
}

#[test]
fn draining_publishes_or_declares() {
    let mut driver = live(SessionOptions { book_publish_interval: Duration::from_secs(60), ..options() });
    driver.drain();
    assert_eq!(driver.recorded.books()[0].update_count, 2);
    let mut driver = Driver::open("binance_spot", options());
    driver.frame(&spot_event(101, 105, &[], &[])).unwrap();
    driver.drain();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(101), Some(105)));
    assert_eq!(gaps[0].reason, GapReason::Shutdown);
}

#[test]
fn a_buffer_that_overflows_only_needs_a_younger_snapshot() {
    let mut driver = Driver::open("binance_spot", options());
    for last in 1..=1_500 {
        driver.frame(&spot_event(last, last, &[], &[])).unwrap();
    }
    let request = driver.request();
    driver.fetched(request.id, Ok(&snapshot(400))).unwrap();
    assert!(driver.recorded.books().is_empty());
    driver.pass(1_100);
    let request = driver.request_taken();
    driver.fetched(request, Ok(&snapshot(1_000))).unwrap();
    assert_eq!(driver.recorded.books()[0].update_count, 1_500);
}
