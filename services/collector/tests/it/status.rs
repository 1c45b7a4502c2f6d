//! What the collector says of itself: health, `/status`, metrics, the plan.

use std::process::Command;

use marketprism_testkit::{binary, poll_until};
use serde_json::{Value, json};

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn health_covers_every_data_type_of_every_exchange() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let health = rig.health().await;
    for check in ["nats", "publisher", "pressure", "exchanges", "trade", "orderbook", "service"] {
        assert_eq!(health["checks"][check]["status"], "healthy", "{check}: {health}");
    }
    for exchange in ["binance_spot", "binance_usdm"] {
        for data_type in ["trade", "orderbook"] {
            let fresh = &health["coverage"][data_type][exchange];
            assert_eq!((&fresh["status"], &fresh["streams"]), (&json!("healthy"), &json!(2)), "{health}");
            assert!(fresh["time_since_last_update_seconds"].as_u64().unwrap() <= 5, "{health}");
        }
    }
    // One market is away for a while: degraded, and of use still.
    let refuse = json!({ "fault": "refuse", "exchange": "binance", "market_type": "spot", "for_ms": 3_000 });
    rig.control("fault", &refuse).await;
    let disconnect = json!({ "fault": "disconnect", "exchange": "binance", "market_type": "spot" });
    rig.control("fault", &disconnect).await;
    poll_until(DEADLINE, "degraded", async || rig.health().await["status"] == "degraded").await;
    let health = rig.health().await;
    assert_eq!(health["coverage"]["trade"]["binance_usdm"]["status"], "healthy", "{health}");
    rig.flowing().await;
}

#[tokio::test]
async fn an_exchange_that_has_no_stream_yet_is_told() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    let slow =
        json!({ "fault": "slow_rest", "market_type": "perpetual", "for_ms": 3_000, "delay_ms": 3_000 });
    rig.control("fault", &slow).await;
    rig.restart_killed_collector();
    let mut is_told = false;
    poll_until(DEADLINE, "every stream is live", async || {
        let health = rig.health().await;
        let reason = health["checks"]["exchanges"]["reason"].as_str().unwrap_or_default();
        is_told |= reason.contains("binance_usdm has no stream yet");
        let has_streams = health["coverage"]["trade"]["binance_usdm"].is_object();
        assert!(has_streams || health["status"] != "healthy", "{health}");
        health["status"] == "healthy"
    })
    .await;
    assert!(is_told);
}

#[tokio::test]
async fn status_lists_every_stream_and_what_it_is_asked_for() {
    let rig = Rig::start().await;
    rig.flowing().await;
    poll_until(DEADLINE, "rates are measured", async || {
        let page = rig.streams("?data_type=trade").await;
        let streams = page["streams"].as_array().unwrap();
        streams.len() == 4 && streams.iter().all(|stream| stream["events_per_minute"].as_u64() > Some(0))
    })
    .await;
    let page = rig.streams("?exchange=binance_spot&data_type=orderbook&limit=1").await;
    assert_eq!((&page["streams_matched"], page["streams"].as_array().unwrap().len()), (&json!(2), 1));
    let stream = &page["streams"][0];
    assert_eq!(
        (&stream["state"], &stream["market_type"], &stream["links"]),
        (&json!("live"), &json!("spot"), &json!(1))
    );
    let subject = format!("orderbook.binance.spot.{}", stream["symbol"].as_str().unwrap());
    assert_eq!((&stream["subject"], &stream["last_gap_us"]), (&json!(subject), &Value::Null));
    for field in
        ["symbol", "connection", "events", "last_event_us", "age_ms", "latency_ms", "gaps", "resyncs"]
    {
        assert!(!stream[field].is_null(), "{field}: {stream}");
    }
    rig.control("fault", &json!({ "fault": "skip_diff", "exchange": "binance", "market_type": "spot", "instrument_id": "BTCUSDT", "count": 1 })).await;
    poll_until(DEADLINE, "the gap is counted where it was", async || {
        let page = rig.streams("?exchange=binance_spot&data_type=orderbook&symbol=BTC-USDT").await;
        let stream = &page["streams"][0];
        stream["gaps"] == 1 && stream["last_gap_us"].is_i64() && stream["resyncs"] == 1
    })
    .await;
    let others = rig.streams("?symbol=ETH-USDT").await;
    assert!(others["streams"].as_array().unwrap().iter().all(|stream| stream["gaps"] == 0), "{others}");
    for connection in page["connections"].as_array().unwrap() {
        let sockets = if connection["connection"] == "polled-0" { 0 } else { 1 };
        assert_eq!(connection["links"], sockets, "{connection}");
    }
}

