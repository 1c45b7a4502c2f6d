//! One book on one socket: the recipe of `okx/order_book.rs`, step by step.

use marketprism_core::{DataType, GapReason, MarketType};
use marketprism_exchanges::registry::{Seed, SessionConfig};
use marketprism_exchanges::{FetchFailed, StreamState};
use serde_json::json;

use super::{
    BookPush, acknowledge, at, inverse, linear, open, session, snapshot, spot, take_calls, update, update_ids,
};
use crate::driver::{BOTH, Driver, LINK, options};

/// What was subscribed again, as `channel of instrument` behind its operation.
fn asked_again(driver: &mut Driver) -> Vec<String> {
    let calls = take_calls(driver, LINK);
    let of_call = |(operation, args, _): &(String, Vec<serde_json::Value>, String)| {
        let names: Vec<_> =
            args.iter().map(|arg| format!("{}/{}", arg["channel"], arg["instId"]).replace('"', "")).collect();
        format!("{operation} {}", names.join(" "))
    };
    calls.iter().map(of_call).collect()
}

#[test]
fn a_book_is_its_snapshot_and_each_update_in_order() {
    let mut driver = open();
    driver.frame(&update(9, 10, 0, "7")).unwrap();
    assert!(driver.recorded.books().is_empty(), "no snapshot yet");
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.frame(&update(10, 25, 100, "3.50")).unwrap();
    driver.frame(&update(25, 26, 200, "0")).unwrap();
    let books = driver.recorded.books();
    assert_eq!(update_ids(&driver), [10, 25, 26]);
    assert_eq!(books.iter().map(|book| book.update_count).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(
        books.iter().map(|book| book.previous_update_id).collect::<Vec<_>>(),
        [None, Some(10), Some(25)]
    );
    assert_eq!(books[1].bids[0].quantity.to_string(), "3.50");
    assert_eq!(books[1].ts_event_us, at(100));
    assert!(books[2].bids.is_empty() && books[2].asks.len() == 1);
    assert!(driver.recorded.gaps().is_empty());
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Live);
}

#[test]
fn a_keep_alive_is_no_gap_and_no_book() {
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    let keep_alive = BookPush {
        instrument_id: "BTC-USDT",
        previous: 10,
        sequence: 10,
        millis: 60_000,
        bids: &[],
        asks: &[],
    };
    driver.frame(&keep_alive.text()).unwrap();
    driver.frame(&update(10, 11, 60_100, "2")).unwrap();
    assert_eq!(update_ids(&driver), [10, 11]);
    assert_eq!(driver.recorded.notes_of("Ignored { what: \"keep_alive\" }"), 1);
    assert!(driver.recorded.gaps().is_empty());
}

/// The documented sequence, then ids that were used a moment ago.
#[test]
fn after_maintenance_the_exchange_counts_anew_and_ids_stay_unique() {
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    for (step, (previous, sequence)) in
        [(10, 15), (15, 15), (15, 3), (3, 5), (5, 10), (10, 15), (15, 16)].into_iter().enumerate()
    {
        let millis = 100 * (i64::try_from(step).unwrap() + 1);
        driver.frame(&update(previous, sequence, millis, &(step + 2).to_string())).unwrap();
    }
    assert_eq!(update_ids(&driver), [10, 15, 3, 5, 16], "10 and 15 are remembered by the stream");
    let books = driver.recorded.books();
    assert_eq!(books.iter().map(|book| book.update_count).collect::<Vec<_>>(), [1, 1, 1, 1, 3]);
    assert_eq!(books[2].previous_update_id, Some(15));
    assert_eq!(books[4].bids[0].quantity.to_string(), "8");
    assert!(driver.recorded.gaps().is_empty());
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
}

#[test]
fn a_break_is_one_gap_and_resynchronises_one_symbol() {
    let mut driver = open();
    let eth = |previous, sequence, millis| {
        let (bids, asks) = (&[("10", "1")], &[("11", "1")]);
        BookPush { instrument_id: "ETH-USDT", previous, sequence, millis, bids, asks }.text()
    };
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.frame(&eth(-1, 500, 0)).unwrap();
    driver.frame(&update(12, 13, 100, "2")).unwrap();
    assert_eq!(driver.recorded.notes_of("Resync"), 1);
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Syncing);
    driver.pass(1_000);
    assert_eq!(asked_again(&mut driver), ["unsubscribe books/BTC-USDT", "subscribe books/BTC-USDT"]);
    driver.frame(&eth(500, 501, 300)).unwrap();
    driver.frame(&update(13, 14, 300, "2")).unwrap();
    driver.frame(&snapshot(20, 400)).unwrap();
    driver.frame(&update(20, 21, 500, "2")).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(11), Some(20)));
    assert_eq!((gaps[0].from_time_us, gaps[0].to_time_us), (Some(at(0)), Some(at(400))));
    assert_eq!((gaps[0].reason, &*gaps[0].symbol), (GapReason::Sequence, "BTC-USDT"));
    assert_eq!(update_ids(&driver), [10, 500, 501, 20, 21]);
    assert_eq!(driver.recorded.books()[3].previous_update_id, None);
}

