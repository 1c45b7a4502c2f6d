//! Which levels a book knows: snapshots are bounded, and so is what is kept. And books without updates: `snapshot` mode.

use std::time::Duration;

use marketprism_core::{DataType, MarketType, Source, TimeSource};
use marketprism_exchanges::registry::{self, BookMode, SessionConfig, SessionOptions};
use marketprism_exchanges::{Pressure, StreamState};
use serde_json::{Value, json};

use crate::driver::{BOTH, Driver, START, options, pair};

/// Ten levels a side are asked for, four are published.
fn small() -> SessionOptions {
    SessionOptions { book_depth: 4, snapshot_levels: 10, ..options() }
}

fn depth(last: u64, bids: &Value, asks: &Value) -> String {
    let time = START / 1000 + i64::try_from(last).unwrap();
    json!({"stream": "btcusdt@depth@100ms", "data": {"e": "depthUpdate", "E": time, "s": "BTCUSDT", "U": last, "u": last,
        "b": bids, "a": asks}})
    .to_string()
}

/// Bids 100, 99, … and asks 101, 102, …: ten of each, of this quantity.
fn snapshot(last: u64, best_bid: u64, quantity: &str) -> Vec<u8> {
    let bids: Vec<_> = (0..10).map(|at| json!([(best_bid - at).to_string(), quantity])).collect();
    let asks: Vec<_> = (1..=10).map(|at| json!([(best_bid + at).to_string(), quantity])).collect();
    json!({"lastUpdateId": last, "bids": bids, "asks": asks}).to_string().into_bytes()
}

fn live() -> Driver {
    let mut driver = Driver::open("binance_spot", small());
    driver.frame(&depth(1, &json!([]), &json!([]))).unwrap();
    let request = driver.request();
    assert!(request.path.ends_with("limit=10"));
    driver.fetched(request.id, Ok(&snapshot(1, 100, "1"))).unwrap();
    driver.frame(&depth(2, &json!([]), &json!([]))).unwrap();
    driver
}

/// Removes the asks 101 to 108: two remain of those the snapshot showed, and one beyond them is touched.
fn rise(driver: &mut Driver) {
    let asks: Vec<_> =
        (101..=108).map(|price| json!([price.to_string(), "0"])).chain([json!(["150", "7"])]).collect();
    driver.frame(&depth(3, &json!([]), &json!(asks))).unwrap();
}

fn prices(driver: &Driver) -> Vec<String> {
    driver.recorded.books().last().unwrap().asks.iter().map(|level| level.price.to_string()).collect()
}

#[test]
fn only_levels_that_are_known_are_published() {
    let mut driver = live();
    rise(&mut driver);
    // Between 110 and 150 there may be others.
    assert_eq!(prices(&driver), ["109", "110"]);
}

#[test]
fn a_book_that_knows_too_few_levels_asks_for_more_and_misses_nothing() {
    // The snapshot ends before what was received meanwhile, with it, or after it.
    for (snapshot_last, expected) in [
        (4, ["110.5", "111", "112", "113"]),
        (5, ["111", "112", "113", "114"]),
        (6, ["111", "112", "113", "114"]),
    ] {
        let mut driver = live();
        rise(&mut driver);
        driver.pass(29_000);
        assert!(driver.take_requests().is_empty(), "not so soon after the last one");
        driver.frame(&depth(4, &json!([]), &json!([]))).unwrap();
        driver.pass(2_000);
        let request = driver.request_taken();
        let asks =
            if snapshot_last == 4 { json!([["110.5", "1"]]) } else { json!([["109", "0"], ["110", "0"]]) };
        driver.frame(&depth(5, &json!([]), &asks)).unwrap();
        driver.fetched(request, Ok(&snapshot(snapshot_last, 110, "2"))).unwrap();
        driver.frame(&depth(6, &json!([["100", "3"]]), &json!([]))).unwrap();
        driver.frame(&depth(7, &json!([]), &json!([]))).unwrap();
        assert_eq!(prices(&driver), expected, "{snapshot_last}");
        let books = driver.recorded.books();
        assert_eq!(books.iter().map(|book| book.update_count).sum::<u64>(), 7);
        assert!(driver.recorded.gaps().is_empty());
        assert_eq!((driver.recorded.notes_of("Synced"), driver.recorded.notes_of("Resync")), (1, 0));
        driver.pass(60_000);
        assert!(driver.take_requests().is_empty(), "it knows enough");
    }
}

