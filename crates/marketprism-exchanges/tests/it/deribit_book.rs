//! Deribit's order books: by `change_id`, over one socket and over two.

use std::time::Duration;

use marketprism_core::{DataType, GapReason, Source};
use marketprism_exchanges::registry::{BookMode, SessionOptions};
use marketprism_exchanges::{FetchFailed, Link, Pressure, StreamState};
use proptest::prelude::*;

use crate::deribit::{
    BTC, ETH, OPTION, OTHER, at, change, config, feed, open, open_with, seed, settle, snapshot, time,
};
use crate::driver::{Driver, LINK, options};

const BOOK: &[DataType] = &[DataType::OrderBook];
const UNSUBSCRIBE: &str = "public/unsubscribe";
const SUBSCRIBE: &str = "public/subscribe";

fn books() -> Driver {
    open(BOOK)
}

/// What is published, as `id: bids | asks` with prices and quantities.
fn published(driver: &Driver) -> Vec<String> {
    let side = |levels: &[marketprism_core::message::Level]| {
        levels.iter().map(|level| format!("{}x{}", level.price, level.quantity)).collect::<Vec<_>>().join(" ")
    };
    driver
        .recorded
        .books()
        .iter()
        .map(|book| format!("{}: {} | {}", book.last_update_id, side(&book.bids), side(&book.asks)))
        .collect()
}

fn ids(driver: &Driver) -> Vec<u64> {
    driver.recorded.books().iter().map(|book| book.last_update_id).collect()
}

#[test]
fn a_snapshot_and_its_changes_are_published_in_base_units() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("50000.0", "1.0e6"), ("50000.5", "100001.0")));
    feed(
        &mut driver,
        &change(
            BTC,
            100,
            117,
            r#"["new",49999.5,2.0e4],["change",50000.0,500]"#,
            r#"["delete",50000.5,0.0],["new",62500,10]"#,
        ),
    );
    // An inverse contract's amount is in USD: what that is in base units depends on the level's price.
    assert_eq!(
        published(&driver),
        ["100: 50000.0x20 | 50000.5x2", "117: 50000.0x0.01 49999.5x0.4000040000400004 | 62500x0.00016",]
    );
    let books = driver.recorded.books();
    assert_eq!((books[0].previous_update_id, books[1].previous_update_id), (None, Some(100)));
    assert_eq!((books[1].update_count, books[1].ts_event_us), (1, time(117)));
    assert_eq!(books[1].symbol, "BTC-USD");
    assert_eq!(driver.state("BTC-USD", DataType::OrderBook), StreamState::Live);
    assert_eq!(driver.state("ETH-USDC", DataType::OrderBook), StreamState::Waiting);
}

#[test]
fn a_linear_contract_and_an_option_are_in_base_units_already() {
    let mut driver = books();
    for id in [ETH, OPTION] {
        feed(&mut driver, &snapshot(id, 7, ("0.0405", "0.3"), ("0.041", "12")));
    }
    assert_eq!(published(&driver), ["7: 0.0405x0.3 | 0.041x12"; 2]);
}

