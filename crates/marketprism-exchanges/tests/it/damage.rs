//! Whatever arrives, in whatever order: no panic, only valid messages, and every depth event accounted for.

use marketprism_core::{DataType, Instrument, MarketType};
use marketprism_exchanges::registry::{self, BookMode, SessionConfig, SessionOptions};
use marketprism_exchanges::{FetchFailed, Link, Pressure};
use proptest::prelude::*;
use serde_json::json;

use crate::driver::{Driver, LINK, START, options, pair};

#[derive(Debug, Clone)]
enum Step {
    Depth {
        skip: u64,
        length: u64,
        bid: u8,
        ask: u8,
        on_second: bool,
    },
    Trade {
        skip: u64,
    },
    Garbage(Vec<u8>),
    /// A valid frame with one byte changed.
    Mutated {
        at: usize,
        byte: u8,
    },
    Answer {
        is_good: bool,
        back: u64,
    },
    Pass(i64),
    Reconnect,
    /// Opens a second socket, or closes it.
    Second,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop_oneof![9 => Just(0_u64), 1 => 1..5_u64], 1..4_u64, 0..9_u8, 0..9_u8, any::<bool>())
            .prop_map(|(skip, length, bid, ask, on_second)| Step::Depth { skip, length, bid, ask, on_second }),
        4 => prop_oneof![9 => Just(0_u64), 1 => 1..20_u64].prop_map(|skip| Step::Trade { skip }),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Step::Mutated { at, byte }),
        4 => (any::<bool>(), 0..6_u64).prop_map(|(is_good, back)| Step::Answer { is_good, back }),
        4 => (0..30_i64).prop_map(|tenths| Step::Pass(tenths * 100)),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Second),
    ]
}

const SECOND: Link = Link(7);

struct Exchange {
    is_spot: bool,
    last: u64,
    trade: u64,
}

impl Exchange {
    fn depth(&mut self, skip: u64, length: u64, bid: u8, ask: u8) -> String {
        let previous = self.last + skip;
        let (first, last) = (previous + 1, previous + length);
        self.last = last;
        let mut data = json!({"e": "depthUpdate", "E": START / 1000, "T": START / 1000, "s": "BTCUSDT", "U": first, "u": last,
            "b": [[format!("{}.5", 90 + bid), "1"]], "a": [[format!("{}.5", 100 + ask), "1"]]});
        if !self.is_spot {
            data["pu"] = json!(previous);
        }
        json!({"stream": "btcusdt@depth@100ms", "data": data}).to_string()
    }

