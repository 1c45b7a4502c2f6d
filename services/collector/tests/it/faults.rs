//! What an exchange and a network do: each fault is survived, and what it cost is a stored fact.

use marketprism_core::DataType;
use marketprism_testkit::poll_until;
use serde_json::json;

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn a_dropped_connection_is_replaced_and_its_trades_are_fetched() {
    let rig = Rig::start().await;
    rig.flowing().await;
    rig.control("fault", &json!({ "fault": "disconnect" })).await;
    // Four books at the start, and all four again.
    rig.logged("order book synchronised", 8).await;
    rig.more_of_everything().await;
    assert_eq!(rig.metric("marketprism_collector_connects_total").await, 6);
    let stored = rig.finish().await;
    stored.assert_trades_are_whole_or_declared();
    let gaps: Vec<_> =
        stored.of(DataType::Gap).filter(|gap| gap["missing_data_type"] == "orderbook").collect();
    // A book of which nothing happened in between has nothing to declare.
    assert!((1..=4).contains(&gaps.len()), "{gaps:#?}");
    assert!(gaps.iter().all(|gap| gap["reason"] == "disconnect"), "{gaps:#?}");
}

#[tokio::test]
async fn a_hole_in_the_trade_ids_is_filled_and_recorded() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let instruments = rig.status().await["instruments"].clone();
    let spot =
        instruments.as_array().unwrap().iter().find(|one| one["market_type"] == "spot").unwrap().clone();
    let fault = json!({ "fault": "drop_trade", "market_type": "spot", "instrument_id": spot["instrument_id"], "count": 3 });
    rig.control("fault", &fault).await;
    poll_until(DEADLINE, "three trades are fetched", async || {
        rig.metric("marketprism_collector_trades_backfilled_total").await >= 3
    })
    .await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let filled: u64 = stored.of(DataType::Gap).map(|gap| gap["filled"].as_u64().unwrap()).sum();
    assert_eq!(filled, 3);
    assert_eq!(stored.of(DataType::Trade).filter(|trade| trade["source"] == "backfill").count(), 3);
}

#[tokio::test]
async fn a_skipped_update_resynchronises_that_book_alone() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let instruments = rig.status().await["instruments"].clone();
    let usdm =
        instruments.as_array().unwrap().iter().find(|one| one["market_type"] == "perpetual").unwrap().clone();
    let instrument_id = &usdm["instrument_id"];
    let fault = json!({ "fault": "skip_diff", "market_type": "perpetual", "instrument_id": instrument_id, "count": 1 });
    rig.control("fault", &fault).await;
    rig.logged("order book synchronised", 5).await;
    assert_eq!(rig.metric("marketprism_collector_orderbook_resyncs_total").await, 1);
    assert_eq!(
        rig.metric("marketprism_collector_disconnects_total").await,
        0,
        "no socket was dropped for it"
    );
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let gaps: Vec<_> = stored.of(DataType::Gap).collect();
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    assert_eq!(gaps[0]["instrument_id"], usdm["instrument_id"]);
    assert_eq!(gaps[0]["reason"], "sequence");
}

#[tokio::test]
async fn corrupt_frames_are_counted_and_cost_only_themselves() {
    let rig = Rig::start().await;
    rig.flowing().await;
    rig.control("fault", &json!({ "fault": "corrupt_frame", "count": 5 })).await;
    poll_until(DEADLINE, "five frames rejected", async || {
        rig.metric("marketprism_collector_frames_rejected_total").await == 5
    })
    .await;
    rig.flowing().await;
    rig.finish().await.assert_trades_are_whole_or_declared();
}

#[tokio::test]
async fn a_broker_that_goes_away_for_a_while_costs_nothing() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    rig.nats.stop();
    poll_until(DEADLINE, "health says so", async || {
        rig.health().await["checks"]["nats"]["status"] == "unhealthy"
    })
    .await;
    rig.nats.restart();
    rig.flowing().await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent);
}

#[tokio::test]
async fn too_many_requests_is_obeyed() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let asked_before = rig.metric("marketprism_collector_rest_limited_total").await;
    rig.control("fault", &json!({ "fault": "rate_limit", "for_ms": 1500, "retry_after_seconds": 1 })).await;
    rig.control("fault", &json!({ "fault": "disconnect" })).await;
    poll_until(DEADLINE, "it was told so", async || {
        rig.metric("marketprism_collector_rest_limited_total").await > asked_before
    })
    .await;
    rig.flowing().await;
    let log = std::fs::read_to_string(rig.log_file()).unwrap();
    assert!(log.contains("the exchange says we ask too often"), "{log}");
    rig.finish().await.assert_trades_are_whole_or_declared();
}

#[tokio::test]
async fn a_refused_address_turns_that_market_off_says_what_to_do_and_is_tried_again() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let refused = json!({
        "fault": "rate_limit", "status": 451, "market_type": "spot", "for_ms": 4000, "retry_after_seconds": 2,
    });
    rig.control("fault", &refused).await;
    rig.control("fault", &json!({ "fault": "disconnect", "market_type": "spot" })).await;
    poll_until(DEADLINE, "health says what to do", async || {
        let health = rig.health().await;
        let reason = health["checks"]["exchanges"]["reason"].as_str().unwrap_or_default();
        ["binance_spot", "451", "exchanges.binance_spot.proxy", "enabled: false"]
            .iter()
            .all(|part| reason.contains(part))
    })
    .await;
    // A collector that starts while it lasts waits for the list of spot alone.
    let mut another = rig.another_collector(&[]);
    poll_until(DEADLINE, "USDⓈ-M is collected, spot is refused", async || {
        let log = another.log();
        log.contains("binance_spot refuses this address")
            && log.matches("order book synchronised").count() >= 2
    })
    .await;
    rig.flowing().await;
    poll_until(DEADLINE, "both collect spot again", async || {
        another.log().matches("order book synchronised").count() >= 4
    })
    .await;
    assert!(another.stop().success(), "{}", another.log());
    rig.finish().await.assert_trades_are_whole_or_declared();
}
