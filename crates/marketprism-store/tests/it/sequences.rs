//! What is stored, by sequence, and the epochs of a stream.

use std::collections::HashSet;

use marketprism_core::DataType;
use marketprism_store::epoch::{Epoch, Reason};
use marketprism_store::{Entry, Store, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{decode, insert_trades, tier, trade};

/// Which of the trades with these sequences and seconds are stored, asked for in an epoch.
async fn stored(store: &Store, stream_epoch: u32, trades: &[(u64, i64)]) -> HashSet<u64> {
    let payloads: Vec<_> = trades.iter().map(|(sequence, seconds)| trade(*sequence, *seconds)).collect();
    let messages: Vec<_> = payloads.iter().map(|one| decode("trade.binance.spot.BTC-USDT", one)).collect();
    let entries: Vec<_> = messages
        .iter()
        .zip(trades)
        .map(|(message, (stream_seq, _))| Entry { message, stream_epoch, stream_seq: *stream_seq })
        .collect();
    store.stored_sequences(&entries).await.unwrap()
}

#[tokio::test]
async fn stored_sequences_are_told_by_epoch() {
    let server = ClickHouse::start();
    let (store, _) = tier(&server, Tier::Hot).await;
    assert_eq!(store.highest_sequence(DataType::Trade, 1).await.unwrap(), None);
    let even: Vec<_> = (1..=6_000).map(|half| (half * 2, 0)).collect();
    insert_trades(&store, 1, &even).await;
    insert_trades(&store, 2, &[(1, 0), (3, 60)]).await;

    // More candidates than fit one question.
    let candidates: Vec<_> = (1..=12_100).map(|sequence| (sequence, 0)).collect();
    let all = even.iter().map(|(sequence, _)| *sequence).collect::<HashSet<_>>();
    assert_eq!(stored(&store, 1, &candidates).await, all);
    // Of the epoch before only what is the same message; of its own whatever has the sequence.
    assert_eq!(stored(&store, 2, &[(1, 7), (2, 0), (3, 60), (4, 1), (5, 0)]).await, HashSet::from([1, 2, 3]));
    assert_eq!(store.highest_sequence(DataType::Trade, 1).await.unwrap(), Some(12_000));
    assert_eq!(store.highest_sequence(DataType::Trade, 2).await.unwrap(), Some(3));
    assert_eq!(store.highest_after(DataType::Trade, Some(1), 11_999).await.unwrap(), Some(12_000));
    assert_eq!(store.highest_after(DataType::Trade, Some(1), 12_000).await.unwrap(), None);
    for near in [0, 5, 12_000, u64::MAX] {
        assert_eq!(store.highest_near(DataType::Trade, None, near).await.unwrap(), Some(12_000));
        assert_eq!(store.highest_near(DataType::Trade, Some(2), near).await.unwrap(), Some(3));
        assert_eq!(store.highest_near(DataType::Gap, None, near).await.unwrap(), None);
    }
    store.settled(DataType::Trade).await.unwrap();

    for (seconds, same) in [(60, true), (61, false)] {
        let payload = trade(3, seconds);
        let message = decode("trade.binance.spot.BTC-USDT", &payload);
        let entry = Entry { message: &message, stream_epoch: 2, stream_seq: 3 };
        assert_eq!(store.is_stored(&entry).await.unwrap(), same);
    }
}

#[tokio::test]
async fn epochs_are_entered_once_and_the_newest_is_found() {
    let server = ClickHouse::start();
    let (store, _) = tier(&server, Tier::Hot).await;
    assert_eq!(store.newest_epoch("MARKET_DATA", 7).await.unwrap(), None);
    let first = Epoch { number: 1, stream_created_us: 1_700_000_000_123_456, last_sequence: 0 };
    let second = Epoch { number: 2, stream_created_us: 1_700_000_009_000_000, last_sequence: 4 };
    store.enter_epoch("MARKET_DATA", &first, Reason::First).await.unwrap();
    insert_trades(&store, 1, &[(9, 0)]).await;
    assert_eq!(store.newest_epoch("MARKET_DATA", 7).await.unwrap(), Some((first, Some(9))));
    store.enter_epoch("MARKET_DATA", &second, Reason::Recreated).await.unwrap();
    store.enter_epoch("MARKET_DATA", &second, Reason::Recreated).await.unwrap();
    assert_eq!(store.newest_epoch("MARKET_DATA", 7).await.unwrap(), Some((second, None)));
    assert_eq!(store.epochs("MARKET_DATA").await.unwrap(), [first, second]);
    assert_eq!(store.newest_epoch("ORDERBOOK_SNAP", 7).await.unwrap(), None);
}
