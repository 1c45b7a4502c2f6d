//! Whatever an exchange and its sockets do, in whatever order: no panic, only right books, and the book comes back.

use std::collections::{BTreeMap, VecDeque};

use marketprism_core::{DataType, Timestamp};
use marketprism_exchanges::{FetchFailed, Link, Request, StreamState};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{BookPush, session, spot, take_calls};
use crate::driver::Driver;

/// Frames a socket is behind at most: together less than a second of the exchange's time.
const BEHIND_MAX: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// The exchange's book changes: a price, a size, by how much its sequence grows.
    Change(u8, u8, u64),
    KeepAlive,
    /// The exchange counts anew.
    Maintenance,
    /// A socket brings its next frame, intact or not.
    Deliver(usize, Damage),
    Open,
    Close(usize),
    /// REST answers, so many changes behind, or fails.
    Answer(Option<usize>),
    Pass,
    Resync,
    Garbage(Vec<u8>),
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    None,
    Dropped,
    Twice,
    Swapped,
    Mutated(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let damage = prop_oneof![
        40 => Just(Damage::None),
        1 => Just(Damage::Dropped),
        1 => Just(Damage::Twice),
        1 => Just(Damage::Swapped),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Mutated(at, byte)),
    ];
    prop_oneof![
        16 => (0_u8..10, 0_u8..4, 1_u64..30).prop_map(|(price, size, by)| Step::Change(price, size, by)),
        1 => Just(Step::KeepAlive),
        1 => Just(Step::Maintenance),
        24 => (0_usize..3, damage).prop_map(|(socket, damage)| Step::Deliver(socket, damage)),
        1 => Just(Step::Open),
        1 => (0_usize..3).prop_map(Step::Close),
        2 => prop::option::of(0_usize..6).prop_map(Step::Answer),
        4 => Just(Step::Pass),
        1 => Just(Step::Resync),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Garbage),
    ]
}

/// The exchange, and what is under way on its sockets.
struct Exchange {
    has_snapshots: bool,
    sequence: u64,
    millis: i64,
    bids: BTreeMap<u16, u8>,
    /// Every state there was: time, sequence, bids.
    history: Vec<(Timestamp, u64, Vec<String>)>,
    sockets: Vec<(Link, bool, VecDeque<String>)>,
    next_link: u64,
    requests: Vec<Request>,
}

impl Exchange {
    fn new(has_snapshots: bool) -> Self {
        let mut exchange = Self {
            has_snapshots,
            sequence: 1_000_000,
            millis: 0,
            bids: BTreeMap::from([(80, 1)]),
            history: Vec::new(),
            sockets: Vec::new(),
            next_link: 0,
            requests: Vec::new(),
        };
        exchange.remember();
        exchange
    }

    fn remember(&mut self) {
        let bids = self.bids.iter().rev().map(|(price, size)| format!("{price}:{size}")).collect();
        self.history.push((super::at(self.millis), self.sequence, bids));
    }

    fn push(&self, previous: i64, bids: &[(String, String)]) -> String {
        let bids: Vec<_> = bids.iter().map(|(price, size)| (price.as_str(), size.as_str())).collect();
        let (asks, sequence, millis) =
            (if previous < 0 { &[("200", "1")][..] } else { &[] }, self.sequence, self.millis);
        BookPush { instrument_id: "BTC-USDT", previous, sequence, millis, bids: &bids, asks }.text()
    }

    fn all(&self) -> Vec<(String, String)> {
        self.bids.iter().map(|(price, size)| (price.to_string(), size.to_string())).collect()
    }

    /// Sets a bid; the sequence becomes that.
    fn change(&mut self, sequence: u64, bids: &[(u16, u8)]) {
        let previous = i64::try_from(self.sequence).unwrap();
        self.sequence = sequence;
        self.millis += 100;
        for (price, size) in bids {
            match size {
                0 => self.bids.remove(price),
                size => self.bids.insert(*price, *size),
            };
        }
        self.remember();
        let texts: Vec<_> = bids.iter().map(|(price, size)| (price.to_string(), size.to_string())).collect();
        let frame = self.push(previous, &texts);
        for (_, is_subscribed, frames) in &mut self.sockets {
            if *is_subscribed {
                frames.push_back(frame.clone());
            }
        }
    }

    fn open(&mut self, driver: &mut Driver) {
        if self.sockets.len() < 3 {
            self.next_link += 1;
            self.sockets.push((Link(self.next_link), false, VecDeque::new()));
            driver.opened_on(Link(self.next_link));
        }
    }

    /// Takes what the session asked for.
    fn serve(&mut self, driver: &mut Driver) {
        let snapshot = self.push(-1, &self.all());
        for (link, is_subscribed, frames) in &mut self.sockets {
            for (operation, args, id) in take_calls(driver, *link) {
                *is_subscribed = operation == "subscribe";
                for arg in args {
                    frames.push_back(json!({"id": id, "event": operation, "arg": arg}).to_string());
                }
                if *is_subscribed && self.has_snapshots {
                    frames.push_back(snapshot.clone());
                }
            }
        }
        self.requests.extend(driver.take_requests());
    }

    fn deliver(&mut self, driver: &mut Driver, socket: usize, damage: Damage) {
        let Some((link, _, frames)) = self.sockets.get_mut(socket) else { return };
        let Some(frame) = frames.pop_front() else { return };
        match damage {
            Damage::None => driver.frame_on(*link, &frame).unwrap(),
            Damage::Dropped => {}
            Damage::Twice => (0..2).for_each(|_| driver.frame_on(*link, &frame).unwrap()),
            Damage::Swapped => {
                if let Some(next) = frames.pop_front() {
                    driver.frame_on(*link, &next).unwrap();
                }
                driver.frame_on(*link, &frame).unwrap();
            }
            Damage::Mutated(at, byte) => {
                // Digits changed into others cannot be told from what the exchange says.
                let mut bytes = frame.into_bytes();
                let at = at % bytes.len();
                bytes[at] = if byte.is_ascii_digit() { b'x' } else { byte };
                if let Ok(text) = String::from_utf8(bytes) {
                    let _rejected = driver.frame_on(*link, &text);
                }
            }
        }
    }

