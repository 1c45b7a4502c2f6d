//! Killed at any instant, again and again: the cold tier ends up equal to the hot one, each row once.

use std::time::Duration;

use marketprism_core::DataType;
use tokio::time::sleep;

use crate::rig::{Rig, TODAY};

const SEED: u64 = 20_261_121;
const ROUNDS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_whenever_both_tiers_end_up_equal() {
    let mut rig = Rig::start_with_two_engines().await;
    rig.end_epoch().await;
    let mut rows = 90_000;
    rig.fill(1, rows, TODAY, "now64(6)").await;
    // Slow enough to be killed in the middle on any machine.
    let ranges = [
        ("MARKETPRISM__REPLICATION__ROWS_MAX", "5000"),
        ("MARKETPRISM__REPLICATION__ROWS_PER_SECOND_MAX", "5000"),
    ];
    let mut service = rig.service_with("first", &ranges);
    let mut random = SEED;
    let mut kills = [0; 3];
    for round in 0..ROUNDS {
        // splitmix64: a small generator whose runs can be repeated.
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The instant is what is random here: there is nothing to wait for.
        sleep(Duration::from_millis(bits % 700)).await;
        let target = usize::try_from(bits >> 62).unwrap() % 3;
        kills[target] += 1;
        match target {
            0 => {
                service.kill();
                service = rig.service_with(&format!("after round {round}"), &ranges);
            }
            1 => {
                rig.clickhouse.kill();
                rig.clickhouse.restart();
            }
            _ => {
                let cold = rig.cold_clickhouse.as_mut().unwrap();
                cold.kill();
                cold.restart();
            }
        }
        if round % 4 == 1 {
            // Late: of the days before, and of two at once.
            rig.fill(rows + 1, 5_000, TODAY - 1, "now64(6)").await;
            rig.fill(rows + 5_001, 5_000, TODAY - 2, "now64(6)").await;
            rows += 10_000;
        }
    }
    // A service that was killed before it made the ledger has copied nothing.
    let copied = rig.cold.watermark(DataType::Trade, 1).await.unwrap_or_default();
    println!("seed {SEED}: killed service, hot, cold {kills:?}; {copied} of {rows} rows were copied by then");
    assert!(kills.iter().all(|count| *count > 0), "{kills:?}");
    rig.wait_for_watermark(rows).await;
    rig.assert_same(rows).await;
    let covered = "SELECT toUInt64(sum(rows)) FROM (SELECT DISTINCT from_seq, to_seq, rows FROM marketprism_cold.replication_log)";
    assert_eq!(rig.number(covered).await, rows, "the ledger has every row in one range");
    assert!(service.stop().success());
    assert!(rig.spawn("verify", &["verify"], &[]).wait().success());
}
