//! The admin server answers within 50 ms whatever the data path is busy with.

use marketprism_testkit::{AnswerTimes, poll_until};
use serde_json::json;

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn health_and_metrics_are_answered_while_frames_come_as_fast_as_they_go() {
    let exchanges = json!({ "binance_spot": { "symbols": "all" } });
    let mut rig = Rig::launch(&["--rate", "20000", "--symbols", "4"], exchanges, |_| {}).await;
    let frames = async || rig.metric("marketprism_collector_frames_received_total").await;
    poll_until(DEADLINE, "frames come", async || frames().await > 5_000).await;
    let pages = rig.admin_pages();
    let pages = pages.each_ref().map(|(address, path)| (address.as_str(), *path));
    let before = frames().await;
    let busy = AnswerTimes::of(&pages, 100).await;
    println!("collector under load: {busy}; {} frames meanwhile", frames().await - before);
    busy.assert_prompt();
    assert!(frames().await > before);
    // Nothing is taken off the queue any more.
    rig.nats.stop();
    let without_broker = AnswerTimes::of(&pages, 100).await;
    println!("collector without a broker: {without_broker}");
    without_broker.assert_prompt();
}
