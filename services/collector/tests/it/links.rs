//! Several sockets for the same streams: a planned roll-over and A/B redundancy leave no gap and no duplicate at the seam.

use std::collections::BTreeMap;

use marketprism_core::DataType;
use marketprism_testkit::poll_until;
use serde_json::json;

use crate::forward_proxy::ForwardProxy;
use crate::rig::{DEADLINE, Rig, Stored, place};

/// Of the two exchanges: spot has one path, USDⓈ-M two.
const SOCKETS: usize = 3;

/// Everything was stored once and nothing declared missing: nobody could tell that a socket was replaced.
fn assert_seamless(stored: &Stored) {
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent, "{}", stored.log);
    let gaps: Vec<_> = stored.of(DataType::Gap).collect();
    assert!(gaps.is_empty(), "{gaps:#?}\n{}", stored.log);
    assert_eq!(stored.log.matches("order book resynchronises").count(), 0, "{}", stored.log);
}

#[tokio::test]
async fn a_planned_roll_over_leaves_no_gap_and_no_duplicate() {
    let rig = Rig::start_with(|config| {
        for id in ["binance_spot", "binance_usdm"] {
            config["exchanges"][id]["connection_life"] = json!("4s");
        }
    })
    .await;
    rig.flowing().await;
    rig.logged("planned roll-over", 6).await;
    rig.more_of_everything().await;
    assert!(
        rig.metric("marketprism_collector_trade_duplicates_total").await > 0,
        "both sockets brought trades"
    );
    assert_seamless(&rig.finish().await);
}

#[tokio::test]
async fn an_announced_shutdown_is_answered_by_a_successor() {
    let rig = Rig::start().await;
    rig.flowing().await;
    rig.control("fault", &json!({ "fault": "server_shutdown" })).await;
    // The successor is there first, then the old one is closed.
    poll_until(DEADLINE, "every socket is replaced", async || {
        rig.metric("marketprism_collector_disconnects_total").await == SOCKETS as u64
    })
    .await;
    assert_eq!(rig.metric("marketprism_collector_connects_total").await, 2 * SOCKETS as u64);
    assert_eq!(rig.metric("marketprism_collector_connect_failures_total").await, 0);
    rig.more_of_everything().await;
    assert_seamless(&rig.finish().await);
}

#[tokio::test]
async fn a_socket_whose_book_was_asked_for_again_waits_no_longer_for_its_successor() {
    let okx = json!({ "okx_spot": { "symbols": ["BTC-USDT"] } });
    let rig = Rig::launch(&["--rate", "200", "--symbols", "1", "--markets", "okx_spot"], okx, |_| {}).await;
    rig.flowing().await;
    let book = json!({ "exchange": "okx_spot", "market_type": "spot", "symbol": "BTC-USDT" });
    for times in 2..5 {
        assert_eq!(rig.order("resync", &book).await["ok"], true);
        rig.logged("order book synchronised", times).await;
    }
    rig.control("fault", &json!({ "fault": "server_shutdown", "exchange": "okx" })).await;
    // Two seconds side by side, where it would be a minute if the successor had to be told as much as the old one was.
    poll_until(marketprism_testkit::DEADLINE, "the old one is closed", async || {
        rig.metric("marketprism_collector_disconnects_total").await == 1
    })
    .await;
    assert_eq!(rig.metric("marketprism_collector_connects_total").await, 2);
}

#[tokio::test]
async fn a_start_of_many_sockets_keeps_to_the_pace_of_both_markets_address() {
    let exchange = json!({ "symbols": "all", "data_types": ["trade"], "streams_per_connection_max": 1 });
    let okx = json!({ "okx_spot": exchange, "okx_swap": exchange });
    let rig =
        Rig::launch(&["--rate", "100", "--symbols", "4", "--markets", "okx_spot,okx_swap"], okx, |_| {})
            .await;
    rig.flowing().await;
    assert!(rig.metric("marketprism_collector_connects_total").await >= 8);
    assert_eq!(
        rig.metric("marketprism_collector_connect_failures_total").await,
        0,
        "{}",
        rig.collector.log()
    );
}

#[tokio::test]
async fn of_two_sockets_either_may_die_without_a_gap() {
    let proxy = ForwardProxy::start().await;
    let rig = Rig::start_with(|config| {
        config["proxy"] = json!(proxy.url("user", "secret"));
        for id in ["binance_spot", "binance_usdm"] {
            config["exchanges"][id]["redundancy"] = json!(2);
        }
    })
    .await;
    rig.flowing().await;
    let wanted = 2 * SOCKETS;
    poll_until(DEADLINE, "two sockets each", async || proxy.tunnels().await == wanted).await;
    rig.more_of_everything().await;
    // Every socket dies once, and while it is gone its twin goes on.
    for number in 0..wanted {
        proxy.cut(&[number]).await;
        poll_until(DEADLINE, "its successor", async || proxy.tunnels().await == wanted + number + 1).await;
        rig.more_of_everything().await;
    }
    assert_seamless(&rig.finish().await);
}

#[tokio::test]
async fn of_two_collectors_either_may_die_without_a_gap() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    let mut another = rig.another_collector(&[]);
    poll_until(DEADLINE, "the other collects, too", async || {
        another.log().matches("order book synchronised").count() >= 4
    })
    .await;
    rig.more_of_everything().await;
    rig.collector.kill();
    rig.more_of_everything().await;
    rig.control("pause", &json!({})).await;
    poll_until(DEADLINE, "everything is on the wire", async || rig.status().await["in_flight"] == 0).await;
    assert!(another.stop().success(), "{}", another.log());
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    // Books are published at every update, by both: each is there once.
    let mut books = BTreeMap::<_, Vec<u64>>::new();
    for book in stored.of(DataType::OrderBook) {
        books.entry(place(book)).or_default().push(book["last_update_id"].as_u64().unwrap());
    }
    for (place, ids) in &mut books {
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{place}: a book is stored twice");
    }
    for line in stored.ledger.iter().filter(|line| line["data_type"] == "orderbook") {
        let (ids, id) = (&books[&place(line)], line["last_update_id"].as_u64().unwrap());
        assert!(id < ids[0] || ids.binary_search(&id).is_ok(), "{line} is not stored\n{}", stored.log);
    }
}