#[tokio::test]
async fn every_metric_of_the_reference_is_set_by_a_running_collector() {
    let reference =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md"))
            .unwrap();
    let section =
        reference.split("\n## ").find(|section| section.starts_with("services/collector\n")).unwrap();
    let declared = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    // Those are of another process, `collector record`, and of another mode of order books.
    let is_elsewhere = |name: &str| name.contains("_recorded_") || name.starts_with("marketprism_snapshot_");
    let declared: Vec<_> = declared.filter(|name| !is_elsewhere(name)).collect();
    assert!(declared.len() > 30, "{declared:?}");
    let rig = Rig::start().await;
    rig.flowing().await;
    poll_until(DEADLINE, "every declared metric is there", async || {
        let text = rig.metrics().await;
        let is_there = |name: &&str| {
            text.lines().any(|line| {
                let found = line.split(['{', ' ']).next().unwrap();
                found == *name || found.strip_suffix("_count") == Some(name)
            })
        };
        let missing: Vec<_> = declared.iter().filter(|name| !is_there(name)).collect();
        if !missing.is_empty() {
            println!("missing: {missing:?}");
        }
        missing.is_empty()
    })
    .await;
    // And they are set, not merely there.
    for (name, least) in [
        ("collector_tcp_connections", 4),
        ("collector_file_descriptors", 10),
        ("collector_orderbook_objects", 4),
        ("marketprism_websocket_connected", 3),
        ("marketprism_active_symbols_count", 4),
        ("marketprism_orderbook_sync_status", 2),
        ("marketprism_collector_last_success_timestamp_seconds", 4 * 1_700_000_000),
    ] {
        poll_until(DEADLINE, name, async || rig.metric(name).await >= least).await;
    }
    rig.control("fault", &json!({ "fault": "disconnect" })).await;
    poll_until(DEADLINE, "three reconnections", async || {
        rig.metric("marketprism_websocket_reconnections_total").await == 3
    })
    .await;
}

#[tokio::test]
async fn the_plan_is_printed_and_an_unlisted_symbol_is_exit_64() {
    let rig = Rig::start().await;
    let plan = |arguments: &[&str], config: &Value| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.yaml");
        std::fs::write(&path, config.to_string()).unwrap();
        let mut command = Command::new(binary("marketprism-collector"));
        let output = command.arg("--plan").args(arguments).arg("--config").arg(path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = plan(&["--json"], rig.config());
    assert_eq!(code, Some(0), "{text}");
    let printed: Value = serde_json::from_str(&text).unwrap();
    let connections = printed["connections"].as_array().unwrap();
    let names: Vec<_> =
        connections.iter().map(|one| (&one["exchange"], &one["connection"], &one["path"])).collect();
    assert!(names.contains(&(&json!("binance_spot"), &json!("stream-0"), &json!("/stream"))), "{names:?}");
    assert!(
        names.contains(&(&json!("binance_usdm"), &json!("public-0"), &json!("/public/stream"))),
        "{names:?}"
    );
    assert_eq!(plan(&["--json"], rig.config()).1, text, "the same at every start");

    let mut config = rig.config().clone();
    config["exchanges"]["binance_spot"]["symbols"] = json!(["BTC-USDT", "NOPE-USDT"]);
    let (code, text) = plan(&[], &config);
    assert_eq!(code, Some(64));
    assert!(text.contains("binance_spot does not list NOPE-USDT") && text.contains("BTC-USDT"), "{text}");

    config["exchanges"]["binance_spot"] = rig.config()["exchanges"]["binance_spot"].clone();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config["exchanges"]["binance_usdm"]["rest_url"] = json!(format!("http://{nowhere}"));
    let (code, text) = plan(&[], &config);
    assert_eq!(code, Some(1));
    assert!(text.contains("binance_usdm: no instrument list"), "{text}");
}
