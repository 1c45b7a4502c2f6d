//! What is stored, by sequence, and the epochs of a stream.

use std::collections::HashSet;

use marketprism_core::DataType;
use marketprism_store::Tier;
use marketprism_store::epoch::{Epoch, Reason};
use marketprism_testkit::ClickHouse;

use crate::sql::{insert_trades, tier};

#[tokio::test]
async fn stored_sequences_are_told_by_epoch() {
    let server = ClickHouse::start();
    let (store, _) = tier(&server, Tier::Hot).await;
    assert_eq!(store.highest_sequence(DataType::Trade, 1).await.unwrap(), None);
    let even: Vec<_> = (1..=6_000).map(|half| (half * 2, 0)).collect();
    insert_trades(&store, 1, &even).await;
    insert_trades(&store, 2, &[(1, 0), (3, 60)]).await;

    // More candidates than fit one question.
    let candidates: Vec<u64> = (1..=12_100).collect();
    let stored = store.stored_sequences(DataType::Trade, 1, &candidates).await.unwrap();
    assert_eq!(stored, even.iter().map(|(sequence, _)| *sequence).collect::<HashSet<_>>());
    let stored = store.stored_sequences(DataType::Trade, 2, &[1, 2, 3, 4]).await.unwrap();
    assert_eq!(stored, HashSet::from([1, 3]));
    assert_eq!(store.highest_sequence(DataType::Trade, 1).await.unwrap(), Some(12_000));
    assert_eq!(store.highest_sequence(DataType::Trade, 2).await.unwrap(), Some(3));
    store.settled(DataType::Trade).await.unwrap();
}

#[tokio::test]
async fn epochs_are_entered_once_and_the_newest_is_found() {
    let server = ClickHouse::start();
    let (store, _) = tier(&server, Tier::Hot).await;
    assert_eq!(store.newest_epoch("MARKET_DATA").await.unwrap(), None);
    let first = Epoch { number: 1, stream_created_us: 1_700_000_000_123_456, last_sequence: 0 };
    let second = Epoch { number: 2, stream_created_us: 1_700_000_009_000_000, last_sequence: 4 };
    store.enter_epoch("MARKET_DATA", &first, Reason::First).await.unwrap();
    insert_trades(&store, 1, &[(9, 0)]).await;
    assert_eq!(store.newest_epoch("MARKET_DATA").await.unwrap(), Some((first, Some(9))));
    store.enter_epoch("MARKET_DATA", &second, Reason::Recreated).await.unwrap();
    store.enter_epoch("MARKET_DATA", &second, Reason::Recreated).await.unwrap();
    assert_eq!(store.newest_epoch("MARKET_DATA").await.unwrap(), Some((second, None)));
    assert_eq!(store.epochs("MARKET_DATA").await.unwrap(), [first, second]);
    assert_eq!(store.newest_epoch("ORDERBOOK_SNAP").await.unwrap(), None);
}
