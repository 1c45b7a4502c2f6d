//! What a collector that is killed had begun: the next one completes it.

use marketprism_core::topology::MARKET_DATA;
use marketprism_core::{DataType, Message, Subject};
use marketprism_testkit::poll_until;
use serde_json::{Value, json};

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn a_hole_that_waits_for_rest_is_not_forgotten() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    let instruments = rig.status().await["instruments"].clone();
    let is_spot = |one: &&Value| one["market_type"] == "spot";
    let spot = instruments.as_array().unwrap().iter().find(is_spot).unwrap().clone();
    let symbol = spot["symbol"].as_str().unwrap();
    let subject = Subject::parse(&format!("trade.binance.spot.{symbol}")).unwrap();
    let last_id = async || {
        let last = rig.bus.last_message(MARKET_DATA, subject.as_str()).await.unwrap().unwrap();
        let Message::Trade(trade) = Message::decode(&subject, &last.payload).unwrap() else {
            panic!("a trade")
        };
        trade.trade_id.parse::<u64>().unwrap()
    };
    rig.control("fault", &json!({ "fault": "rate_limit", "for_ms": 5_000, "retry_after_seconds": 1 })).await;
    let before = last_id().await;
    let instrument_id = &spot["instrument_id"];
    let fault =
        json!({ "fault": "drop_trade", "market_type": "spot", "instrument_id": instrument_id, "count": 3 });
    rig.control("fault", &fault).await;
    // What is behind the hole is stored, and will be all that the last message tells.
    poll_until(DEADLINE, "trades behind the hole", async || last_id().await > before + 30).await;
    assert_eq!(rig.metric("marketprism_collector_trades_backfilled_total").await, 0, "REST refuses");
    rig.restart_killed_collector();
    poll_until(DEADLINE, "three trades are fetched", async || {
        rig.metric("marketprism_collector_trades_backfilled_total").await >= 3
    })
    .await;
    rig.flowing().await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let gaps =
        stored.of(DataType::Gap).filter(|gap| gap["missing_data_type"] == "trade" && gap["symbol"] == symbol);
    assert!(gaps.filter(|gap| gap["filled"] == 3).count() >= 1, "and it is told");
}
