//! Several sockets of one session: the first to bring an event wins, and as long as one is open nothing is missing.

use std::collections::BTreeMap;

use marketprism_core::{DataType, GapReason};
use marketprism_exchanges::registry::SessionOptions;
use marketprism_exchanges::{Link, Lost, StreamState};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::driver::{Driver, LINK, START, options};

const EVENTS: u64 = 40;
/// Events happen so far apart.
const EVENT_MILLIS: i64 = 100;
const SECOND_LINK: Link = Link(1);

/// The exchange: one update a number, each setting one level. Spot numbers them densely, USDⓈ-M leaves every other out.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    is_spot: bool,
}

impl Exchange {
    fn integration(self) -> &'static str {
        if self.is_spot { "binance_spot" } else { "binance_usdm" }
    }

    fn id(self, update: u64) -> u64 {
        if self.is_spot { update } else { update * 2 }
    }

    /// An event of the updates `first..=last`, as it is at `last`.
    fn depth(self, first: u64, last: u64) -> String {
        let levels: BTreeMap<u64, u64> = (first..=last).map(|update| (update % 7, update)).collect();
        let bids: Vec<_> = levels
            .iter()
            .map(|(level, update)| json!([format!("{}.5", 90 + level), update.to_string()]))
            .collect();
        let time = START / 1000 + i64::try_from(last).unwrap() * EVENT_MILLIS;
        let mut data = json!({"e": "depthUpdate", "E": time, "T": time, "s": "BTCUSDT",
            "U": self.id(first), "u": self.id(last), "b": bids, "a": [["101.5", last.to_string()]]});
        if !self.is_spot {
            data["pu"] = json!(self.id(first - 1));
        }
        json!({"stream": "btcusdt@depth@100ms", "data": data}).to_string()
    }

    fn trade(self, id: u64) -> String {
        let (time, name) = (
            START / 1000 + i64::try_from(id).unwrap() * EVENT_MILLIS,
            if self.is_spot { "trade" } else { "aggTrade" },
        );
        json!({"stream": format!("btcusdt@{name}"), "data": {"s": "BTCUSDT", "t": id, "a": id, "f": id, "l": id,
            "p": "95.1", "q": id.to_string(), "T": time, "m": true}})
        .to_string()
    }

    /// A session whose first socket brought update 1, and whose book is live.
    fn live(self, options: SessionOptions) -> Driver {
        let mut driver = Driver::open(self.integration(), options);
        driver.frame(&self.depth(1, 1)).unwrap();
        let request = loop {
            let request = driver.request();
            if request.path.contains("depth") {
                break request.id;
            }
            driver.fetched(request.id, Ok(b"[]")).unwrap();
        };
        let snapshot =
            json!({"lastUpdateId": self.id(1), "bids": [["50", "1"]], "asks": [["150", "1"]]}).to_string();
        driver.fetched(request, Ok(snapshot.as_bytes())).unwrap();
        driver.frame(&self.depth(2, 2)).unwrap();
        driver.frame(&self.trade(2)).unwrap();
        assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
        driver
    }
}

/// What one socket brings: which updates together, and how late each event is.
#[derive(Debug, Clone)]
struct Line {
    link: Link,
    /// Last update of each event; so that none spans more than a second, every sixth is one besides.
    cuts: Vec<u64>,
    delays: Vec<i64>,
    from: u64,
    to: u64,
}

#[derive(Debug, Clone)]
enum Arrival {
    Open,
    Depth(u64, u64),
    Trade(u64),
    Close,
}

impl Line {
    /// Its frames with the time each arrives, ms; never out of order.
    fn arrivals(&self) -> Vec<(i64, Link, Arrival)> {
        let mut first = self.from;
        let mut arrivals =
            vec![(i64::try_from(self.from - 1).unwrap() * EVENT_MILLIS, self.link, Arrival::Open)];
        let mut at = arrivals[0].0;
        let last_updates = (self.from..=self.to)
            .filter(|update| self.cuts.contains(update) || *update == self.to || update % 6 == 0);
        for (last, delay) in last_updates.zip(self.delays.iter().cycle()) {
            at = at.max(i64::try_from(last).unwrap() * EVENT_MILLIS + delay);
            arrivals.push((at, self.link, Arrival::Depth(first, last)));
            arrivals.extend((first..=last).map(|id| (at, self.link, Arrival::Trade(id))));
            first = last + 1;
        }
        if self.to < EVENTS {
            arrivals.push((at, self.link, Arrival::Close));
        }
        arrivals
    }
}