#[test]
fn a_frame_that_cannot_be_decoded_costs_its_own_book_only() {
    let cases = [
        (
            r#"{"asks":[],"bids":[["-1","1","0","1"]],"ts":"1700000000100","seqId":11,"prevSeqId":10}"#,
            "price `-1`",
        ),
        (r#"{"asks":[],"bids":[["1","x","0","1"]],"ts":"1700000000100","seqId":11,"prevSeqId":10}"#, "`x`"),
        (r#"{"asks":[],"bids":[],"seqId":11,"prevSeqId":10}"#, "`ts`: missing"),
        (r#"{"asks":[],"bids":[],"ts":"soon","seqId":11,"prevSeqId":10}"#, "`soon`"),
        (r#"{"asks":[],"bids":[],"ts":"1700000000100","seqId":"11","prevSeqId":10}"#, "seqId"),
    ];
    for (book, detail) in cases {
        let mut driver = open();
        driver.frame(&snapshot(10, 0)).unwrap();
        let frame = format!(
            r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"update","data":[{book}]}}"#
        );
        let rejected = driver.frame(&frame).unwrap_err();
        assert_eq!(rejected.reason, "invalid_field");
        assert!(rejected.detail.contains(detail), "{rejected}");
        driver.frame(&snapshot(12, 200)).unwrap();
        let gaps = driver.recorded.gaps();
        assert_eq!((gaps.len(), gaps[0].reason), (1, GapReason::Undecodable));
    }
    let mut driver = open();
    let unknown = r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"partial","data":[{"asks":[],"bids":[],"ts":"1700000000000","seqId":1,"prevSeqId":-1}]}"#;
    let rejected = driver.frame(unknown).unwrap_err();
    assert!(rejected.reason == "unknown_event" && rejected.detail.contains("partial"), "{rejected}");
}

#[test]
fn a_crossed_book_is_never_published_and_asked_for_ever_more_rarely() {
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.frame(&snapshot(10, 0).replace("BTC-USDT", "ETH-USDT")).unwrap();
    let crossing = |previous, sequence, millis| {
        let bids = &[("101", "1")];
        BookPush { instrument_id: "BTC-USDT", previous, sequence, millis, bids, asks: &[("101", "1")] }.text()
    };
    driver.frame(&crossing(10, 11, 100)).unwrap();
    let mut times = Vec::new();
    for second in 0..250_i64 {
        if acknowledge(&mut driver).iter().any(|(operation, args, _)| {
            operation == "subscribe" && args.contains(&json!({"channel": "books", "instId": "BTC-USDT"}))
        }) {
            times.push(second);
            let (sequence, millis) = (12 + second.unsigned_abs(), 1_000 * second + 200);
            driver.frame(&crossing(-1, sequence, millis)).unwrap();
        }
        driver.pass(1_000);
        // Somebody else keeps the socket alive.
        driver.frame("pong").unwrap();
    }
    assert_eq!(update_ids(&driver), [10, 10], "one of each");
    println!("asked again after {times:?} s");
    assert!((5..9).contains(&times.len()), "{times:?}");
    assert!(driver.recorded.gaps().iter().all(|gap| gap.detail.as_deref() == Some("the book crossed")));
    assert!(driver.recorded.reconnects.is_empty());
}

#[test]
fn a_checksum_counts_where_there_is_one() {
    for (checksum, is_right) in [
        ("", true),
        (r#","checksum":0"#, true),
        // CRC-32 of `100:2:101:1`.
        (r#","checksum":1996849324"#, true),
        (r#","checksum":1996849325"#, false),
    ] {
        let mut driver = open();
        driver.frame(&snapshot(10, 0)).unwrap();
        let (bids, asks) = (&[("100", "2")], &[]);
        let push =
            BookPush { instrument_id: "BTC-USDT", previous: 10, sequence: 11, millis: 100, bids, asks };
        driver.frame(&push.text_with(checksum)).unwrap();
        assert_eq!(driver.recorded.notes_of("Resync"), usize::from(!is_right), "{checksum}");
        assert_eq!(update_ids(&driver), if is_right { vec![10, 11] } else { vec![10] });
    }
}

fn rest(sequence: u64, millis: i64) -> Vec<u8> {
    let ts = (at(millis).as_micros() / 1_000).to_string();
    let book = json!({
        "asks": [["101", "1", "0", "1"]], "bids": [["100", "1", "0", "1"]], "ts": ts, "seqId": sequence
    });
    json!({"code": "0", "msg": "", "data": [book]}).to_string().into_bytes()
}

#[test]
fn without_a_snapshot_rest_is_asked_and_joined() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
    driver.opened();
    acknowledge(&mut driver);
    driver.frame(&update(10, 12, 0, "2")).unwrap();
    driver.frame(&update(12, 15, 100, "3")).unwrap();
    driver.pass(4_900);
    assert!(driver.take_requests().is_empty(), "the exchange has 5 s");
    let request = driver.request();
    assert_eq!(request.path, "/api/v5/market/books?instId=BTC-USDT&sz=400");
    assert_eq!((request.limit, request.weight), ("books", 1));
    // Older than the first update kept.
    driver.fetched(request.id, Ok(&rest(11, 50))).unwrap();
    assert_eq!(driver.recorded.notes_of("Ignored { what: \"snapshot_too_old\" }"), 1);
    let request = driver.request();
    driver.frame(&update(15, 18, 5_500, "4")).unwrap();
    driver.fetched(request.id, Ok(&rest(15, 5_400))).unwrap();
    driver.frame(&update(18, 19, 5_600, "5")).unwrap();
    assert_eq!(update_ids(&driver), [15, 18, 19]);
    let quantities: Vec<_> =
        driver.recorded.books().iter().map(|book| book.bids[0].quantity.to_string()).collect();
    assert_eq!(quantities, ["1", "4", "5"]);
    assert!(driver.recorded.gaps().is_empty());
    driver.pass(20_000);
    assert!(driver.take_requests().is_empty());
}

#[test]
fn a_quiet_book_from_rest_waits_for_the_update_that_joins() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
    driver.opened();
    acknowledge(&mut driver);
    driver.pass(5_000);
    let id = driver.request_taken();
    assert_eq!(
        driver
            .fetched(id, Ok(br#"{"code":"50011","msg":"Too Many Requests","data":[]}"#))
            .unwrap_err()
            .reason,
        "unexpected"
    );
    let id = driver.request().id;
    driver.fetched(id, Err(FetchFailed::Transport("reset".to_owned()))).unwrap();
    driver.pass(2_000);
    let id = driver.request_taken();
    driver.fetched(id, Ok(&rest(30, 6_000))).unwrap();
    assert_eq!(update_ids(&driver), [30]);
    driver.frame(&update(30, 31, 7_000, "2")).unwrap();
    assert_eq!(update_ids(&driver), [30, 31]);
    // Updates were missed between REST's book and this one: another snapshot.
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
    driver.opened();
    acknowledge(&mut driver);
    driver.pass(5_000);
    let id = driver.request_taken();
    driver.fetched(id, Ok(&rest(30, 6_000))).unwrap();
    driver.frame(&update(33, 34, 7_000, "2")).unwrap();
    let id = driver.request().id;
    driver.fetched(id, Ok(&rest(34, 7_100))).unwrap();
    assert_eq!(update_ids(&driver), [30, 34]);
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].from_sequence, gaps[0].to_sequence), (1, Some(31), Some(34)));
}

#[test]
fn a_reconnect_publishes_what_it_has_and_declares_what_was_missed() {
    for (sequence, missed) in [(15, Some((11, 15))), (10, None)] {
        let mut driver = open();
        driver.frame(&snapshot(10, 0)).unwrap();
        driver.closed();
        driver.pass(1_000);
        driver.opened();
        driver.frame(&snapshot(sequence, 2_000)).unwrap();
        let gaps = driver.recorded.gaps();
        let declared = gaps.first().map(|gap| (gap.from_sequence.unwrap(), gap.to_sequence.unwrap()));
        assert_eq!(declared, missed);
        assert!(gaps.iter().all(|gap| gap.reason == GapReason::Disconnect));
        assert_eq!(driver.recorded.notes_of("Resync"), 0);
    }
    // Maintenance meanwhile: the ids began anew, so only times say what is missing.
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.closed();
    driver.opened();
    driver.frame(&snapshot(3, 2_000)).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].from_sequence, gaps[0].from_time_us), (1, None, Some(at(0))));
}