#[test]
fn a_missing_change_is_one_gap_and_renews_that_channel_only() {
    let mut driver = books();
    for id in [BTC, ETH] {
        feed(&mut driver, &snapshot(id, 100, ("99", "10"), ("101", "10")));
    }
    feed(&mut driver, &change(BTC, 100, 105, r#"["new",98,10]"#, ""));
    feed(&mut driver, &change(BTC, 109, 112, r#"["new",97,10]"#, ""));
    assert_eq!(driver.state("BTC-USD", DataType::OrderBook), StreamState::Syncing);
    assert_eq!(driver.recorded.notes_of("Resync"), 1);
    // What is under way when it is renewed is of no use.
    feed(&mut driver, &change(BTC, 112, 113, r#"["new",96,10]"#, ""));
    let channel = vec![format!("book.{BTC}.100ms")];
    assert_eq!(
        settle(&mut driver),
        [(LINK, UNSUBSCRIBE.to_owned(), channel.clone()), (LINK, SUBSCRIBE.to_owned(), channel),]
    );
    feed(&mut driver, &snapshot(BTC, 140, ("99", "20"), ("101", "10")));
    feed(&mut driver, &change(BTC, 140, 141, r#"["new",98.5,10]"#, ""));
    feed(&mut driver, &change(ETH, 100, 150, r#"["new",98,10]"#, ""));
    let gaps = driver.recorded.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        (gaps[0].symbol.as_ref(), gaps[0].missing_data_type, gaps[0].reason),
        ("BTC-USD", DataType::OrderBook, GapReason::Sequence)
    );
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(106), Some(139)));
    assert_eq!((gaps[0].from_time_us, gaps[0].to_time_us), (Some(time(105)), Some(time(140))));
    assert_eq!(ids(&driver), [100, 100, 105, 140, 141, 150]);
    let books = driver.recorded.books();
    assert_eq!((books[3].previous_update_id, books[3].bids.len()), (None, 1), "begun anew");
    assert!(driver.recorded.reconnects.is_empty());
}

#[test]
fn a_replay_is_a_duplicate_and_ids_that_fall_later_are_a_restart() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 5_000, ("99", "10"), ("101", "10")));
    feed(&mut driver, &change(BTC, 5_000, 5_001, r#"["new",98,10]"#, ""));
    feed(&mut driver, &change(BTC, 5_000, 5_001, r#"["new",98,10]"#, ""));
    assert_eq!(driver.recorded.notes_of("Duplicate"), 1);
    let late = |frame: String, id: u64| frame.replace(&at(id).to_string(), &at(9_000 + id).to_string());
    feed(&mut driver, &late(change(BTC, 3, 7, "", ""), 7));
    settle(&mut driver);
    feed(&mut driver, &late(snapshot(BTC, 9, ("98", "10"), ("102", "10")), 9));
    assert_eq!(ids(&driver), [5_000, 5_001, 9]);
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].detail.as_deref()), (None, Some("change ids restarted")));
    assert_eq!((gaps[0].from_time_us, gaps[0].to_time_us), (Some(time(5_001)), Some(time(9_009))));
}

#[test]
fn a_crossed_book_is_never_published_and_renewed_with_patience() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    feed(&mut driver, &change(BTC, 100, 101, r#"["new",101.5,10]"#, ""));
    driver.pass(900);
    assert!(driver.recorded.sent.is_empty());
    assert_eq!(settle(&mut driver).len(), 2);
    feed(&mut driver, &snapshot(BTC, 110, ("101", "10"), ("102", "10")));
    assert_eq!(ids(&driver), [100, 110]);
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].from_sequence, gaps[0].to_sequence), (1, Some(101), Some(109)));
}

#[test]
fn a_reconnect_without_a_change_declares_nothing() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    driver.closed();
    assert_eq!(driver.state("BTC-USD", DataType::OrderBook), StreamState::Disconnected);
    driver.opened();
    settle(&mut driver);
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    assert!(driver.recorded.gaps().is_empty());
    feed(&mut driver, &change(BTC, 100, 103, r#"["new",98,10]"#, ""));
    driver.closed();
    driver.opened();
    settle(&mut driver);
    feed(&mut driver, &snapshot(BTC, 120, ("99", "10"), ("101", "10")));
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].reason), (1, GapReason::Disconnect));
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(104), Some(119)));
    assert_eq!(ids(&driver), [100, 103, 120]);
}

#[test]
fn a_restart_continues_after_what_was_published() {
    let mut driver = open_with(config(BOOK, options(), vec![seed(BTC, DataType::OrderBook, 90, 90)]));
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    let gaps = driver.recorded.gaps();
    assert_eq!(
        (gaps[0].from_sequence, gaps[0].to_sequence, gaps[0].reason),
        (Some(91), Some(99), GapReason::Disconnect)
    );
}

