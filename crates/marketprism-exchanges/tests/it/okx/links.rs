//! Several sockets with the same streams: the first to bring an event wins, and either may die.

use std::collections::BTreeMap;

use marketprism_core::{DataType, GapReason};
use marketprism_exchanges::{Link, Lost, Pressure, StreamState};
use proptest::prelude::*;

use super::{BookPush, acknowledge_on, at, session, snapshot, spot, take_calls, update, update_ids};
use crate::driver::{BOTH, Driver};

const A: Link = Link(1);
const B: Link = Link(2);

/// BTC-USDT's book on two sockets, both subscribed.
fn doubled() -> Driver {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
    for link in [A, B] {
        driver.opened_on(link);
        acknowledge_on(&mut driver, link);
    }
    driver
}

fn assert_unharmed(driver: &Driver) {
    assert!(driver.recorded.gaps().is_empty(), "{:?}", driver.recorded.gaps());
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
}

/// One change of a bid each: its price, its size, the sequence after it.
type Change = (u8, u8, u64);

/// Frames of these changes, cut after each of the given places.
fn cut(changes: &[Change], cuts: &[bool]) -> Vec<String> {
    let (mut frames, mut previous) = (Vec::new(), 100);
    let mut pending: BTreeMap<String, String> = BTreeMap::new();
    for (at, (price, size, sequence)) in changes.iter().enumerate() {
        pending.insert(format!("{}", 50 + price), size.to_string());
        if cuts[at] || at + 1 == changes.len() {
            let levels: Vec<_> =
                pending.iter().map(|(price, size)| (price.as_str(), size.as_str())).collect();
            let push = BookPush {
                instrument_id: "BTC-USDT",
                previous,
                sequence: *sequence,
                millis: 10 * (i64::try_from(at).unwrap() + 1),
                bids: &levels,
                asks: &[],
            };
            frames.push(push.text());
            previous = i64::try_from(*sequence).unwrap();
            pending.clear();
        }
    }
    frames
}

/// Plays both sockets' frames; `turns` says whose turn it is while both have some.
fn play(driver: &mut Driver, frames: [&[String]; 2], turns: &[bool]) {
    let mut of_a = frames[0].iter();
    let mut of_b = frames[1].iter();
    for is_a in turns.iter().copied().chain(std::iter::repeat(true)) {
        let (first, link, second, other) =
            if is_a { (&mut of_a, A, &mut of_b, B) } else { (&mut of_b, B, &mut of_a, A) };
        let next =
            first.next().map(|frame| (link, frame)).or_else(|| second.next().map(|frame| (other, frame)));
        let Some((link, frame)) = next else { return };
        driver.frame_on(link, frame).unwrap();
    }
}

/// What matters of the published books: all but when they were received.
fn books(driver: &Driver) -> Vec<(u64, Option<u64>, u64, Vec<String>)> {
    let book = |book: &marketprism_core::message::OrderBook<'_>| {
        let bids = book.bids.iter().map(|level| format!("{}:{}", level.price, level.quantity)).collect();
        (book.last_update_id, book.previous_update_id, book.update_count, bids)
    };
    driver.recorded.books().iter().map(book).collect()
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0_u8..12, 0_u8..5, 1_u64..20);
    prop::collection::vec(change, 1..60).prop_map(|mut changes| {
        let mut sequence = 100;
        for change in &mut changes {
            sequence += change.2;
            change.2 = sequence;
        }
        changes
    })
}

fn coins() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 60..130)
}

