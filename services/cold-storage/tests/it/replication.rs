//! What the hot tier has, the cold tier gets: once, compared, however it is interrupted.

use marketprism_core::DataType;
use marketprism_store::range::Range;
use marketprism_store::{SchemaMode, Tier};
use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig};

const LAG_OF_TRADES: &str = "marketprism_cold_replication_lag_seconds{table=\"trades\"}";

#[tokio::test]
async fn history_and_what_comes_later_are_copied_and_told() {
    let rig = Rig::start().await;
    rig.store_trades(1..5_501, |_| true).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(5_500).await;
    rig.assert_same(5_500).await;
    let ranges = rig.number("SELECT count() FROM marketprism_cold.replication_log").await;
    assert_eq!(ranges, 6, "1,000 rows in a range");
    rig.store_trades(5_501..5_701, |_| true).await;
    rig.wait_for_watermark(5_700).await;
    rig.assert_same(5_700).await;
    poll_until(DEADLINE, "healthy", async || rig.get("one", "health").await.starts_with("HTTP/1.1 200"))
        .await;
    let metrics = rig.get("one", "metrics").await;
    for line in [
        "marketprism_cold_replication_enabled 1",
        "marketprism_cold_rows_copied_total{table=\"trades\"} 5700",
        "marketprism_cold_watermark_sequence{table=\"trades\"} 5700",
        "marketprism_cold_replication_lag_minutes{table=\"gaps\"} 0",
        "marketprism_cold_verification_failures_total{table=\"trades\"} 0",
        "marketprism_cold_last_success_timestamp_seconds",
    ] {
        assert!(metrics.contains(line), "`{line}` is not in:\n{metrics}");
    }
    assert!(service.stop().success());
    assert!(rig.spawn("verify", &["verify"], &[]).wait().success());
}

#[tokio::test]
async fn nothing_above_the_acknowledged_is_copied_so_late_rows_are_not_missed() {
    let rig = Rig::start().await;
    // Stored, but the word on sequence 41 is missing: rows below it may still be on their way to the hot tier.
    rig.store_trades(1..101, |sequence| sequence != 41).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(40).await;
    assert_eq!(rig.number("SELECT max(stream_seq) FROM marketprism_cold.trades").await, 40);
    assert!(service.stop().success());
}

#[tokio::test]
async fn interrupted_between_copy_and_ledger_it_copies_only_what_is_missing() {
    let rig = Rig::start().await;
    rig.store_trades(1..3_001, |_| true).await;
    // A run that ended before its ledger entry, in the middle of the second range.
    rig.cold.migrate(Tier::Cold, SchemaMode::Apply).await.unwrap();
    let begun = Range { data_type: DataType::Trade, stream_epoch: 1, from_seq: 1, to_seq: 1_500 };
    rig.copy(&begun).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(3_000).await;
    rig.assert_same(3_000).await;
    let metrics = rig.get("one", "metrics").await;
    assert!(metrics.contains("marketprism_cold_rows_copied_total{table=\"trades\"} 1500"), "{metrics}");
    assert!(service.stop().success());
}

#[tokio::test]
async fn killed_and_restarted_while_copying_it_completes() {
    let rig = Rig::start().await;
    rig.store_trades(1..20_001, |_| true).await;
    for name in ["one", "two", "three"] {
        let mut service = rig.service(name);
        let before = rig.cold.watermark(DataType::Trade, 1).await.unwrap_or_default();
        poll_until(DEADLINE, "a range is copied", async || {
            rig.cold.watermark(DataType::Trade, 1).await.is_ok_and(|now| now > before || now == 20_000)
        })
        .await;
        service.kill();
    }
    let mut service = rig.service("four");
    rig.wait_for_watermark(20_000).await;
    rig.assert_same(20_000).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_row_that_differs_stops_the_table_and_is_told() {
    let rig = Rig::start().await;
    rig.store_trades(1..101, |_| true).await;
    rig.cold.migrate(Tier::Cold, SchemaMode::Apply).await.unwrap();
    let range = Range { data_type: DataType::Trade, stream_epoch: 1, from_seq: 1, to_seq: 50 };
    rig.copy(&range).await;
    rig.run("ALTER TABLE marketprism_cold.trades UPDATE price = 99 WHERE stream_seq = 7 SETTINGS mutations_sync = 1")
        .await;
    let mut service = rig.service("one");
    poll_until(DEADLINE, "health tells of it", async || {
        let health = rig.get("one", "health").await;
        health.starts_with("HTTP/1.1 503") && health.contains("trades 1…100 of epoch 1 differs")
    })
    .await;
    assert_eq!(rig.cold.watermark(DataType::Trade, 1).await.unwrap(), 0, "not entered");
    assert!(!rig.get("one", "metrics").await.contains("verification_failures_total{table=\"trades\"} 0"));
    poll_until(DEADLINE, "the lag grows", async || {
        let metrics = rig.get("one", "metrics").await;
        let lag = metrics.lines().find_map(|line| line.strip_prefix(LAG_OF_TRADES)?.trim().parse().ok());
        lag.is_some_and(|seconds: f64| seconds > 1.0)
    })
    .await;

    rig.run("ALTER TABLE marketprism_cold.trades UPDATE price = 100 WHERE stream_seq = 7 SETTINGS mutations_sync = 1")
        .await;
    rig.wait_for_watermark(100).await;
    rig.assert_same(100).await;
    assert!(service.stop().success());

    // Changed after it was entered: found by the command for it.
    assert!(rig.spawn("good", &["verify"], &[]).wait().success());
    rig.run("ALTER TABLE marketprism_cold.trades DELETE WHERE stream_seq = 7 SETTINGS mutations_sync = 1")
        .await;
    let mut verify = rig.spawn("bad", &["verify"], &[]);
    assert_eq!(verify.wait().code(), Some(1));
    assert!(verify.log().contains("trades 7 of epoch 1: missing in the cold tier"), "{}", verify.log());
}

#[tokio::test]
async fn while_clickhouse_is_away_it_waits_and_then_goes_on() {
    let mut rig = Rig::start().await;
    rig.store_trades(1..101, |_| true).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(100).await;
    rig.store_trades(101..201, |_| true).await;
    rig.clickhouse.kill();
    poll_until(DEADLINE, "health tells of it", async || {
        rig.get("one", "health").await.starts_with("HTTP/1.1 503")
    })
    .await;
    rig.clickhouse.restart();
    rig.wait_for_watermark(200).await;
    rig.assert_same(200).await;
    assert!(service.stop().success());
}
