//! A start that cannot work says why.

use crate::rig::Rig;

/// The exit code and what was logged.
fn failed_start(rig: &Rig, more: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut service = rig.spawn("one", more);
    let status = service.wait();
    (status.code(), service.log())
}

#[tokio::test]
async fn a_start_that_cannot_work_says_why() {
    let rig = Rig::without_streams();
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, log) = failed_start(&rig, &[("MARKETPRISM__NATS__URL", &format!("nats://{nobody}"))]);
    assert_eq!(code, Some(1));
    assert!(log.contains("failed to connect to NATS") && log.contains(&nobody), "{log}");

    let (code, log) = failed_start(&rig, &[("MARKETPRISM__CLICKHOUSE__URL", &format!("http://{nobody}"))]);
    assert_eq!(code, Some(1));
    assert!(log.contains("version of ClickHouse") && log.contains(&nobody), "{log}");

    let (code, log) = failed_start(&rig, &[("MARKETPRISM__SCHEMA", "check")]);
    assert_eq!(code, Some(1));
    assert!(log.contains("schema: apply") && log.contains("0001_trades"), "{log}");

    let (code, log) = failed_start(&rig, &[]);
    assert_eq!(code, Some(1));
    assert!(log.contains("MARKET_DATA does not exist: run marketprism-broker-bootstrap"), "{log}");

    rig.apply_streams().await;
    rig.run("INSERT INTO marketprism_hot.schema_version SELECT 99, 'later', now64(6)").await;
    let (code, log) = failed_start(&rig, &[]);
    assert_eq!(code, Some(1));
    assert!(log.contains("has schema version 99"), "{log}");

    rig.run(
        "ALTER TABLE marketprism_hot.schema_version DELETE WHERE version = 99 SETTINGS mutations_sync = 1",
    )
    .await;
    rig.run("ALTER TABLE marketprism_hot.trades DROP COLUMN is_maker").await;
    let (code, log) = failed_start(&rig, &[]);
    assert_eq!(code, Some(1));
    assert!(log.contains("trades.is_maker is missing, needed is Nullable(Bool)"), "{log}");

    let (code, log) = failed_start(&rig, &[("MARKETPRISM__TAKEOVER_AFTER", "2s")]);
    assert_eq!(code, Some(64));
    assert!(log.contains("takeover_after: 2") && log.contains("clickhouse.insert_timeout"), "{log}");
    let (code, log) = failed_start(&rig, &[("MARKETPRISM__BATCH__ROWS_MAX", "0")]);
    assert_eq!(code, Some(64));
    assert!(log.contains("batch.rows_max: 0"), "{log}");
    let (code, log) = failed_start(&rig, &[("MARKETPRISM__BATCH__ROWS", "5")]);
    assert_eq!(code, Some(64));
    assert!(log.contains("rows"), "{log}");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
