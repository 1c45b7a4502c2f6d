//! Whatever Deribit's sockets bring, in whatever order: no panic, only valid messages, no queue that grows.

use marketprism_exchanges::{FetchFailed, Link};
use proptest::prelude::*;

use crate::deribit::{
    ALL, BTC, ETH, INDEX, OTHER, change, config, event, historical, instruments, seed, snapshot, trades,
};
use crate::driver::{Driver, LINK, options};

#[derive(Debug, Clone)]
enum Step {
    Frame {
        kind: u8,
        skip: u64,
        is_other: bool,
    },
    /// A valid frame with one byte changed, or cut.
    Mutated {
        kind: u8,
        at: usize,
        byte: u8,
        is_cut: bool,
    },
    Garbage(Vec<u8>),
    Answer {
        is_good: bool,
    },
    Pass(i64),
    Reopened {
        is_other: bool,
    },
    Instruments(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let skip = || prop_oneof![9 => Just(0_u64), 1 => 1..9_u64];
    prop_oneof![
        12 => (0..10_u8, skip(), any::<bool>()).prop_map(|(kind, skip, is_other)| Step::Frame { kind, skip, is_other }),
        3 => (0..10_u8, any::<usize>(), any::<u8>(), any::<bool>())
            .prop_map(|(kind, at, byte, is_cut)| Step::Mutated { kind, at, byte, is_cut }),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        3 => any::<bool>().prop_map(|is_good| Step::Answer { is_good }),
        3 => (0..60_i64).prop_map(|tenths| Step::Pass(tenths * 100)),
        1 => any::<bool>().prop_map(|is_other| Step::Reopened { is_other }),
        1 => (0..5_usize).prop_map(Step::Instruments),
    ]
}

/// Frames of every kind; ids rise.
fn frame(kind: u8, id: u64, previous: u64) -> String {
    let ticker = format!(
        r#"{{"timestamp":{},"instrument_name":"{BTC}","open_interest":1.0e{},"mark_price":5e4,"current_funding":-1.5e-21}}"#,
        crate::deribit::at(id * 100),
        id % 12
    );
    match kind {
        0 => snapshot(BTC, id, ("99.5", "1.0e3"), ("101", "10")),
        1 => change(BTC, previous, id, r#"["new",98,10],["delete",99.5,0.0]"#, r#"["change",101,2e1]"#),
        2 => change(ETH, previous, id, r#"["new",105,10]"#, ""),
        3 => trades(BTC, [id, id + 1]),
        4 => event(&format!("ticker.{BTC}.100ms"), &ticker),
        5 => event(
            &format!("deribit_volatility_index.{INDEX}"),
            &format!(r#"{{"volatility":35.9,"timestamp":{}}}"#, crate::deribit::at(id)),
        ),
        6 => r#"{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}"#.to_owned(),
        7 => format!(r#"{{"jsonrpc":"2.0","id":{},"result":["book.{BTC}.100ms"],"usIn":1}}"#, id % 5),
        8 => format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":11052,"message":"subscribe_error"}}}}"#,
            id % 5
        ),
        _ => event("platform_state", r#"{"locked":true,"price_index":"sol_usdc"}"#),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_breaks_a_session(steps in proptest::collection::vec(step(), 1..150)) {
        let mut driver = Driver::new("deribit", config(ALL, options(), vec![seed(BTC, marketprism_core::DataType::Trade, 5, 5)]));
        driver.opened();
        let (mut id, mut open) = (10_u64, vec![LINK]);
        for step in steps {
            match step {
                Step::Frame { kind, skip, is_other } => {
                    let previous = id + skip;
                    id = previous + 1;
                    let link = if is_other { OTHER } else { LINK };
                    let _rejected = driver.frame_on(link, &frame(kind, id, previous));
                }
                Step::Mutated { kind, at, byte, is_cut } => {
                    let mut bytes = frame(kind, id + 1, id).into_bytes();
                    let at = at % bytes.len();
                    bytes[at] = byte;
                    if is_cut {
                        bytes.truncate(at);
                    }
                    let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
                }
                Step::Garbage(bytes) => {
                    let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
                }
                Step::Answer { is_good } => {
                    driver.tick();
                    for request in driver.take_requests() {
                        let answer = historical(BTC, 1..id);
                        let answer = if is_good { Ok(answer.as_slice()) } else { Err(FetchFailed::Transport("reset".into())) };
                        let _rejected = driver.fetched(request.id, answer);
                    }
                }
                Step::Pass(millis) => driver.pass(millis),
                Step::Reopened { is_other } => {
                    let link = if is_other { OTHER } else { LINK };
                    if open.contains(&link) {
                        driver.closed_on(link);
                        open.retain(|one| *one != link);
                    }
                    driver.opened_on(link);
                    open.push(link);
                }
                Step::Instruments(count) => driver.set_instruments(instruments().into_iter().take(count).collect()),
            }
        }
        driver.drain();
        let ids: Vec<u64> = driver.recorded.books().iter().filter(|book| book.instrument_id == BTC).map(|book| book.last_update_id).collect();
        prop_assert!(ids.iter().all(|last| *last <= id + 1));
    }

    #[test]
    fn no_text_breaks_a_decoder(text in ".{0,60}", channel in 0..4_usize) {
        let mut driver = Driver::new("deribit", config(ALL, options(), Vec::new()));
        driver.opened();
        let channel = [format!("book.{BTC}.100ms"), format!("trades.{BTC}.100ms"), format!("ticker.{BTC}.100ms"), format!("deribit_volatility_index.{INDEX}")][channel].clone();
        let _rejected = driver.frame(&event(&channel, &text));
        let _rejected = driver.frame(&text);
        prop_assert!(driver.frame_on(Link(7), &text).is_err());
        prop_assert!(driver.recorded.messages.is_empty());
    }
}
