//! What is wrong at the start is said by name, with the right exit code; what is right runs on.

use std::process::{Command, Output};

use marketprism_testkit::{NatsServer, binary, poll_until};
use serde_json::json;

use crate::rig::{DEADLINE, Rig, broker, collector};

fn run(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    std::fs::write(&path, config).unwrap();
    Command::new(binary("marketprism-collector"))
        .arg("--check-config")
        .arg("--config")
        .arg(path)
        .output()
        .unwrap()
}

#[test]
fn bad_configuration_is_exit_64_with_path_and_value() {
    for (config, path, value) in [
        ("nats: {urll: x}", "nats", "urll"),
        ("nats: {url: 'http://x:1'}", "nats.url", "http://x:1"),
        ("exchanges: {binance_sopt: {}}", "exchanges", "binance_sopt"),
        ("exchanges: {binance_spot: {symbols: []}}", "exchanges.binance_spot.symbols", "[]"),
        (
            "exchanges: {binance_spot: {data_types: [liquidation]}}",
            "exchanges.binance_spot.data_types",
            "liquidation",
        ),
        ("exchanges: {binance_spot: {ws_url: 'http://x'}}", "exchanges.binance_spot.ws_url", "http://x"),
        ("exchanges: {binance_spot: {trade_stream: kline}}", "exchanges.binance_spot.trade_stream", "kline"),
        ("exchanges: {binance_spot: {orderbook: {depth: 0}}}", "exchanges.binance_spot.orderbook.depth", "0"),
        (
            "exchanges: {binance_spot: {enabled: false}, binance_usdm: {enabled: false}, okx_spot: {enabled: false}, \
             okx_swap: {enabled: false}, deribit: {enabled: false}}",
            "exchanges",
            "none enabled",
        ),
        ("", "--config", "is empty"),
        ("exchanges: {binance_spot: {symbols: some}}", "exchanges.binance_spot.symbols", "some"),
        ("exchanges: {binance_spot: {symbols: [btc-usdt]}}", "exchanges.binance_spot.symbols", "btc-usdt"),
        ("exchanges: {binance_spot: {exclude: ['']}}", "exchanges.binance_spot.exclude", "is empty"),
        ("exchanges: {binance_spot: {data_types: [trades]}}", "exchanges.binance_spot.data_types", "trades"),
        (
            "exchanges: {binance_spot: {market_types: [options]}}",
            "exchanges.binance_spot.market_types",
            "options",
        ),
        ("exchanges: {binance_spot: {redundancy: 3}}", "exchanges.binance_spot.redundancy", "3"),
        ("exchanges: {binance_spot: {ratio_period: 7m}}", "exchanges.binance_spot.ratio_period", "7m"),
        ("exchanges: {binance_spot: {poll_interval: 1ms}}", "exchanges.binance_spot.poll_interval", "1ms"),
        (
            "exchanges: {binance_spot: {connection_life: 25h}}",
            "exchanges.binance_spot.connection_life",
            "1day 1h",
        ),
        (
            "exchanges: {binance_spot: {orderbook: {mode: snapshot, publish_interval: 100ms}}}",
            "exchanges.binance_spot.orderbook.publish_interval",
            "100ms",
        ),
        (
            "exchanges: {binance_spot: {orderbook: {mode: both}}}",
            "exchanges.binance_spot.orderbook.mode",
            "both",
        ),
        (
            "exchanges: {binance_spot: {proxy: 'ftp://u:hunter2@x'}}",
            "exchanges.binance_spot.proxy",
            "(hidden)",
        ),
        ("control: {subject: 'a..b'}", "control.subject", "a..b"),
        ("queues: {publish_messages_max: 0}", "queues.publish_messages_max", "0"),
        ("queues: {overflow_bytes_max: 1}", "queues.overflow_bytes_max", "1"),
        ("pressure: {memory_bytes_max: 1}", "pressure.memory_bytes_max", "1"),
        ("pressure: {publish_lag_max: 1ms}", "pressure.publish_lag_max", "1ms"),
    ] {
        let output = run(config);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{config}: {error}");
        assert!(error.contains(path) && error.contains(value), "{config}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_shipped_configuration_is_the_defaults() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/collector.yaml");
    let printed = |config: Option<&str>| {
        let mut command = Command::new(binary("marketprism-collector"));
        command.arg("--check-config").args(config.map(|path| ["--config", path]).into_iter().flatten());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(printed(Some(shipped)), printed(None));
}

#[test]
fn no_broker_is_said_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin = json!({ "health_listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0" });
    let url = format!("nats://{nowhere}");
    let mut process = collector(&folder, &json!({ "nats": { "url": url }, "wait": "1s", "admin": admin }));
    assert_eq!(process.wait().code(), Some(1));
    assert!(process.log().contains(&url), "{}", process.log());
}

#[test]
fn a_broker_without_streams_is_said_with_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let nats = NatsServer::start();
    let admin = json!({ "health_listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0" });
    let mut process =
        collector(&folder, &json!({ "nats": { "url": nats.url() }, "wait": "1s", "admin": admin }));
    assert_eq!(process.wait().code(), Some(1));
    let log = process.log();
    assert!(log.contains("MARKET_DATA") && log.contains("broker-bootstrap"), "{log}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (nats, _bus) = broker().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let admin = json!({ "health_listen": address, "metrics_listen": "127.0.0.1:0" });
    let mut process = collector(&folder, &json!({ "nats": { "url": nats.url() }, "admin": admin }));
    assert_eq!(process.wait().code(), Some(1));
    assert!(process.log().contains(&address), "{}", process.log());
}

#[tokio::test]
async fn a_symbol_the_exchange_does_not_list_is_named_and_the_others_flow() {
    let rig = Rig::start_with(|config| {
        config["exchanges"]["binance_spot"]["symbols"] = json!(["BTC-USDT", "ETH-USDT", "NOPE-USDT"]);
    })
    .await;
    poll_until(DEADLINE, "degraded, and everything else flows", async || {
        let health = rig.health().await;
        health["status"] == "degraded"
            && health["checks"]["trade"]["status"] == "healthy"
            && health["checks"]["orderbook"]["status"] == "healthy"
            && health["checks"]["exchanges"]["reason"] == "binance_spot does not list NOPE-USDT"
    })
    .await;
    rig.finish().await.assert_trades_are_whole();
}

#[tokio::test]
async fn an_exchange_that_cannot_be_reached_does_not_stop_the_others() {
    let rig = Rig::start_with(|config| {
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        config["exchanges"]["binance_usdm"]["rest_url"] = json!(format!("http://{nowhere}"));
    })
    .await;
    poll_until(DEADLINE, "spot flows, and usdm is complained about", async || {
        let health = rig.health().await;
        let reason = health["checks"]["exchanges"]["reason"].as_str().unwrap_or_default().to_owned();
        health["checks"]["trade"]["status"] == "healthy"
            && reason.starts_with("binance_usdm: no instrument list")
    })
    .await;
}
