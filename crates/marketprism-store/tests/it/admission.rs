//! Inserts that arrive late.

use std::time::Duration;

use marketprism_core::DataType;
use marketprism_store::{ClickHouseConfig, Entry, Store, Tier};
use marketprism_testkit::{ClickHouse, Proxy};

use crate::sql::{config, decode, tier, trade};

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