proptest! {
    #[test]
    fn two_sockets_give_the_messages_of_one(changes in changes(), cuts in coins(), turns in coins()) {
        let frames = cut(&changes, &cuts);
        let mut one = doubled();
        one.frame_on(A, &snapshot(100, 0)).unwrap();
        play(&mut one, [&frames, &[]], &[]);
        let mut two = doubled();
        two.frame_on(A, &snapshot(100, 0)).unwrap();
        two.frame_on(B, &snapshot(100, 0)).unwrap();
        play(&mut two, [&frames, &frames], &turns);
        prop_assert_eq!(books(&one), books(&two));
        prop_assert_eq!(two.recorded.notes_of("Duplicate"), frames.len() + 1);
        assert_unharmed(&two);
    }

    /// Sockets that cut the updates differently, and either of which dies somewhere.
    #[test]
    fn every_book_is_right_however_sockets_cut_and_die(
        changes in changes(), cuts_a in coins(), cuts_b in coins(), turns in coins(), dies in 0_usize..80, is_a in any::<bool>(),
    ) {
        let mut frames = [cut(&changes, &cuts_a), cut(&changes, &cuts_b)];
        let dying = usize::from(!is_a);
        frames[dying].truncate(dies);
        let mut driver = doubled();
        driver.frame_on(B, &snapshot(100, 0)).unwrap();
        driver.frame_on(A, &snapshot(100, 0)).unwrap();
        let survives = frames[1 - dying].clone();
        if dies == 0 {
            driver.closed_on([A, B][dying]);
        }
        let half = survives.len() / 2;
        let (first, second) = survives.split_at(half);
        let both = if is_a { [&frames[0][..], first] } else { [first, &frames[1][..]] };
        play(&mut driver, both, &turns);
        if dies > 0 {
            driver.closed_on([A, B][dying]);
        }
        for frame in second {
            driver.frame_on([A, B][1 - dying], frame).unwrap();
        }
        assert_unharmed(&driver);
        // What the bids are after each change.
        let mut bids: BTreeMap<u16, u8> = BTreeMap::from([(100, 1)]);
        let mut right = BTreeMap::new();
        let texts = |bids: &BTreeMap<u16, u8>| -> Vec<String> {
            bids.iter().rev().map(|(price, size)| format!("{price}:{size}")).collect()
        };
        right.insert(100, texts(&bids));
        for (price, size, sequence) in &changes {
            match size {
                0 => bids.remove(&(50 + u16::from(*price))),
                size => bids.insert(50 + u16::from(*price), *size),
            };
            right.insert(*sequence, texts(&bids));
        }
        let published = books(&driver);
        for (id, _, _, bids) in &published {
            let first: Vec<_> = right[id].iter().take(20).cloned().collect();
            prop_assert_eq!(&first, bids, "book {}", id);
        }
        prop_assert_eq!(published.last().map(|book| book.0), changes.last().map(|change| change.2));
        prop_assert!(published.windows(2).all(|pair| pair[1].1 == Some(pair[0].0)));
    }

    #[test]
    fn one_dropped_frame_is_one_gap_and_one_resync(changes in changes(), dropped in 0_usize..59) {
        let mut frames = cut(&changes, &vec![true; changes.len()]);
        prop_assume!(frames.len() > 1);
        let dropped = dropped % (frames.len() - 1);
        frames.remove(dropped);
        let mut driver = session("okx_spot", vec![spot("BTC-USDT"), spot("ETH-USDT")], &[DataType::OrderBook]);
        driver.opened_on(A);
        acknowledge_on(&mut driver, A);
        driver.frame_on(A, &snapshot(100, 0)).unwrap();
        driver.frame_on(A, &snapshot(100, 0).replace("BTC", "ETH")).unwrap();
        for frame in &frames {
            driver.frame_on(A, frame).unwrap();
        }
        driver.pass(1_000);
        let asked: Vec<String> = take_calls(&mut driver, A)
            .into_iter()
            .map(|(operation, args, _)| format!("{operation} {}", args[0]["instId"].as_str().unwrap()))
            .collect();
        prop_assert_eq!(asked, vec!["unsubscribe BTC-USDT", "subscribe BTC-USDT"]);
        let last = changes.last().unwrap().2;
        driver.frame_on(A, &snapshot(last + 5, 700)).unwrap();
        let gaps = driver.recorded.gaps();
        prop_assert_eq!(gaps.len(), 1);
        let before = if dropped == 0 { 100 } else { changes[dropped - 1].2 };
        prop_assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(before + 1), Some(last + 5)));
        prop_assert_eq!(driver.recorded.notes_of("Resync"), 1);
        prop_assert_eq!(driver.state("ETH-USDT", DataType::OrderBook), StreamState::Live);
    }
}

