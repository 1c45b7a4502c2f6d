//! Whatever arrives, in whatever order: no panic, only valid messages, and every depth event accounted for.

use marketprism_exchanges::FetchFailed;
use proptest::prelude::*;
use serde_json::json;

use crate::driver::{Driver, START, options};

#[derive(Debug, Clone)]
enum Step {
    Depth {
        skip: u64,
        length: u64,
        bid: u8,
        ask: u8,
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
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop_oneof![9 => Just(0_u64), 1 => 1..5_u64], 1..4_u64, 0..9_u8, 0..9_u8)
            .prop_map(|(skip, length, bid, ask)| Step::Depth { skip, length, bid, ask }),
        4 => prop_oneof![9 => Just(0_u64), 1 => 1..20_u64].prop_map(|skip| Step::Trade { skip }),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Step::Mutated { at, byte }),
        4 => (any::<bool>(), 0..6_u64).prop_map(|(is_good, back)| Step::Answer { is_good, back }),
        4 => (0..30_i64).prop_map(|tenths| Step::Pass(tenths * 100)),
        1 => Just(Step::Reconnect),
    ]
}

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
        for step in steps {
            match step {
                Step::Depth { skip, length, bid, ask } => {
                    driver.frame(&exchange.depth(skip, length, bid, ask)).unwrap();
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
            }
        }
        let counted: u64 = driver.recorded.books().iter().map(|book| book.update_count).sum();
        driver.drain();
        let after: u64 = driver.recorded.books().iter().map(|book| book.update_count).sum();
        let gaps = driver.recorded.gaps();
        let is_declared = gaps.iter().any(|gap| gap.reason == marketprism_core::GapReason::Shutdown
            && gap.missing_data_type == marketprism_core::DataType::OrderBook);
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