    fn trade(&mut self, skip: u64) -> String {
        self.trade += skip + 1;
        let (id, name) = (self.trade, if self.is_spot { "trade" } else { "aggTrade" });
        json!({"stream": format!("btcusdt@{name}"), "data": {"s": "BTCUSDT", "t": id, "a": id, "f": id, "l": id, "p": "95.1",
            "q": "2", "T": START / 1000, "m": id % 2 == 0}})
        .to_string()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_breaks_a_session(is_spot in any::<bool>(), steps in proptest::collection::vec(step(), 1..120)) {
        let mut driver = Driver::open(if is_spot { "binance_spot" } else { "binance_usdm" }, options());
        let mut exchange = Exchange { is_spot, last: 1_000, trade: 50 };
        let mut events = 0;
        let mut has_second = false;
        for step in steps {
            match step {
                Step::Depth { skip, length, bid, ask, on_second } => {
                    let link = if has_second && on_second { SECOND } else { LINK };
                    driver.frame_on(link, &exchange.depth(skip, length, bid, ask)).unwrap();
                    events += 1;
                }
                Step::Trade { skip } => driver.frame(&exchange.trade(skip)).unwrap(),
                Step::Garbage(bytes) => {
                    let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
                }
                Step::Mutated { at, byte } => {
                    // A copy of an old event, so that the count stays known.
                    let mut bytes = exchange.trade(0).into_bytes();
                    let at = at % bytes.len();
                    bytes[at] = byte;
                    let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
                }
                Step::Answer { is_good, back } => {
                    driver.tick();
                    for request in driver.take_requests() {
                        let snapshot = json!({"lastUpdateId": exchange.last.saturating_sub(back),
                            "bids": [["50", "1"]], "asks": [["150", "1"]]}).to_string();
                        let answer = match (is_good, request.path.contains("depth")) {
                            (false, _) => Err(FetchFailed::Transport("reset".into())),
                            (true, true) => Ok(snapshot.as_bytes()),
                            (true, false) => Ok(&b"[]"[..]),
                        };
                        driver.fetched(request.id, answer).unwrap();
                    }
                }
                Step::Pass(millis) => driver.pass(millis),
                Step::Reconnect => {
                    driver.closed();
                    driver.opened();
                }
                Step::Second if has_second => {
                    driver.closed_on(SECOND);
                    has_second = false;
                }
                Step::Second => {
                    driver.opened_on(SECOND);
                    has_second = true;
                }
            }
        }
        let counted: u64 = driver.recorded.books().iter().map(|book| book.update_count).sum();
        driver.drain();
        let after: u64 = driver.recorded.books().iter().map(|book| book.update_count).sum();
        let gaps = driver.recorded.gaps();
        let is_declared = gaps.iter().any(|gap| gap.reason == marketprism_core::GapReason::Shutdown
            && gap.missing_data_type == DataType::OrderBook);
        prop_assert!(counted <= after && after <= events);
        // What no message counts is declared at the end.
        prop_assert_eq!(after < events, is_declared, "{} of {} events", after, events);
    }

    #[test]
    fn a_mutated_depth_frame_never_panics(at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
        let mut driver = Driver::open("binance_usdm", options());
        let mut exchange = Exchange { is_spot: false, last: 1_000, trade: 50 };
        driver.frame(&exchange.depth(0, 1, 1, 1)).unwrap();
        let request = driver.request();
        driver.fetched(request.id, Ok(br#"{"lastUpdateId":1000,"bids":[["90","1"]],"asks":[["110","1"]]}"#)).unwrap();
        let mut bytes = exchange.depth(0, 3, 2, 2).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
        bytes.truncate(cut % bytes.len());
        let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
        let _rejected = driver.fetched(request.id, Ok(&bytes));
        driver.frame(&exchange.depth(0, 3, 2, 2)).unwrap();
    }
}

/// Frames and answers of every kind the futures sessions take, to be mutilated.
fn kinds() -> Vec<String> {
    let mut exchange = Exchange { is_spot: false, last: 1_000, trade: 50 };
    let time = START / 1000;
    let mark = json!({"stream": "btcusdt@markPrice", "data": {"e": "markPriceUpdate", "E": time, "s": "BTCUSDT", "p": "95.1",
        "i": "95.2", "P": "95.3", "r": "0.0001", "T": time + 1}});
    let order = json!({"stream": "btcusdt@forceOrder", "data": {"e": "forceOrder", "E": time, "o": {"s": "BTCUSDT", "S": "BUY",
        "q": "1", "p": "95.1", "ap": "95.2", "X": "FILLED", "z": "1", "T": time, "st": 1}}});
    let interest = json!({"symbol": "BTCUSDT", "openInterest": "95.5", "time": time});
    let ratio = json!([{"symbol": "BTCUSDT", "longAccount": "0.5", "longShortRatio": "1.0", "shortAccount": "0.5", "timestamp": time}]);
    let hours = json!([{"symbol": "BTCUSDT", "fundingIntervalHours": 4}]);
    let book =
        json!({"lastUpdateId": 1_001, "E": time, "T": time, "bids": [["90", "1"]], "asks": [["110", "1"]]});
    let trades = json!([{"a": 52, "p": "95.1", "q": "1", "f": 1, "l": 2, "T": time, "m": true}]);
    let answer = json!({"result": null, "id": 1});
    let refusal = json!({"error": {"code": 2, "msg": "no"}, "id": 1});
    let mut kinds =
        vec![exchange.depth(0, 1, 1, 1), exchange.depth(2, 3, 4, 4), exchange.trade(0), exchange.trade(4)];
    kinds.extend(
        [mark, order, interest, ratio, hours, book, trades, answer, refusal].map(|kind| kind.to_string()),
    );
    kinds
}

#[derive(Debug, Clone)]
enum Deed {
    /// A frame on a socket, with some bytes changed and cut off.
    Frame(u64, usize, Vec<(usize, u8)>, Option<usize>),
    /// The same as an answer to every open request.
    Answer(usize, Vec<(usize, u8)>),
    Refuse(u16),
    Open(u64),
    Close(u64),
    Instruments(Vec<bool>),
    Pressure(Pressure),
    Resync,
    Pass(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let changes = || proptest::collection::vec((any::<usize>(), any::<u8>()), 0..3);
    let pressures = [Pressure::None, Pressure::SlowBooks, Pressure::PausePolls, Pressure::HoldBooks];
    prop_oneof![
        8 => (0..3_u64, 0..13_usize, changes(), proptest::option::weighted(0.1, any::<usize>()))
            .prop_map(|(link, kind, changes, cut)| Deed::Frame(link, kind, changes, cut)),
        3 => (0..13_usize, changes()).prop_map(|(kind, changes)| Deed::Answer(kind, changes)),
        1 => prop_oneof![Just(400), Just(418), Just(429), Just(451), Just(503)].prop_map(Deed::Refuse),
        2 => (0..3_u64).prop_map(Deed::Open),
        1 => (0..3_u64).prop_map(Deed::Close),
        1 => proptest::collection::vec(any::<bool>(), 3).prop_map(Deed::Instruments),
        1 => proptest::sample::select(pressures.to_vec()).prop_map(Deed::Pressure),
        1 => Just(Deed::Resync),
        3 => (0..60_i64).prop_map(|tenths| Deed::Pass(tenths * 100)),
    ]
}

fn changed(text: &str, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte) in changes {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    bytes
}

fn instruments(wanted: &[bool]) -> Vec<Instrument> {
    let dated = Instrument::new("binance", MarketType::Futures, "BTC-USDT-20261225".into(), "BTCUSDT_261225");
    let all = [
        pair(MarketType::Perpetual, "BTC", "USDT"),
        pair(MarketType::Perpetual, "ETH", "USDT"),
        dated.unwrap(),
    ];
    all.into_iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(instrument, _)| instrument).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The driver checks every message.
    #[test]
    fn whatever_is_done_to_a_session_it_lives(is_polled in any::<bool>(), deeds in proptest::collection::vec(deed(), 1..150)) {
        let kinds = kinds();
        let usdm = registry::find("binance_usdm").unwrap();
        let book_mode = if is_polled { BookMode::Snapshot } else { BookMode::Incremental };
        let options = SessionOptions { book_mode, snapshot_levels: 5, book_depth: 2, ..options() };
        let data_types = if is_polled {
            (usdm.paths)(usdm.data_types, &options).into_iter().find(|path| path.path.is_none()).unwrap().data_types
        } else {
            usdm.data_types.to_vec()
        };
        let config = SessionConfig { instruments: instruments(&[true, true, false]), data_types, options, seeds: Vec::new() };
        let mut driver = Driver::new("binance_usdm", config);
        let mut open = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Frame(link, kind, changes, cut) => {
                    let mut bytes = changed(&kinds[kind], &changes);
                    bytes.truncate(cut.map_or(bytes.len(), |cut| cut % bytes.len()));
                    let _rejected = driver.frame_on(Link(link), &String::from_utf8_lossy(&bytes));
                }
                Deed::Answer(kind, changes) => {
                    let bytes = changed(&kinds[kind], &changes);
                    for request in std::mem::take(&mut open) {
                        let _rejected = driver.fetched(request, Ok(&bytes));
                    }
                }
                Deed::Refuse(status) => {
                    for request in std::mem::take(&mut open) {
                        let failure = FetchFailed::Status { status, body: "no".into(), retry_after_seconds: Some(1) };
                        driver.fetched(request, Err(failure)).unwrap();
                    }
                }
                Deed::Open(link) => {
                    driver.closed_on(Link(link));
                    driver.opened_on(Link(link));
                }
                Deed::Close(link) => driver.closed_on(Link(link)),
                Deed::Instruments(wanted) => driver.set_instruments(instruments(&wanted)),
                Deed::Pressure(pressure) => driver.set_pressure(pressure),
                Deed::Resync => {
                    driver.resync(MarketType::Perpetual, "BTC-USDT");
                }
                Deed::Pass(millis) => driver.pass(millis),
            }
            let made = driver.take_requests();
            prop_assert!(made.len() <= 8, "{} requests at once", made.len());
            open.extend(made.into_iter().map(|request| request.id));
        }
        driver.drain();
    }
}
