//! The admin server answers within 50 ms whatever the data path is busy with.

use marketprism_testkit::AnswerTimes;

use crate::rig::Rig;

const TRADES: u64 = 50_000;

#[tokio::test]
async fn health_and_metrics_are_answered_while_rows_are_stored_as_fast_as_they_go() {
    let mut rig = Rig::start().await;
    rig.publish_trades(1..TRADES + 1).await;
    let mut service = rig.service("one").await;
    let pages = rig.admin_pages("one");
    let pages = pages.each_ref().map(|(address, path)| (address.as_str(), *path));
    let busy = AnswerTimes::of(&pages, 100).await;
    println!("hot-storage at full speed: {busy}");
    busy.assert_prompt();
    rig.assert_trades(TRADES).await;
    rig.clickhouse.kill();
    rig.publish_trades(TRADES + 1..TRADES + 1_001).await;
    let without_engine = AnswerTimes::of(&pages, 100).await;
    println!("hot-storage without an engine: {without_engine}");
    without_engine.assert_prompt();
    service.kill();
}
