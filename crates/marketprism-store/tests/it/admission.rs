//! Inserts that arrive late.

use std::time::Duration;

use marketprism_core::DataType;
use marketprism_store::range::Range;
use marketprism_store::{ClickHouseConfig, Copied, Entry, Store, StoreError, Tier};
use marketprism_testkit::{ClickHouse, Proxy};

use crate::sql::{config, decode, insert_trades, tier, trade};

#[tokio::test]
async fn an_insert_that_arrives_after_it_was_given_up_is_refused() {
    let server = ClickHouse::start();
    let (direct, sql) = tier(&server, Tier::Hot).await;
    let proxy = Proxy::start(&server.url()).await;
    let insert_timeout = Duration::from_secs(1);
    let far = ClickHouseConfig { url: proxy.url(), insert_timeout, ..config(&server, "test_hot") };
    let far = Store::new(far).unwrap();
    let (first, second) = (trade(1, 0), trade(2, 0));
    let [first, second] = [&first, &second].map(|payload| decode("trade.binance.spot.BTC-USDT", payload));
    let entry = |message, stream_seq| [Entry { message, stream_epoch: 1, stream_seq }];

    insert_soon(&far, &entry(&first, 1)).await;
    far.admit(DataType::Trade).await.unwrap();
    proxy.hold();
    far.insert(&entry(&second, 2)).await.unwrap_err();
    // Somebody else finds it missing, and stores it.
    direct.settled(DataType::Trade).await.unwrap();
    assert!(direct.stored_sequences(&entry(&second, 2)).await.unwrap().is_empty());
    direct.insert(&entry(&second, 2)).await.unwrap();
    // Now the request of before arrives.
    proxy.restore();
    for _ in 0..50 {
        far.ping().await.unwrap();
    }
    far.settled(DataType::Trade).await.unwrap();
    assert_eq!(sql.ask("SELECT stream_seq FROM trades ORDER BY stream_seq").await, ["1", "2"]);
    // And life goes on.
    let third = trade(3, 0);
    insert_soon(&far, &entry(&decode("trade.binance.spot.BTC-USDT", &third), 3)).await;
}

#[tokio::test]
async fn rows_on_their_way_to_the_cold_tier_that_arrive_late_are_refused() {
    let server = ClickHouse::start();
    let ((hot, _), (direct, sql)) = (tier(&server, Tier::Hot).await, tier(&server, Tier::Cold).await);
    insert_trades(&hot, 1, &[(1, 0), (2, 1), (3, 2)]).await;
    let proxy = Proxy::start(&server.url()).await;
    let insert_timeout = Duration::from_secs(1);
    let far = ClickHouseConfig { url: proxy.url(), insert_timeout, ..config(&server, "test_cold") };
    let far = Store::new(far).unwrap();
    let range = Range { data_type: DataType::Trade, stream_epoch: 1, from_seq: 1, to_seq: 3 };

    // One that learns in the last moment that another one copies sends nothing.
    let another = std::cell::Cell::new(Some(StoreError::MixedBatch { table: "of another one" }));
    far.copy_missing(&hot, &range, || async { another.take().map_or(Ok(()), Err) }).await.unwrap_err();
    assert_eq!(sql.ask("SELECT count() FROM trades").await, ["0"]);

    let held = || async {
        proxy.hold();
        Ok::<_, StoreError>(())
    };
    far.copy_missing(&hot, &range, held).await.unwrap_err();
    // Another instance has taken over, and copies.
    let ours = || async { Ok::<_, StoreError>(()) };
    let others = direct.copy_missing(&hot, &range, ours).await.unwrap();
    assert_eq!(others.rows, 3);
    // Now the request of before arrives, and the instance that sent it tries again.
    proxy.restore();
    for _ in 0..50 {
        far.ping().await.unwrap();
    }
    let again = far.copy_missing(&hot, &range, ours).await.unwrap();
    assert_eq!(again, Copied::default());
    assert_eq!(sql.ask("SELECT stream_seq FROM trades ORDER BY stream_seq").await, ["1", "2", "3"]);
}

/// Inserts as hot-storage does: a machine that is slow enough comes too late, and tries again.
async fn insert_soon(store: &Store, entries: &[Entry<'_>]) {
    for _ in 0..20 {
        store.admit(DataType::Trade).await.unwrap();
        if store.insert(entries).await.is_ok() {
            return;
        }
    }
    panic!("never in time");
}