#[test]
fn a_book_whose_best_is_unknown_waits() {
    let mut driver = live();
    let asks: Vec<_> =
        (101..=110).map(|price| json!([price.to_string(), "0"])).chain([json!(["150", "7"])]).collect();
    let before = driver.recorded.books().len();
    driver.frame(&depth(3, &json!([]), &json!(asks))).unwrap();
    assert_eq!(driver.recorded.books().len(), before, "what the best ask is nobody told");
    driver.pass(31_000);
    let request = driver.request_taken();
    driver.fetched(request, Ok(&snapshot(3, 140, "2"))).unwrap();
    driver.pass(1_000);
    driver.frame(&depth(4, &json!([]), &json!([]))).unwrap();
    let books = driver.recorded.books();
    assert_eq!(books.iter().map(|book| book.update_count).sum::<u64>(), 4);
    assert_eq!(prices(&driver)[0], "141");
}

#[test]
fn a_side_that_a_snapshot_shows_whole_is_known_whole() {
    let mut driver = Driver::open("binance_spot", small());
    driver.frame(&depth(1, &json!([]), &json!([]))).unwrap();
    let request = driver.request();
    let body = json!({"lastUpdateId": 1, "bids": [["100", "1"]], "asks": [["101", "1"]]}).to_string();
    driver.fetched(request.id, Ok(body.as_bytes())).unwrap();
    driver.frame(&depth(2, &json!([]), &json!([["150", "7"]]))).unwrap();
    assert_eq!(prices(&driver), ["101", "150"]);
    driver.pass(60_000);
    assert!(driver.take_requests().iter().all(|request| !request.path.contains("depth")));
}

fn polled(integration: &str) -> Driver {
    let market_type = registry::find(integration).unwrap().market_types[0];
    let options = SessionOptions {
        book_mode: BookMode::Snapshot,
        book_publish_interval: Duration::from_millis(100),
        ..small()
    };
    let instruments = vec![pair(market_type, "BTC", "USDT")];
    Driver::new(
        integration,
        SessionConfig { instruments, data_types: vec![DataType::OrderBook], options, seeds: Vec::new() },
    )
}

#[test]
fn snapshot_mode_needs_no_socket() {
    let options = SessionOptions { book_mode: BookMode::Snapshot, ..options() };
    for (integration, pushed) in [("binance_spot", "stream"), ("binance_usdm", "market")] {
        let paths = (registry::find(integration).unwrap().paths)(BOTH, &options);
        let named: Vec<_> = paths.into_iter().map(|path| (path.name, path.data_types)).collect();
        assert_eq!(named, [(pushed, vec![DataType::Trade]), ("polled", vec![DataType::OrderBook])]);
    }
}

