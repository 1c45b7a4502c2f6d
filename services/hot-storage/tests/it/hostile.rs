//! A ClickHouse that refuses, dawdles, or is not heard; and two servers that die at once. Each message has one row after all.

use std::time::Duration;

use marketprism_testkit::{Proxy, poll_until};

use crate::rig::{DEADLINE, Rig};

/// Publishes while something is wrong, mends it once it has been met, and looks.
async fn refused(rig: &Rig, wrong: &str, mended: &str, code: &str) {
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;
    rig.run(wrong).await;
    rig.publish_trades(101..5_101).await;
    poll_until(DEADLINE, "it is refused", async || rig.health("one").await.1.contains(code)).await;
    rig.run(mended).await;
    rig.assert_trades(5_100).await;
}

#[tokio::test]
async fn a_full_disk_loses_and_doubles_nothing() {
    let rig = Rig::start().await;
    let _service = rig.service("one").await;
    let setting = "min_free_disk_bytes_to_perform_insert";
    let full = format!("ALTER TABLE marketprism_hot.trades MODIFY SETTING {setting} = 1000000000000000000");
    let free = format!("ALTER TABLE marketprism_hot.trades RESET SETTING {setting}");
    refused(&rig, &full, &free, "Code: 243").await;
}

#[tokio::test]
async fn a_read_only_table_loses_and_doubles_nothing() {
    let rig = Rig::start().await;
    let _service = rig.service("one").await;
    let change = |to: u8| format!("ALTER TABLE marketprism_hot.trades MODIFY SETTING table_readonly = {to}");
    refused(&rig, &change(1), &change(0), "Code: 774").await;
}

#[tokio::test]
async fn inserts_slower_than_the_timeout_are_looked_up() {
    let rig = Rig::start().await;
    let _service = rig.service("one").await;
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;
    // The rows are stored, and then the view takes longer than the insert may.
    rig.run("CREATE TABLE marketprism_hot.slow (seconds UInt8) ENGINE = Null").await;
    rig.run(
        "CREATE MATERIALIZED VIEW marketprism_hot.slowly TO marketprism_hot.slow AS \
         SELECT sleep(3) AS seconds FROM marketprism_hot.trades",
    )
    .await;
    rig.publish_trades(101..1_101).await;
    poll_until(DEADLINE, "an insert has failed", async || {
        let metrics = rig.metrics("one").await;
        !metrics.contains(r#"clickhouse_insert_errors_total{data_type="trade"} 0"#)
    })
    .await;
    rig.run("DROP TABLE marketprism_hot.slowly").await;
    rig.assert_trades(1_100).await;
}

#[tokio::test]
async fn answers_that_are_lost_or_late_double_nothing() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.clickhouse.url()).await;
    let url = proxy.url();
    let more =
        [("MARKETPRISM__CLICKHOUSE__URL", url.as_str()), ("MARKETPRISM__CLICKHOUSE__QUERY_TIMEOUT", "3s")];
    let mut service = rig.service_with("one", &more).await;
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;

    proxy.lose_answers_to("query=INSERT");
    rig.publish_trades(101..2_101).await;
    stored(&rig, 2_100).await;
    proxy.restore();
    rig.assert_trades(2_100).await;

    // Later than we wait.
    proxy.delay_answers_to("query=INSERT", Duration::from_secs(8));
    rig.publish_trades(2_101..4_101).await;
    stored(&rig, 4_100).await;
    proxy.restore();
    rig.assert_trades(4_100).await;

    // Requests that arrive after they were given up, when what is stored is being looked at.
    proxy.hold();
    rig.publish_trades(4_101..6_101).await;
    poll_until(DEADLINE, "somebody gave up", async || rig.health("one").await.1.contains("timeout expired"))
        .await;
    proxy.restore();
    rig.assert_trades(6_100).await;
    assert!(service.stop().success());
}

/// Waits until something is stored, whether we know it or not.
async fn stored(rig: &Rig, rows: u64) {
    poll_until(DEADLINE, "it is stored", async || {
        rig.number("SELECT count() FROM marketprism_hot.trades").await >= rows
    })
    .await;
}

#[tokio::test]
async fn any_two_that_die_at_once_under_load_lose_and_double_nothing() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("0").await;
    let mut published = 0;
    for (round, victims) in
        ["hot nats", "nats clickhouse", "hot clickhouse", "hot nats clickhouse"].iter().enumerate()
    {
        let (first, last) = (published + 1, published + 20_000);
        rig.publish_trades(first..last - 9_999).await;
        poll_until(DEADLINE, "it is at work", async || {
            rig.number("SELECT count() FROM marketprism_hot.trades").await > published
        })
        .await;
        rig.publish_trades(last - 9_999..last + 1).await;
        if victims.contains("hot") {
            service.kill();
        }
        if victims.contains("nats") {
            rig.nats.kill();
        }
        if victims.contains("clickhouse") {
            rig.clickhouse.kill();
            rig.clickhouse.restart();
        }
        if victims.contains("nats") {
            rig.nats.restart();
        }
        if victims.contains("hot") {
            service = rig.service(&(round + 1).to_string()).await;
        }
        rig.assert_trades(last).await;
        published = last;
    }
    assert!(service.stop().success());
}