#[test]
fn a_break_of_one_socket_is_no_gap_while_another_follows() {
    let mut driver = doubled();
    driver.frame_on(A, &snapshot(10, 0)).unwrap();
    driver.frame_on(B, &snapshot(10, 0)).unwrap();
    driver.frame_on(B, &update(10, 11, 100, "2")).unwrap();
    // A misses 10 → 11, and brings something nobody can read.
    driver.frame_on(A, &update(11, 12, 200, "3")).unwrap();
    driver.frame_on(B, &update(11, 12, 200, "3")).unwrap();
    driver.pass(1_000);
    assert_eq!(take_calls(&mut driver, A).len(), 2, "A asks again");
    assert!(take_calls(&mut driver, B).is_empty(), "B never noticed");
    driver.frame_on(A, &update(12, 13, 300, "4")).unwrap();
    driver.closed_on(B);
    driver.frame_on(A, &update(13, 14, 400, "5")).unwrap();
    assert_eq!(update_ids(&driver), [10, 11, 12, 13, 14]);
    assert_unharmed(&driver);
}

/// The successor's first frames, and the books published after its predecessor closed.
#[test]
fn a_successor_takes_over_without_gap_or_duplicate() {
    let cases: [(&str, &[String], &[u64]); 5] = [
        ("the same snapshot", &[snapshot(12, 200)], &[]),
        ("an older one", &[snapshot(11, 100), update(11, 12, 200, "3")], &[]),
        ("a newer one", &[snapshot(15, 300)], &[15]),
        ("none", &[update(11, 12, 200, "3"), update(12, 13, 300, "4")], &[13]),
        ("none, cut otherwise", &[update(11, 13, 300, "4")], &[13]),
    ];
    for (case, frames, published) in cases {
        let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
        driver.opened_on(A);
        driver.frame_on(A, &snapshot(10, 0)).unwrap();
        driver.frame_on(A, &update(10, 11, 100, "2")).unwrap();
        driver.frame_on(A, &update(11, 12, 200, "3")).unwrap();
        driver.opened_on(B);
        for frame in frames {
            driver.frame_on(B, frame).unwrap();
        }
        driver.closed_on(A);
        let last = published.last().copied().unwrap_or(12);
        let previous = i64::try_from(last).unwrap();
        driver.frame_on(B, &update(previous, last + 1, 400, "9")).unwrap();
        let expected: Vec<u64> = [10, 11, 12].iter().chain(published).copied().chain([last + 1]).collect();
        assert_eq!(update_ids(&driver), expected, "{case}");
        assert_unharmed(&driver);
        let books = driver.recorded.books();
        assert!(
            books.windows(2).all(|pair| pair[1].previous_update_id == Some(pair[0].last_update_id)),
            "{case}"
        );
        assert_eq!(books.last().unwrap().bids[0].quantity.to_string(), "9", "{case}");
    }
}

#[test]
fn after_a_reconnect_to_a_server_that_is_behind_nothing_is_missing_or_twice() {
    let mut driver = doubled();
    driver.closed_on(B);
    driver.frame_on(A, &snapshot(10, 0)).unwrap();
    driver.frame_on(A, &update(10, 12, 100, "2")).unwrap();
    driver.closed_on(A);
    driver.opened_on(Link(3));
    driver.frame_on(Link(3), &snapshot(9, 50)).unwrap();
    driver.frame_on(Link(3), &update(9, 12, 100, "2")).unwrap();
    driver.frame_on(Link(3), &update(12, 14, 200, "3")).unwrap();
    assert_eq!(update_ids(&driver), [10, 12, 14]);
    assert_unharmed(&driver);
}