#[test]
fn a_restart_declares_what_was_missed() {
    let seed = Seed {
        instrument_id: "BTC-USDT".to_owned(),
        data_type: DataType::OrderBook,
        sequence: Some(7),
        event: at(-5_000),
        holes: vec![],
    };
    let config = SessionConfig {
        instruments: vec![spot("BTC-USDT")],
        data_types: BOTH.to_vec(),
        options: options(),
        seeds: vec![seed],
    };
    let mut driver = Driver::new("okx_spot", config);
    driver.opened();
    driver.frame(&snapshot(10, 0)).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].from_sequence, gaps[0].to_sequence), (1, Some(8), Some(10)));
    assert_eq!(gaps[0].from_time_us, Some(at(-5_000)));
}

#[test]
fn contracts_become_base_units_at_their_price() {
    let mut driver = session("okx_swap", vec![linear(), inverse()], &[DataType::OrderBook]);
    driver.opened();
    let push = |instrument_id| BookPush {
        instrument_id,
        previous: -1,
        sequence: 10,
        millis: 0,
        bids: &[("80000", "7.69")],
        asks: &[("80000.1", "12")],
    };
    driver.frame(&push("BTC-USDT-SWAP").text()).unwrap();
    driver.frame(&push("BTC-USD-SWAP").text()).unwrap();
    let books = driver.recorded.books();
    let quantities = |at: usize| [&books[at].bids, &books[at].asks].map(|side| side[0].quantity.to_string());
    assert_eq!(quantities(0), ["0.0769", "0.12"]);
    assert_eq!(quantities(1), ["0.0096125", "0.014999981250023437"]);
    // A contract that changes takes effect at once, and the stream goes on.
    let mut larger = linear();
    larger.contract.as_mut().unwrap().size = "0.1".parse().unwrap();
    driver.set_instruments(vec![larger, inverse()]);
    let bids = &[("80000", "2")];
    let next =
        BookPush { instrument_id: "BTC-USDT-SWAP", previous: 10, sequence: 11, millis: 100, bids, asks: &[] };
    driver.frame(&next.text()).unwrap();
    assert_eq!(driver.recorded.books()[2].bids[0].quantity.to_string(), "0.2");
}