    fn answer(&mut self, driver: &mut Driver, behind: Option<usize>) {
        for request in std::mem::take(&mut self.requests) {
            let answer = behind.map(|behind| {
                let (time, sequence, bids) = &self.history[self.history.len().saturating_sub(behind + 1)];
                let bids: Vec<Value> = bids
                    .iter()
                    .map(|bid| bid.split_once(':').unwrap())
                    .map(|(price, size)| json!([price, size, "0", "1"]))
                    .collect();
                let ts = (time.as_micros() / 1_000).to_string();
                let book =
                    json!({"asks": [["200", "1", "0", "1"]], "bids": bids, "ts": ts, "seqId": sequence});
                json!({"code": "0", "msg": "", "data": [book]}).to_string()
            });
            let answer = match &answer {
                Some(body) => Ok(body.as_bytes()),
                None => Err(FetchFailed::Transport("reset".to_owned())),
            };
            driver.fetched(request.id, answer).unwrap();
        }
    }

    /// Every book published since the last look is one there was.
    fn check(&self, driver: &mut Driver) {
        for book in driver.recorded.books() {
            let bids: Vec<String> =
                book.bids.iter().map(|level| format!("{}:{}", level.price, level.quantity)).collect();
            let is_right = |(time, sequence, was): &(Timestamp, u64, Vec<String>)| {
                (*time, *sequence, was) == (book.ts_event_us, book.last_update_id, &bids)
            };
            assert!(self.history.iter().any(is_right), "{book:?}");
        }
        driver.recorded.messages.retain(|message| !message.starts_with("{\"data_type\":\"orderbook\""));
    }
}

fn step_of(exchange: &mut Exchange, driver: &mut Driver, step: Step) {
    match step {
        Step::Change(price, size, by) => {
            exchange.change(exchange.sequence + by, &[(60 + u16::from(price), size)]);
        }
        Step::KeepAlive => exchange.change(exchange.sequence, &[]),
        // Ids of two countings do not meet within seconds.
        Step::Maintenance if exchange.sequence > 1_000_000 => {
            exchange.change(exchange.sequence % 7, &[(90, 1)]);
        }
        Step::Maintenance => {}
        Step::Deliver(socket, damage) => exchange.deliver(driver, socket, damage),
        Step::Open => exchange.open(driver),
        Step::Close(socket) => {
            if socket < exchange.sockets.len() {
                let (link, ..) = exchange.sockets.remove(socket);
                driver.closed_on(link);
            }
        }
        Step::Answer(behind) => exchange.answer(driver, behind),
        Step::Pass => driver.pass(700),
        Step::Resync => {
            driver.resync(marketprism_core::MarketType::Spot, "BTC-USDT");
        }
        Step::Garbage(bytes) => {
            let link = exchange.sockets.first().map_or(Link(99), |(link, ..)| *link);
            let _rejected = driver.frame_on(link, &String::from_utf8_lossy(&bytes));
        }
    }
    exchange.serve(driver);
    for socket in 0..exchange.sockets.len() {
        while exchange.sockets[socket].2.len() > BEHIND_MAX {
            exchange.deliver(driver, socket, Damage::None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_book_is_right_and_comes_back(has_snapshots in any::<bool>(), steps in prop::collection::vec(step(), 1..200)) {
        let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
        let mut exchange = Exchange::new(has_snapshots);
        exchange.open(&mut driver);
        for step in steps {
            step_of(&mut exchange, &mut driver, step);
            exchange.check(&mut driver);
        }
        // All is well again: sockets bring everything, and REST answers.
        exchange.open(&mut driver);
        let mut previous = 0;
        for round in 0..600_u64 {
            if round % 10 == 0 {
                exchange.change(exchange.sequence + 1, &[(70, u8::try_from(1 + round % 3).unwrap())]);
            }
            driver.pass(100);
            exchange.serve(&mut driver);
            exchange.answer(&mut driver, Some(0));
            for socket in 0..exchange.sockets.len() {
                while !exchange.sockets[socket].2.is_empty() {
                    exchange.deliver(&mut driver, socket, Damage::None);
                }
            }
            driver.frame_on(exchange.sockets[0].0, "pong").unwrap();
            if let Some(last) = driver.recorded.books().last() {
                previous = last.last_update_id;
            }
            exchange.check(&mut driver);
        }
        prop_assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
        prop_assert_eq!(previous, exchange.sequence, "the latest book is the exchange's");
    }

    #[test]
    fn a_mutated_frame_never_panics(at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
        let frames = [
            super::snapshot(10, 0),
            super::update(10, 11, 100, "2"),
            r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"tradeId":"7","px":"1","sz":"1","side":"buy","ts":"1700000000000","count":"3"}]}"#.to_owned(),
            r#"{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkPx":"0.02","side":"buy","sz":"42","ts":"1700000000000"}],"instId":"BTC-USDT"}]}"#.to_owned(),
            r#"{"id":"1","event":"error","code":"60018","msg":"wrong URL or channel:books,instId:BTC-USDT doesn't exist."}"#.to_owned(),
        ];
        let mut driver = super::open();
        for frame in frames {
            let mut bytes = frame.into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
            bytes.truncate(cut % bytes.len());
            let _rejected = driver.frame(&String::from_utf8_lossy(&bytes));
            driver.pass(200);
        }
        driver.drain();
    }
}