#[test]
fn a_snapshot_behind_what_was_published_is_caught_up_with_first() {
    let mut driver = open_with(config(BOOK, options(), vec![seed(BTC, DataType::OrderBook, 105, 105)]));
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    feed(&mut driver, &change(BTC, 100, 105, r#"["new",98,10]"#, ""));
    assert!(ids(&driver).is_empty());
    feed(&mut driver, &change(BTC, 105, 106, r#"["new",97,970]"#, ""));
    assert_eq!(ids(&driver), [106]);
    assert_eq!(driver.recorded.books()[0].bids.len(), 3);
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn a_bad_field_is_named_and_costs_that_book_only() {
    let good = change(BTC, 100, 101, r#"["new",98,10]"#, "");
    for (field, bad, expected) in [
        ("98", "\"98\"", "field `bids[0]`: `\"98\"` is not a decimal"),
        ("98", "-98", "field `bids[0]`: price `-98` is not above zero"),
        ("98,10", "98,-1e1", "field `bids[0]`: amount `-10` is below zero"),
        ("98,10", "98", "field `bids[0]`: invalid length 2"),
        ("\"prev_change_id\":100", "\"prev_change_id\":null", "field `prev_change_id`: missing"),
        (
            "\"prev_change_id\":100",
            "\"prev_change_id\":101",
            "field `prev_change_id`: `101` is not below `change_id` 101",
        ),
        ("\"change_id\":101,", "", "field `change_id`: missing"),
        ("\"type\":\"change\"", "\"type\":\"patch\"", "field `type`: unknown variant `patch`"),
        (
            "\"instrument_name\":\"BTC-PERPETUAL\"",
            "\"instrument_name\":\"ETH-PERPETUAL\"",
            "field `instrument_name`: `ETH-PERPETUAL` on the channel of BTC-PERPETUAL",
        ),
    ] {
        let mut driver = books();
        feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
        let frame = good.replace(field, bad);
        assert_ne!(frame, good);
        let rejected = driver.frame(&frame).unwrap_err();
        assert_eq!(rejected.reason, "invalid_field");
        assert!(rejected.detail.contains(expected), "{rejected}");
        assert_eq!(settle(&mut driver).len(), 2);
        feed(&mut driver, &snapshot(BTC, 120, ("99", "10"), ("101", "10")));
        assert_eq!(driver.recorded.gaps()[0].reason, GapReason::Undecodable);
        assert_eq!(ids(&driver), [100, 120]);
    }
}

#[test]
fn one_sided_and_empty_books_are_books() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    feed(&mut driver, &change(BTC, 100, 101, r#"["delete",99,0.0]"#, ""));
    feed(&mut driver, &change(BTC, 101, 102, "", r#"["delete",101.0,0.0]"#));
    assert_eq!(published(&driver)[1..], ["101:  | 101x0.09900990099009901", "102:  | "]);
}

#[test]
fn a_book_is_renewed_on_demand() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    assert!(driver.resync(marketprism_core::MarketType::Perpetual, "BTC-USD"));
    assert!(!driver.resync(marketprism_core::MarketType::Options, "BTC-USD"));
    assert_eq!(settle(&mut driver).len(), 2);
    feed(&mut driver, &snapshot(BTC, 100, ("80", "20"), ("101", "10")));
    feed(&mut driver, &change(BTC, 100, 101, "", r#"["delete",101,0.0]"#));
    assert_eq!(published(&driver)[1], "101: 80x0.25 | ");
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn a_snapshot_that_does_not_come_is_asked_for_again() {
    let mut driver = books();
    driver.pass(25_000);
    let renewed: Vec<_> =
        settle(&mut driver).into_iter().filter(|(_, method, _)| method == SUBSCRIBE).collect();
    assert_eq!(renewed.len(), 1, "three books in one call: {renewed:?}");
    assert_eq!(renewed[0].2.len(), 3);
}

#[test]
fn a_book_is_published_at_its_turn_and_held_under_pressure() {
    let options = SessionOptions { book_publish_interval: Duration::from_millis(100), ..options() };
    let mut driver = open_with(config(BOOK, options, Vec::new()));
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    driver.pass(1_000);
    assert_eq!(ids(&driver), [100]);
    driver.set_pressure(Pressure::HoldBooks);
    for id in 101..200 {
        feed(&mut driver, &change(BTC, id - 1, id, &format!(r#"["new",98,{id}]"#), ""));
    }
    driver.pass(5_000);
    assert_eq!(ids(&driver), [100]);
    driver.set_pressure(Pressure::None);
    driver.pass(1_000);
    assert_eq!((ids(&driver), driver.recorded.books()[1].update_count), (vec![100, 199], 99));
}

#[test]
fn a_second_socket_takes_over_without_a_gap_or_a_duplicate() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    driver.opened_on(OTHER);
    settle(&mut driver);
    feed(&mut driver, &change(BTC, 100, 104, r#"["new",98,10]"#, ""));
    driver.frame_on(OTHER, &snapshot(BTC, 102, ("99", "10"), ("101", "10"))).unwrap();
    // Cut elsewhere: what it repeats changes nothing, what is new is applied.
    driver.frame_on(OTHER, &change(BTC, 102, 106, r#"["new",98,10],["new",97,970]"#, "")).unwrap();
    feed(&mut driver, &change(BTC, 104, 105, "", "")); // Is in the book already.
    feed(&mut driver, &change(BTC, 105, 106, r#"["new",97,970]"#, ""));
    driver.closed_on(LINK);
    driver.frame_on(OTHER, &change(BTC, 106, 108, "", r#"["delete",101,0.0]"#)).unwrap();
    assert_eq!(ids(&driver), [100, 104, 106, 108]);
    assert_eq!(driver.recorded.books()[3].bids.len(), 3);
    assert_eq!(driver.recorded.books().iter().map(|book| book.update_count).sum::<u64>(), 4);
    assert!(driver.recorded.gaps().is_empty());
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
}

#[test]
fn a_newer_snapshot_of_a_second_socket_replaces_the_book() {
    let mut driver = books();
    feed(&mut driver, &snapshot(BTC, 100, ("99", "10"), ("101", "10")));
    driver.opened_on(OTHER);
    driver.frame_on(OTHER, &snapshot(BTC, 110, ("99", "990"), ("101", "10"))).unwrap();
    feed(&mut driver, &change(BTC, 100, 108, r#"["new",98,10]"#, ""));
    feed(&mut driver, &change(BTC, 108, 112, r#"["new",97,10]"#, ""));
    assert_eq!(ids(&driver), [100, 110, 112]);
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn a_break_of_one_socket_is_covered_by_the_other() {
    let mut driver = books();
    driver.opened_on(OTHER);
    settle(&mut driver);
    for link in [LINK, OTHER] {
        driver.frame_on(link, &snapshot(BTC, 100, ("99", "10"), ("101", "10"))).unwrap();
    }
    feed(&mut driver, &change(BTC, 103, 105, r#"["new",98,10]"#, ""));
    driver.frame_on(OTHER, &change(BTC, 100, 105, r#"["new",98,10]"#, "")).unwrap();
    assert_eq!(driver.state("BTC-USD", DataType::OrderBook), StreamState::Live);
    let calls = settle(&mut driver);
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|(link, _, channels)| *link == LINK && channels.len() == 1), "{calls:?}");
    feed(&mut driver, &snapshot(BTC, 104, ("99", "10"), ("101", "10")));
    feed(&mut driver, &change(BTC, 104, 106, r#"["new",97,10]"#, ""));
    assert_eq!(ids(&driver), [100, 105, 106]);
    assert!(driver.recorded.gaps().is_empty());
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
}

#[test]
fn books_are_polled_in_snapshot_mode() {
    let options = SessionOptions {
        book_mode: BookMode::Snapshot,
        book_publish_interval: Duration::from_secs(1),
        ..options()
    };
    let deribit = marketprism_exchanges::registry::find("deribit").unwrap();
    let paths = (deribit.paths)(deribit.data_types, &options);
    let told: Vec<_> = paths.iter().map(|path| (path.name, path.path, path.data_types.len())).collect();
    assert_eq!(told, [("stream", Some("/ws/api/v2"), 4), ("rest", None, 1)]);
    let mut driver = Driver::new("deribit", config(BOOK, options, Vec::new()));
    driver.pass(1_000);
    let requests = driver.take_requests();
    let request = requests.iter().find(|request| request.path.contains(BTC)).unwrap();
    assert_eq!(request.path, "/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=20");
    assert_eq!((request.limit, request.weight), ("credits", 500));
    let body = format!(
        r#"{{"id":3,"jsonrpc":"2.0","result":{{"asks":[[62500.0,10.0]],"bids":[[50000.0,1.0e6]],"change_id":77,"instrument_name":"{BTC}","state":"open","timestamp":{},"best_ask_price":null}},"usIn":1}}"#,
        at(5)
    );
    driver.fetched(request.id, Ok(body.as_bytes())).unwrap();
    assert_eq!(published(&driver), ["77: 50000.0x20 | 62500.0x0.00016"]);
    assert_eq!(driver.recorded.books()[0].source, Source::Rest);
    for request in requests.iter().filter(|request| !request.path.contains(BTC)) {
        driver.fetched(request.id, Err(FetchFailed::Transport("reset".into()))).unwrap();
    }
}

/// An exchange's book and two sockets that cut its changes elsewhere.
#[derive(Debug, Clone)]
struct Step {
    price: u8,
    amount: u8,
    jump: u8,
    sends: [bool; 2],
    drops: [bool; 2],
}

fn step() -> impl Strategy<Value = Step> {
    let rarely = || prop_oneof![30 => Just(false), 1 => Just(true)];
    (0..12_u8, 0..4_u8, 1..5_u8, any::<[bool; 2]>(), [rarely(), rarely()])
        .prop_map(|(price, amount, jump, sends, drops)| Step { price, amount, jump, sends, drops })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever a socket loses: every published book is the exchange's at that id, and only what both lost is a gap.
    #[test]
    fn every_published_book_is_the_exchanges(steps in proptest::collection::vec(step(), 1..120), sockets in 1..3_usize) {
        use std::collections::BTreeMap;
        let mut driver = books();
        if sockets == 2 {
            driver.opened_on(OTHER);
            settle(&mut driver);
        }
        let links = [LINK, OTHER];
        let (mut id, mut book) = (100_u64, BTreeMap::from([(90_u8, 1_u8), (110, 1)]));
        let mut history = BTreeMap::from([(id, book.clone())]);
        let write = |book: &BTreeMap<u8, u8>, is_bid: bool| book.iter().filter(|(price, _)| (**price < 100) == is_bid)
            .map(|(price, amount)| format!(r#"["new",{price},{amount}.0]"#)).collect::<Vec<_>>().join(",");
        let full = |id: u64, book: &BTreeMap<u8, u8>| crate::deribit::event(&format!("book.{ETH}.100ms"), &format!(
            r#"{{"type":"snapshot","timestamp":{},"change_id":{id},"instrument_name":"{ETH}","bids":[{}],"asks":[{}]}}"#, at(id), write(book, true), write(book, false)));
        let mut sent = [id; 2];
        let mut changed: [BTreeMap<u8, u8>; 2] = Default::default();
        for link in &links[..sockets] {
            driver.frame_on(*link, &full(id, &book)).unwrap();
        }
        for step in &steps {
            let price = if step.price < 6 { 90 + step.price } else { 104 + step.price };
            id += u64::from(step.jump);
            if step.amount == 0 { book.remove(&price); } else { book.insert(price, step.amount); }
            history.insert(id, book.clone());
            for socket in 0..sockets {
                changed[socket].insert(price, step.amount);
                if !step.sends[socket] {
                    continue;
                }
                let side = |is_bid: bool| changed[socket].iter().filter(|(price, _)| (**price < 100) == is_bid)
                    .map(|(price, amount)| format!(r#"["{}",{price},{amount}.0]"#, if *amount == 0 { "delete" } else { "change" })).collect::<Vec<_>>().join(",");
                let frame = change(ETH, sent[socket], id, &side(true), &side(false));
                sent[socket] = id;
                changed[socket].clear();
                if !step.drops[socket] {
                    driver.frame_on(links[socket], &frame).unwrap();
                }
            }
            driver.tick();
            for (link, _, _) in settle(&mut driver).into_iter().filter(|(_, method, channels)| method == SUBSCRIBE && channels.contains(&format!("book.{ETH}.100ms"))) {
                let socket = usize::from(link == OTHER);
                sent[socket] = id;
                changed[socket].clear();
                driver.frame_on(link, &full(id, &book)).unwrap();
            }
        }
        for told in driver.recorded.books().iter().filter(|book| book.symbol == "ETH-USDC") {
            let levels: BTreeMap<u8, u8> = told.bids.iter().chain(told.asks.iter())
                .map(|level| (level.price.to_string().parse().unwrap(), level.quantity.to_string().split('.').next().unwrap().parse().unwrap())).collect();
            prop_assert_eq!(&levels, &history[&told.last_update_id], "at {}", told.last_update_id);
        }
        if sockets == 2 && steps.iter().all(|step| !(step.drops[0] || step.drops[1])) {
            prop_assert!(driver.recorded.gaps().is_empty());
        }
        if steps.iter().all(|step| !step.drops.contains(&true)) {
            prop_assert_eq!(driver.recorded.notes_of("Resync"), 0);
        }
        let ids: Vec<u64> = driver.recorded.books().iter().map(|book| book.last_update_id).collect();
        prop_assert!(ids.is_sorted_by(|one, next| one < next), "{:?}", ids);
    }
}

#[test]
fn a_frame_of_no_socket_is_refused() {
    let mut driver = books();
    let rejected = driver.frame_on(Link(9), &snapshot(BTC, 1, ("1", "1"), ("2", "1"))).unwrap_err();
    assert_eq!(rejected.reason, "unexpected");
}