#[test]
fn snapshot_mode_publishes_what_rest_tells_each_second() {
    for (integration, path) in [
        ("binance_spot", "/api/v3/depth?symbol=BTCUSDT&limit=4"),
        ("binance_usdm", "/fapi/v1/depth?symbol=BTCUSDT&limit=5"),
    ] {
        let mut driver = polled(integration);
        let mut asked = Vec::new();
        for second in 0..5_u64 {
            driver.pass(1_000);
            for request in driver.take_requests() {
                assert_eq!(request.path, path);
                asked.push(second);
                // The third is the second again.
                let mut body: Value =
                    serde_json::from_slice(&snapshot(10 + second.min(2), 100, "1")).unwrap();
                if integration == "binance_usdm" {
                    body["E"] = json!(START / 1000 + 5);
                    body["T"] = json!(START / 1000);
                }
                driver.fetched(request.id, Ok(body.to_string().as_bytes())).unwrap();
            }
        }
        assert!((5..=6).contains(&asked.len()), "{asked:?}");
        let books = driver.recorded.books();
        assert_eq!(books.iter().map(|book| book.last_update_id).collect::<Vec<_>>(), [10, 11, 12]);
        let book = &books[0];
        assert_eq!((book.bids.len(), book.update_count, book.previous_update_id), (4, 1, None));
        assert_eq!(book.source, Source::Rest);
        let is_ours = integration == "binance_spot";
        assert_eq!(book.ts_event_source, is_ours.then_some(TimeSource::Recv));
        assert_eq!(book.ts_event_us.as_micros() == START, !is_ours);
        assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
    }
}

#[test]
fn a_snapshot_that_is_no_book_is_counted_and_never_published() {
    let crossed = json!({"lastUpdateId": 9, "bids": [["101", "1"]], "asks": [["100", "1"]]});
    let empty = json!({"lastUpdateId": 9, "bids": [], "asks": [["100", "1"]]});
    let unsorted = json!({"lastUpdateId": 9, "bids": [["98", "1"], ["99", "1"]], "asks": [["100", "1"]]});
    for (body, expected) in [(crossed, "crosses"), (empty, "a book of 0 bids"), (unsorted, "out of order")] {
        let mut driver = polled("binance_spot");
        let request = driver.request();
        let rejected = driver.fetched(request.id, Ok(body.to_string().as_bytes())).unwrap_err();
        assert!(rejected.detail.contains(expected), "{rejected}");
        assert!(driver.recorded.messages.is_empty());
    }
}

#[test]
fn snapshot_mode_gives_way_under_pressure() {
    let mut driver = polled("binance_spot");
    let asked = |driver: &mut Driver| {
        let mut asked = 0;
        for _ in 0..16 {
            driver.pass(1_000);
            for request in driver.take_requests() {
                asked += 1;
                driver.fetched(request.id, Ok(&snapshot(1, 100, "1"))).unwrap();
            }
        }
        asked
    };
    assert!((15..=17).contains(&asked(&mut driver)));
    driver.set_pressure(Pressure::SlowBooks);
    assert!((3..=5).contains(&asked(&mut driver)));
    driver.set_pressure(Pressure::HoldBooks);
    assert_eq!(asked(&mut driver), 0);
    assert!(!driver.resync(MarketType::Spot, "BTC-USDT"));
}

#[test]
fn where_places_are_few_every_symbol_has_its_turn() {
    let options = SessionOptions {
        book_mode: BookMode::Snapshot,
        book_publish_interval: Duration::from_secs(1),
        ..small()
    };
    let instruments = (0..100).map(|at| pair(MarketType::Spot, &format!("C{at}"), "USDT")).collect();
    let config =
        SessionConfig { instruments, data_types: vec![DataType::OrderBook], options, seeds: Vec::new() };
    let mut driver = Driver::new("binance_spot", config);
    let mut asked = std::collections::BTreeMap::<String, u32>::new();
    // An answer takes half a second: 16 a second, where 100 are wanted.
    for _ in 0..60 {
        driver.pass(500);
        let requests = driver.take_requests();
        assert!(requests.len() <= 8, "open at once");
        for request in requests {
            driver.fetched(request.id, Ok(&snapshot(1, 100, "1"))).unwrap();
            *asked.entry(request.path).or_default() += 1;
        }
    }
    let (least, most) = (asked.values().min().unwrap(), asked.values().max().unwrap());
    assert_eq!(asked.len(), 100);
    assert!(most - least <= 1, "{least} to {most}");
}
