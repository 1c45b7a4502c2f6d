//! What changes while a session runs: its instruments, the pressure, a resync that somebody asked for.

use std::time::Duration;

use marketprism_core::{DataType, GapReason, MarketType, Timestamp};
use marketprism_exchanges::registry::{Seed, SessionConfig, SessionOptions};
use marketprism_exchanges::{Link, Pressure, StreamState};
use serde_json::{Value, json};

use crate::driver::{BOTH, Driver, START, options, pair};

fn depth(symbol: &str, last: u64) -> String {
    let time = START / 1000 + i64::try_from(last).unwrap() * 100;
    json!({"stream": format!("{}@depth@100ms", symbol.to_lowercase()), "data": {"e": "depthUpdate", "E": time, "s": symbol,
        "U": last, "u": last, "b": [["99", last.to_string()]], "a": []}})
    .to_string()
}

fn trade(symbol: &str, id: u64) -> String {
    json!({"stream": format!("{}@trade", symbol.to_lowercase()), "data": {"s": symbol, "t": id, "p": "1", "q": "1",
        "T": START / 1000, "m": true}})
    .to_string()
}

fn session(bases: &[&str], options: SessionOptions) -> Driver {
    let instruments = bases.iter().map(|base| pair(MarketType::Spot, base, "USDT")).collect();
    let config = SessionConfig { instruments, data_types: BOTH.to_vec(), options, seeds: Vec::new() };
    let mut driver = Driver::new("binance_spot", config);
    driver.opened();
    driver
}

fn set(driver: &mut Driver, bases: &[&str]) {
    driver.set_instruments(bases.iter().map(|base| pair(MarketType::Spot, base, "USDT")).collect());
}

