//! The hot tier lets go of a day that is proved to be in the cold tier, and of no other.

use marketprism_core::DataType;
use marketprism_store::release::Day;
use marketprism_testkit::{Process, poll_until};

use crate::rig::{DEADLINE, Rig, TODAY};

const RELEASING: &[(&str, &str)] =
    &[("MARKETPRISM__RELEASE__INTERVAL", "100ms"), ("MARKETPRISM__RELEASE__RETENTION", "1day")];
/// The day that is to be released; the one after it holds the newest row, and stays.
const HOT_OLD: &str = "SELECT count() FROM marketprism_hot.trades WHERE toDate(timestamp) = '2026-01-05'";
const RELEASED: &str =
    "SELECT toUInt64(sum(if(kept, -1, 1) * toInt64(rows))) FROM marketprism_cold.release_log";

/// Ninety trades in both tiers, the first sixty of them of the old day, in three parts.
async fn copied() -> Rig {
    let rig = Rig::start().await;
    for ids in [1..21, 21..41, 41..91] {
        rig.store_trades_of(ids, day_of, |_| true).await;
    }
    let mut service = rig.service("copy");
    rig.wait_for_watermark(90).await;
    assert!(service.stop().success());
    rig
}

fn day_of(id: u64) -> i64 {
    if id <= 60 { TODAY - 1 } else { TODAY }
}

async fn wait_for_metric(rig: &Rig, line: &str) {
    poll_until(DEADLINE, line, async || rig.get("one", "metrics").await.contains(line)).await;
}

async fn wait_until_gone(rig: &Rig) {
    poll_until(DEADLINE, "the old day is gone", async || rig.number(HOT_OLD).await == 0).await;
}

/// The check `release`: its status, and the reason.
async fn health(rig: &Rig) -> (String, String) {
    let answer = rig.get("one", "health").await;
    let health: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").last().unwrap()).unwrap();
    let check = &health["checks"]["release"];
    // Not there before the service is started.
    (check["status"].as_str().unwrap_or_default().to_owned(), check["reason"].to_string())
}

async fn wait_until_degraded(rig: &Rig, told: &[&str]) {
    poll_until(DEADLINE, &format!("degraded: {told:?}"), async || {
        let (status, reason) = health(rig).await;
        status == "degraded" && told.iter().all(|part| reason.contains(part))
    })
    .await;
}

/// Health and metrics tell that the old day stays, and it does.
async fn assert_stays(rig: &Rig, reason: &str) -> Process {
    let service = rig.service_with("one", RELEASING);
    wait_until_degraded(rig, &["trades 2026-01-05 is not proved to be in the cold tier: ", reason]).await;
    wait_for_metric(rig, "marketprism_cold_unverified_partitions{table=\"trades\"} 1").await;
    assert!(!rig.get("one", "metrics").await.contains("unverified_age_seconds{table=\"trades\"} 0"));
    assert!(rig.number(HOT_OLD).await >= 60);
    assert_eq!(rig.number(RELEASED).await, 0);
    service
}

#[tokio::test]
async fn a_day_goes_when_it_is_proved_and_a_late_row_of_it_goes_after_it() {
    let rig = copied().await;
    rig.purge_stream().await;
    let mut service = rig.service_with("one", RELEASING);
    wait_until_gone(&rig).await;
    wait_for_metric(&rig, "marketprism_cold_released_rows_total{table=\"trades\"} 60").await;
    assert_eq!(rig.number(RELEASED).await, 60);
    assert_eq!(
        rig.number("SELECT count() FROM marketprism_hot.trades").await,
        30,
        "the day of the newest row"
    );
    assert_eq!(rig.number("SELECT count() FROM marketprism_cold.trades").await, 90);

    rig.store_trades_of(91..96, |id| if id < 95 { TODAY - 1 } else { TODAY }, |_| true).await;
    rig.wait_for_watermark(95).await;
    assert_eq!(rig.number(HOT_OLD).await, 4, "the stream still holds them");
    rig.purge_stream().await;
    wait_until_gone(&rig).await;
    poll_until(DEADLINE, "all is entered", async || rig.number(RELEASED).await == 64).await;
    assert_eq!(rig.number("SELECT count() FROM marketprism_cold.trades").await, 95);
    wait_for_metric(&rig, "marketprism_cold_unverified_partitions{table=\"trades\"} 0").await;
    assert!(service.stop().success());
    assert!(rig.spawn("verify", &["verify"], &[]).wait().success());
}