/// Runs the sockets together; the first is open.
fn run(exchange: Exchange, lines: &[Line]) -> Driver {
    let mut driver = exchange.live(options());
    let mut arrivals: Vec<_> = lines.iter().flat_map(Line::arrivals).collect();
    arrivals.sort_by_key(|(at, ..)| *at);
    let begin = driver.now;
    for (at, link, arrival) in arrivals {
        while driver.now < begin.saturating_add_micros(at * 1_000) {
            driver.pass(100);
        }
        match arrival {
            Arrival::Open if link == LINK => {}
            Arrival::Open => driver.opened_on(link),
            Arrival::Depth(first, last) => driver.frame_on(link, &exchange.depth(first, last)).unwrap(),
            Arrival::Trade(id) => driver.frame_on(link, &exchange.trade(id)).unwrap(),
            Arrival::Close => driver.closed_on(link),
        }
    }
    driver.pass(3_000);
    driver
}

/// The messages of one type without the time of receipt, trades by their number.
fn told(driver: &Driver, data_type: DataType) -> Vec<Value> {
    let mut told: Vec<Value> = driver.recorded.of(data_type);
    for message in &mut told {
        message.as_object_mut().unwrap().remove("ts_recv_us");
    }
    told.sort_by_key(|message| message["ts_event_us"].as_i64().unwrap());
    told
}

fn line(link: Link, from: u64, to: u64) -> Line {
    Line { link, cuts: (from..=to).collect(), delays: vec![0], from, to }
}

fn delays() -> impl Strategy<Value = Vec<i64>> {
    // Below the second that holes of trades are left to the other socket.
    proptest::collection::vec(0..700_i64, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn two_sockets_tell_what_one_tells(is_spot in any::<bool>(), one in delays(), other in delays(), from in 3..EVENTS,
        to in 3..EVENTS, first_ends in any::<bool>()) {
        let exchange = Exchange { is_spot };
        let alone = run(exchange, &[line(LINK, 3, EVENTS)]);
        // Either may end, if the other is there before.
        let end = to.max(from);
        let (first_to, second_to) = if first_ends { (end, EVENTS) } else { (EVENTS, end) };
        let first = Line { delays: one, ..line(LINK, 3, first_to) };
        let second = Line { delays: other, ..line(SECOND_LINK, from, second_to) };
        let together = run(exchange, &[first, second]);
        for data_type in [DataType::OrderBook, DataType::Trade] {
            prop_assert_eq!(told(&together, data_type), told(&alone, data_type));
        }
        prop_assert!(together.recorded.gaps().is_empty(), "{:?}", together.recorded.gaps());
        prop_assert_eq!(together.recorded.notes_of("Resync"), 0);
        let asked: Vec<_> = together.recorded.requests.iter().filter(|request| !request.path.contains("fundingInfo")).collect();
        prop_assert!(asked.is_empty(), "{:?}", asked);
    }

    #[test]
    fn sockets_that_cut_updates_otherwise_lead_to_the_same_book(is_spot in any::<bool>(), delays in delays(),
        cuts in proptest::collection::vec(4..EVENTS, 0..20), other_cuts in proptest::collection::vec(4..EVENTS, 0..20), from in 3..EVENTS) {
        let exchange = Exchange { is_spot };
        let alone = run(exchange, &[line(LINK, 3, EVENTS)]);
        let first = Line { cuts, ..line(LINK, 3, EVENTS) };
        let second = Line { cuts: other_cuts, delays, ..line(SECOND_LINK, from, EVENTS) };
        let together = run(exchange, &[first, second]);
        let of = |driver: &Driver| {
            let books = told(driver, DataType::OrderBook);
            let last = books.last().unwrap();
            [last["last_update_id"].clone(), last["bids"].clone(), last["asks"].clone()]
        };
        prop_assert_eq!(of(&together), of(&alone));
        prop_assert_eq!(told(&together, DataType::Trade), told(&alone, DataType::Trade));
        prop_assert!(together.recorded.gaps().is_empty(), "{:?}", together.recorded.gaps());
        prop_assert_eq!(together.recorded.notes_of("Resync"), 0);
    }
}

#[test]
fn a_roll_over_has_no_seam() {
    for is_spot in [true, false] {
        let exchange = Exchange { is_spot };
        let alone = run(exchange, &[line(LINK, 3, EVENTS)]);
        // Each successor is there before its predecessor goes, and a little ahead of it.
        let slow = |line: Line| Line { delays: vec![350], ..line };
        let rolled =
            run(exchange, &[slow(line(LINK, 3, 15)), slow(line(Link(1), 12, 28)), line(Link(2), 25, EVENTS)]);
        for data_type in [DataType::OrderBook, DataType::Trade] {
            assert_eq!(told(&rolled, data_type), told(&alone, data_type));
        }
        assert!(rolled.recorded.gaps().is_empty());
        assert_eq!(rolled.recorded.notes_of("Synced"), 1);
    }
}

#[test]
fn what_one_socket_loses_the_other_brings() {
    let exchange = Exchange { is_spot: true };
    let mut driver = exchange.live(options());
    driver.opened_on(SECOND_LINK);
    // The first loses 3, and a frame of it is unreadable.
    driver.frame_on(LINK, &exchange.depth(4, 4)).unwrap();
    let unreadable = exchange.depth(5, 5).replace("101.5", "-101.5");
    driver.frame_on(LINK, &unreadable).unwrap_err();
    assert_eq!(driver.recorded.books().last().unwrap().last_update_id, 2);
    for update in 3..=5 {
        driver.frame_on(SECOND_LINK, &exchange.depth(update, update)).unwrap();
    }
    driver.frame_on(LINK, &exchange.depth(6, 6)).unwrap();
    driver.pass(5_000);
    let told: Vec<_> = driver.recorded.books().iter().map(|book| book.last_update_id).collect();
    assert_eq!(told, [2, 3, 4, 5, 6]);
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn what_both_lose_is_missing_once() {
    let exchange = Exchange { is_spot: true };
    let mut driver = exchange.live(options());
    driver.opened_on(SECOND_LINK);
    for link in [LINK, SECOND_LINK] {
        driver.frame_on(link, &exchange.depth(5, 5)).unwrap();
        driver.frame_on(link, &exchange.trade(5)).unwrap();
    }
    assert!(driver.recorded.gaps().is_empty(), "it may be on its way");
    driver.pass(2_200);
    let gaps = driver.recorded.gaps();
    assert_eq!(gaps.len(), 1, "of the trades REST was asked first");
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(3), Some(4)));
    assert_eq!((gaps[0].missing_data_type, gaps[0].reason), (DataType::OrderBook, GapReason::Sequence));
    assert_eq!(driver.recorded.notes_of("Resync"), 1);
    let request =
        driver.take_requests().into_iter().find(|request| request.path.contains("historicalTrades"));
    assert!(request.unwrap().path.contains("fromId=3&"));
}