/// Makes a book live at update 2.
fn live(driver: &mut Driver, symbol: &str) {
    driver.frame(&depth(symbol, 1)).unwrap();
    driver.tick();
    let id = driver.request_taken();
    driver.fetched(id, Ok(br#"{"lastUpdateId":1,"bids":[["98","1"]],"asks":[["101","1"]]}"#)).unwrap();
    driver.frame(&depth(symbol, 2)).unwrap();
}

/// Acknowledges what was sent, and gives it: method and streams.
fn calls(driver: &mut Driver) -> Vec<(Link, String, Vec<String>)> {
    let sent = std::mem::take(&mut driver.recorded.sent);
    let links = std::mem::take(&mut driver.recorded.sent_on);
    let mut calls = Vec::new();
    for (text, link) in sent.into_iter().zip(links) {
        let call: Value = serde_json::from_str(&text).unwrap();
        driver.frame_on(link, &json!({"result": null, "id": call["id"]}).to_string()).unwrap();
        let streams =
            call["params"].as_array().into_iter().flatten().map(|stream| stream.as_str().unwrap().to_owned());
        calls.push((link, call["method"].as_str().unwrap().to_owned(), streams.collect()));
    }
    calls
}

#[test]
fn instruments_come_and_go_and_the_others_never_notice() {
    let slow = SessionOptions { book_publish_interval: Duration::from_secs(60), ..options() };
    let mut driver = session(&["BTC", "ETH"], slow);
    driver.opened_on(Link(1));
    calls(&mut driver);
    live(&mut driver, "BTCUSDT");
    live(&mut driver, "ETHUSDT");
    set(&mut driver, &["SOL", "BTC"]);
    // What was pending of the one that goes is published.
    let books = driver.recorded.books();
    assert_eq!(
        books.iter().map(|book| (book.symbol.as_ref(), book.last_update_id)).collect::<Vec<_>>(),
        [("ETH-USDT", 2)]
    );
    driver.frame(&depth("ETHUSDT", 3)).unwrap();
    assert_eq!(driver.recorded.notes.last().unwrap(), "Ignored { what: \"unsubscribed\" }");
    driver.pass(1_000);
    let asked = calls(&mut driver);
    let both = |method: &str, symbol: &str| {
        [0, 1].map(|link| {
            (Link(link), method.to_owned(), vec![format!("{symbol}@depth@100ms"), format!("{symbol}@trade")])
        })
    };
    assert_eq!(asked, [both("UNSUBSCRIBE", "ethusdt"), both("SUBSCRIBE", "solusdt")].concat());
    assert_eq!(driver.frame(&depth("ETHUSDT", 4)).unwrap_err().reason, "unknown_symbol");
    // The one that stays goes on where it was.
    driver.frame(&depth("BTCUSDT", 3)).unwrap();
    live(&mut driver, "SOLUSDT");
    driver.drain();
    assert!(driver.recorded.gaps().is_empty());
    assert_eq!(driver.recorded.notes_of("Synced"), 3);
    assert!(driver.recorded.reconnects.is_empty());
    assert_eq!(driver.state("SOL-USDT", DataType::OrderBook), StreamState::Live);
}

#[test]
fn an_instrument_that_goes_declares_what_it_cannot_publish() {
    let mut driver = session(&["BTC"], options());
    driver.frame(&depth("BTCUSDT", 1)).unwrap();
    driver.frame(&trade("BTCUSDT", 5)).unwrap();
    driver.frame(&trade("BTCUSDT", 9)).unwrap();
    set(&mut driver, &["ETH"]);
    let gaps = driver.recorded.gaps();
    let told: Vec<_> =
        gaps.iter().map(|gap| (gap.missing_data_type, gap.from_sequence, gap.to_sequence)).collect();
    assert_eq!(told, [(DataType::Trade, Some(6), Some(8)), (DataType::OrderBook, Some(1), Some(1))]);
    assert!(gaps.iter().all(|gap| gap.reason == GapReason::Shutdown));
}

#[test]
fn an_instrument_that_returns_at_once_is_subscribed_at_the_end() {
    let mut driver = session(&["BTC", "ETH"], options());
    calls(&mut driver);
    set(&mut driver, &["BTC"]);
    driver.pass(100);
    set(&mut driver, &["BTC", "ETH"]);
    let mut last = None;
    for _ in 0..30 {
        driver.pass(100);
        for (_, method, streams) in calls(&mut driver) {
            assert!(streams.iter().all(|stream| stream.starts_with("ethusdt")), "{streams:?}");
            last = Some(method);
        }
    }
    assert_eq!(last.as_deref(), Some("SUBSCRIBE"));
}

#[test]
fn an_instrument_that_returns_misses_nothing_of_the_time_before() {
    let seed = Seed {
        instrument_id: "BTCUSDT".into(),
        data_type: DataType::Trade,
        sequence: Some(4),
        event: Timestamp::from_micros(START).unwrap(),
        holes: vec![],
    };
    let instruments = vec![pair(MarketType::Spot, "BTC", "USDT")];
    let config =
        SessionConfig { instruments, data_types: BOTH.to_vec(), options: options(), seeds: vec![seed] };
    let mut driver = Driver::new("binance_spot", config);
    driver.opened();
    driver.frame(&trade("BTCUSDT", 5)).unwrap();
    set(&mut driver, &[]);
    set(&mut driver, &["BTC"]);
    driver.frame(&trade("BTCUSDT", 90)).unwrap();
    driver.pass(2_000);
    assert_eq!(driver.recorded.trade_ids(), [5, 90]);
    assert!(driver.recorded.gaps().is_empty() && driver.take_requests().is_empty());
}

#[test]
fn without_a_socket_new_instruments_wait_for_it() {
    let mut driver = session(&["BTC"], options());
    driver.closed();
    set(&mut driver, &["BTC", "ETH"]);
    assert_eq!(driver.state("ETH-USDT", DataType::Trade), StreamState::Disconnected);
    driver.recorded.sent.clear();
    driver.opened();
    assert!(driver.recorded.sent[0].contains("ethusdt@trade"));
}

#[test]
fn a_book_is_built_anew_on_demand_without_a_gap() {
    let mut driver = session(&["BTC", "ETH"], options());
    live(&mut driver, "BTCUSDT");
    assert!(!driver.resync(MarketType::Spot, "SOL-USDT"));
    assert!(!driver.resync(MarketType::Perpetual, "BTC-USDT"));
    assert!(driver.resync(MarketType::Spot, "BTC-USDT"));
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Syncing);
    driver.frame(&depth("BTCUSDT", 3)).unwrap();
    let request = driver.request();
    driver
        .fetched(request.id, Ok(br#"{"lastUpdateId":3,"bids":[["97","5"]],"asks":[["101","1"]]}"#))
        .unwrap();
    driver.frame(&depth("BTCUSDT", 4)).unwrap();
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
    assert!(driver.recorded.gaps().is_empty());
    let books = driver.recorded.books();
    assert_eq!(books.iter().map(|book| book.update_count).sum::<u64>(), 4, "every update is in a message");
    assert_eq!(driver.recorded.notes_of("Resync"), 1);
}

#[test]
fn under_pressure_books_are_rarer_and_every_update_still_counts() {
    let mut driver = session(&["BTC"], options());
    live(&mut driver, "BTCUSDT");
    let published = |driver: &Driver| driver.recorded.books().len();
    assert_eq!(published(&driver), 1);
    driver.set_pressure(Pressure::SlowBooks);
    for last in 3..=32 {
        driver.frame(&depth("BTCUSDT", last)).unwrap();
    }
    // Three seconds of events, one book a second.
    assert!((3..=4).contains(&published(&driver)), "{}", published(&driver));
    driver.set_pressure(Pressure::HoldBooks);
    let before = published(&driver);
    for last in 33..=62 {
        driver.frame(&depth("BTCUSDT", last)).unwrap();
    }
    driver.pass(5_000);
    assert_eq!(published(&driver), before);
    driver.set_pressure(Pressure::None);
    driver.frame(&depth("BTCUSDT", 63)).unwrap();
    let books = driver.recorded.books();
    assert_eq!(books.iter().map(|book| book.update_count).sum::<u64>(), 63);
    assert_eq!(books.last().unwrap().last_update_id, 63);
    assert!(driver.recorded.gaps().is_empty());
}