#[test]
fn maintenance_reaches_sockets_one_after_the_other() {
    let mut driver = doubled();
    for link in [A, B] {
        driver.frame_on(link, &snapshot(1_000, 0)).unwrap();
    }
    driver.frame_on(A, &update(1_000, 1_010, 100, "2")).unwrap();
    driver.frame_on(A, &update(1_010, 3, 200, "3")).unwrap();
    driver.frame_on(A, &update(3, 5, 300, "4")).unwrap();
    for (previous, sequence, millis, size) in
        [(1_000, 1_010, 100, "2"), (1_010, 3, 200, "3"), (3, 5, 300, "4"), (5, 6, 400, "5")]
    {
        driver.frame_on(B, &update(previous, sequence, millis, size)).unwrap();
    }
    driver.closed_on(B);
    driver.frame_on(A, &update(5, 6, 400, "5")).unwrap();
    driver.frame_on(A, &update(6, 8, 500, "6")).unwrap();
    assert_eq!(update_ids(&driver), [1_000, 1_010, 3, 5, 6, 8]);
    assert_eq!(driver.recorded.notes_of("Duplicate"), 5);
    assert_unharmed(&driver);
}

#[test]
fn a_socket_opened_after_maintenance_is_ahead_of_one_that_does_not_know_it_yet() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::OrderBook]);
    driver.opened_on(A);
    driver.frame_on(A, &snapshot(1_000, 0)).unwrap();
    driver.opened_on(B);
    driver.frame_on(B, &snapshot(3, 5_000)).unwrap();
    driver.frame_on(A, &update(1_000, 3, 5_000, "1")).unwrap();
    driver.frame_on(A, &update(3, 4, 5_100, "2")).unwrap();
    driver.frame_on(B, &update(3, 4, 5_100, "2")).unwrap();
    assert_eq!(update_ids(&driver), [1_000, 3, 4]);
    assert_unharmed(&driver);
}

#[test]
fn a_successor_ahead_in_trades_leaves_the_rest_to_its_predecessor() {
    let trade = |id: u64| {
        let ts = at(0).as_micros().unsigned_abs() / 1_000 + id;
        format!(
            r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{{"tradeId":"{id}","px":"1","sz":"1","side":"buy","ts":"{ts}","count":"1"}}]}}"#
        )
    };
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], BOTH);
    driver.opened_on(A);
    driver.frame_on(A, &trade(10)).unwrap();
    driver.opened_on(B);
    driver.frame_on(B, &trade(13)).unwrap();
    for id in 11..=13 {
        driver.frame_on(A, &trade(id)).unwrap();
    }
    driver.closed_on(A);
    driver.frame_on(B, &trade(14)).unwrap();
    driver.pass(2_000);
    let mut ids = driver.recorded.trade_ids();
    ids.sort_unstable();
    assert_eq!(ids, [10, 11, 12, 13, 14]);
    assert!(driver.recorded.gaps().is_empty());
    assert!(!driver.recorded.requests.iter().any(|request| request.path.contains("history-trades")));
}

#[test]
fn an_announced_shutdown_is_about_its_socket() {
    let mut driver = doubled();
    let upgrade = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a"}"#;
    driver.frame_on(B, upgrade).unwrap();
    assert_eq!(
        (&driver.recorded.reconnects[..], &driver.recorded.reconnected[..]),
        (&[Lost::Announced][..], &[B][..])
    );
}

#[test]
fn under_pressure_books_wait_and_count() {
    let mut driver = doubled();
    driver.frame_on(A, &snapshot(10, 0)).unwrap();
    driver.set_pressure(Pressure::HoldBooks);
    driver.frame_on(A, &update(10, 11, 100, "2")).unwrap();
    driver.pass(60_000);
    driver.set_pressure(Pressure::None);
    driver.frame_on(A, &update(11, 12, 60_200, "3")).unwrap();
    assert_eq!(update_ids(&driver), [10, 12]);
    assert_eq!(driver.recorded.books()[1].update_count, 2);
    // The last socket closes: what is left is a gap only once it is known to be one.
    driver.closed_on(A);
    driver.closed_on(B);
    assert!(driver.recorded.gaps().is_empty());
    driver.opened_on(Link(3));
    driver.frame_on(Link(3), &snapshot(20, 90_000)).unwrap();
    assert_eq!(driver.recorded.gaps()[0].reason, GapReason::Disconnect);
}