#[tokio::test]
async fn a_day_with_a_row_that_differs_stays_until_it_is_mended() {
    let rig = copied().await;
    rig.purge_stream().await;
    let update = "ALTER TABLE marketprism_cold.trades UPDATE quantity";
    rig.run(&format!("{update} = 2 WHERE stream_seq = 7 SETTINGS mutations_sync = 1")).await;
    let mut service = assert_stays(&rig, "epoch 1 differs: hot has 60 rows").await;
    rig.run(&format!("{update} = 1 WHERE stream_seq = 7 SETTINGS mutations_sync = 1")).await;
    wait_until_gone(&rig).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_day_with_a_row_missing_in_the_cold_tier_stays() {
    let rig = copied().await;
    rig.purge_stream().await;
    rig.run("ALTER TABLE marketprism_cold.trades DELETE WHERE stream_seq = 7 SETTINGS mutations_sync = 1")
        .await;
    let mut service = assert_stays(&rig, "cold has 59 rows of 59 messages").await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_day_with_a_row_twice_in_both_tiers_stays() {
    let rig = copied().await;
    rig.purge_stream().await;
    for tier in ["hot", "cold"] {
        rig.run(&format!(
            "INSERT INTO marketprism_{tier}.trades SELECT * FROM marketprism_{tier}.trades WHERE stream_seq = 7"
        ))
        .await;
    }
    let mut service = assert_stays(&rig, "cold has 61 rows of 60 messages").await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_day_with_late_rows_above_the_watermark_stays() {
    let rig = Rig::start().await;
    rig.store_trades_of(1..41, day_of, |_| true).await;
    let mut service = rig.service("copy");
    rig.wait_for_watermark(40).await;
    assert!(service.stop().success());
    // A row in the way, so that the ledger does not get on.
    rig.run(
        "INSERT INTO marketprism_cold.trades SELECT * REPLACE (41 AS stream_seq) FROM marketprism_cold.trades \
         WHERE stream_seq = 7",
    )
    .await;
    rig.store_trades_of(41..91, day_of, |_| true).await;
    rig.purge_stream().await;
    let mut service = assert_stays(&rig, "rows up to sequence 60 of epoch 1, the ledger ends at 40").await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn nothing_goes_while_a_range_is_missing_in_the_ledger() {
    let rig = copied().await;
    rig.purge_stream().await;
    rig.store_trades_of(91..92, day_of, |_| true).await;
    let mut copy = rig.service("more");
    rig.wait_for_watermark(91).await;
    assert!(copy.stop().success());
    rig.run(
        "ALTER TABLE marketprism_cold.replication_log DELETE WHERE from_seq = 1 SETTINGS mutations_sync = 1",
    )
    .await;
    let mut service = rig.service_with("one", RELEASING);
    wait_until_degraded(
        &rig,
        &["trades is not released: replication_log of trades in epoch 1 is not contiguous"],
    )
    .await;
    wait_for_metric(&rig, "marketprism_cold_unverified_partitions{table=\"trades\"} 2").await;
    assert_eq!(rig.number(HOT_OLD).await, 60);
    assert!(service.stop().success());
}

#[tokio::test]
async fn what_the_stream_may_deliver_again_stays() {
    let rig = copied().await;
    let mut service = rig.service_with("one", RELEASING);
    wait_for_metric(&rig, "marketprism_cold_held_partitions{table=\"trades\"} 2").await;
    assert_eq!(rig.number(HOT_OLD).await, 60);
    poll_until(DEADLINE, "nothing is wrong", async || health(&rig).await.0 == "healthy").await;
    rig.purge_stream().await;
    wait_until_gone(&rig).await;
    wait_for_metric(&rig, "marketprism_cold_held_partitions{table=\"trades\"} 1").await;
    assert_eq!(rig.number("SELECT count() FROM marketprism_hot.trades").await, 30, "the newest row stays");
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_release_that_was_interrupted_is_completed() {
    let rig = copied().await;
    rig.purge_stream().await;
    // Killed after the first part was dropped, and before the second one was.
    let day = Day { number: u16::try_from(TODAY - 1).unwrap(), name: "2026-01-05".to_owned() };
    let parts = rig.hot.parts_of(DataType::Trade, &day).await.unwrap();
    assert!(parts.len() > 1, "merged before the test could begin: {parts:?}");
    rig.cold.enter_release(&day, &parts[..1], false).await.unwrap();
    assert!(rig.hot.drop_part(DataType::Trade, &parts[0].part).await.unwrap());
    rig.cold.enter_release(&day, &parts[1..2], false).await.unwrap();
    let mut service = rig.service_with("one", RELEASING);
    wait_until_gone(&rig).await;
    poll_until(DEADLINE, "all is entered", async || rig.number(RELEASED).await == 60).await;
    assert_eq!(rig.number("SELECT countIf(kept) FROM marketprism_cold.release_log").await, 1);
    assert!(service.stop().success());
    assert!(!rig.hot.drop_part(DataType::Trade, &parts[0].part).await.unwrap(), "there is none of that name");
}

#[tokio::test]
async fn a_data_type_may_be_kept_longer() {
    let rig = copied().await;
    rig.purge_stream().await;
    let keeping = [
        ("MARKETPRISM__RELEASE__INTERVAL", "100ms"),
        ("MARKETPRISM__RELEASE__RETENTION", "1day"),
        ("MARKETPRISM__RELEASE__RETENTION_BY_TYPE__TRADE", "10000days"),
    ];
    let mut service = rig.service_with("one", &keeping);
    poll_until(DEADLINE, "a round is over", async || health(&rig).await.0 == "healthy").await;
    assert_eq!(rig.number(HOT_OLD).await, 60);
    assert!(service.stop().success());
}