#[test]
fn an_operator_may_ask_for_a_book_anew() {
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    assert!(!driver.resync(MarketType::Perpetual, "BTC-USDT"));
    assert!(driver.resync(MarketType::Spot, "BTC-USDT"));
    driver.pass(1_000);
    assert_eq!(asked_again(&mut driver), ["unsubscribe books/BTC-USDT", "subscribe books/BTC-USDT"]);
    driver.frame(&update(10, 11, 100, "2")).unwrap();
    driver.frame(&snapshot(12, 200)).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].from_sequence, gaps[0].to_sequence), (1, Some(11), Some(12)));
}

#[test]
fn draining_publishes_or_declares() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], BOTH);
    driver.opened();
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.frame(&update(12, 13, 100, "2")).unwrap();
    driver.drain();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps.len(), gaps[0].reason, gaps[0].from_time_us), (1, GapReason::Sequence, Some(at(0))));
}

#[test]
fn the_same_update_twice_is_one() {
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    for _ in 0..2 {
        driver.frame(&update(10, 12, 100, "2")).unwrap();
    }
    driver.frame(&update(12, 13, 200, "3")).unwrap();
    assert_eq!(update_ids(&driver), [10, 12, 13]);
    assert_eq!((driver.recorded.notes_of("Duplicate"), driver.recorded.notes_of("Resync")), (1, 0));
}

#[test]
fn an_update_without_its_sequence_or_a_side_is_no_update() {
    for (from, to) in [(r#""seqId""#, r#""seq""#), (r#""prevSeqId""#, r#""prev""#), (r#""bids""#, r#""bid""#)]
    {
        let mut driver = open();
        driver.frame(&snapshot(10, 0)).unwrap();
        let _rejected = driver.frame(&update(10, 12, 100, "2").replace(from, to));
        assert_eq!(driver.recorded.notes_of("Resync"), 1, "{from}");
        assert_eq!(update_ids(&driver), [10]);
    }
}
