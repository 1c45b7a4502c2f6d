//! A long history: in constant memory, at the pace that is allowed, and told.

use std::time::{Duration, Instant};

use marketprism_core::DataType;
use marketprism_testkit::{AnswerTimes, poll_until};

use crate::rig::{DEADLINE, Rig, TODAY};

#[tokio::test]
async fn millions_of_rows_are_copied_in_constant_memory_and_told() {
    const ROWS: u64 = 2_000_000;
    let rig = Rig::start().await;
    rig.end_epoch().await;
    rig.fill(1, ROWS / 2, TODAY - 1, "now64(6)").await;
    rig.fill(ROWS / 2 + 1, ROWS / 2, TODAY, "now64(6)").await;
    let mut service = rig.service_with("one", &[("MARKETPRISM__REPLICATION__ROWS_MAX", "200000")]);
    let began = Instant::now();
    let addresses = ["health", "metrics"].map(|server| rig.address("one", server));
    let busy = AnswerTimes::of(&[(&addresses[0], "/health"), (&addresses[1], "/metrics")], 50).await;
    println!("cold-storage at full speed: {busy}");
    busy.assert_prompt();
    rig.wait_for_watermark(ROWS).await;
    println!("{ROWS} rows in {:?}", began.elapsed());
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak {peak_kib} KiB");
    // The rows themselves are 270 MB; a service without any takes 30 MiB.
    assert!(peak_kib < 100 * 1024, "{peak_kib} KiB");
    rig.assert_same(ROWS).await;
    poll_until(DEADLINE, "health shows it", async || {
        let health = rig.get("one", "health").await;
        health.contains("\"trades\":{")
            && health.contains("\"watermark\":2000000")
            && health.contains("\"backlog_rows\":0")
    })
    .await;
    let metrics = rig.get("one", "metrics").await;
    for line in [
        "marketprism_cold_backlog_rows{table=\"trades\"} 0",
        "marketprism_cold_backlog_eta_seconds{table=\"trades\"} 0",
        "marketprism_cold_copied_rows_per_second{table=\"trades\"}",
    ] {
        assert!(metrics.contains(line), "`{line}` is not in:\n{metrics}");
    }
    assert!(service.stop().success());
}

#[tokio::test]
async fn the_limit_is_kept_and_what_is_left_is_told() {
    let rig = Rig::start().await;
    rig.end_epoch().await;
    rig.fill(1, 10_000, TODAY, "now64(6)").await;
    let slowly = [
        ("MARKETPRISM__REPLICATION__ROWS_MAX", "500000"),
        ("MARKETPRISM__REPLICATION__ROWS_PER_SECOND_MAX", "2000"),
    ];
    let mut service = rig.service_with("one", &slowly);
    let watermark = async || rig.cold.watermark(DataType::Trade, 1).await.unwrap_or_default();
    poll_until(DEADLINE, "the first range is copied", async || watermark().await > 0).await;
    let began = Instant::now();
    assert!(watermark().await <= 4_000, "a range is no more than a second of it");
    // Told just after it is in the ledger.
    poll_until(DEADLINE, "health tells what is left", async || {
        rig.get("one", "health").await.contains("\"backlog_rows\":")
    })
    .await;
    rig.wait_for_watermark(10_000).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "after {:?}", began.elapsed());
    rig.assert_same(10_000).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn rows_that_are_too_young_are_not_copied() {
    let rig = Rig::start().await;
    rig.end_epoch().await;
    rig.fill(1, 10, TODAY, "now64(6) - INTERVAL 2 HOUR").await;
    rig.fill(11, 10, TODAY, "now64(6)").await;
    rig.fill(21, 10, TODAY, "now64(6) - INTERVAL 2 HOUR").await;
    let mut service = rig.service_with("one", &[("MARKETPRISM__REPLICATION__LAG", "1h")]);
    rig.wait_for_watermark(10).await;
    poll_until(DEADLINE, "a round without anything to copy", async || {
        rig.get("one", "metrics").await.contains("marketprism_cold_backlog_rows{table=\"trades\"} 0")
    })
    .await;
    assert_eq!(
        rig.cold.watermark(DataType::Trade, 1).await.unwrap(),
        10,
        "nothing behind a young row either"
    );
    assert!(service.stop().success());
}