#[test]
fn each_socket_is_subscribed_and_watched_on_its_own() {
    let exchange = Exchange { is_spot: true };
    let mut driver = exchange.live(options());
    driver.opened_on(SECOND_LINK);
    assert_eq!(
        driver.recorded.sent[0].replace("\"id\":1", ""),
        driver.recorded.sent[1].replace("\"id\":1", "")
    );
    assert_eq!(driver.recorded.sent_on, [LINK, SECOND_LINK]);
    driver.frame_on(SECOND_LINK, r#"{"e":"serverShutdown","E":1770123456789}"#).unwrap();
    assert_eq!(driver.recorded.reconnects, [Lost::Announced]);
    // The second brings data, the first does not even answer.
    for update in 3..=30 {
        driver.pass(1_000);
        driver.frame_on(SECOND_LINK, &exchange.depth(update, update)).unwrap();
    }
    assert_eq!(driver.recorded.reconnects[1..], [Lost::Silence]);
    assert_eq!(driver.recorded.reconnected, [SECOND_LINK, LINK]);
    driver.closed_on(LINK);
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
    driver.closed_on(SECOND_LINK);
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Disconnected);
    assert_eq!(driver.frame_on(SECOND_LINK, &exchange.depth(31, 31)).unwrap_err().reason, "unexpected");
}

#[test]
fn of_several_sockets_one_is_replaced_at_a_time() {
    let exchange = Exchange { is_spot: true };
    let mut driver = exchange.live(options());
    driver.opened_on(SECOND_LINK);
    for update in 3..100 {
        let sent = std::mem::take(&mut driver.recorded.sent);
        for (call, link) in sent.iter().zip(std::mem::take(&mut driver.recorded.sent_on)) {
            let id = &serde_json::from_str::<Value>(call).unwrap()["id"];
            driver.frame_on(link, &json!({"result": null, "id": id}).to_string()).unwrap();
        }
        for link in [LINK, SECOND_LINK] {
            driver.frame_on(link, &exchange.depth(update, update)).unwrap();
        }
        // ETH-USDT brings neither trades nor depth.
        driver.pass(1_000);
    }
    let replaced = &driver.recorded.reconnects[..];
    assert!(matches!(replaced, [Lost::Stale(name)] if name.starts_with("ethusdt@")), "{replaced:?}");
    assert_eq!(driver.recorded.reconnected, [LINK]);
}
