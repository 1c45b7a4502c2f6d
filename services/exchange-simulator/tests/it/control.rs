//! The control endpoint: status, pause, the ledger, and each fault.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Running;

const STREAMS: &str = "/stream?streams=btcusdt@trade/btcusdt@depth@100ms/btcusdt@bookTicker";

#[tokio::test]
async fn the_ledger_is_what_the_client_received() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = Running::start(|config| {
        (config.rate, config.ledger) = (2_000, Some(ledger.clone()));
    })
    .await;
    let mut one = simulator.connect(STREAMS).await;
    let mut two = simulator.connect("/ws/btcusdt@trade").await;
    let mut expected: BTreeMap<(String, u64), Value> = BTreeMap::new();
    for _ in 0..1_000 {
        let data = one.next().await.unwrap()["data"].clone();
        expected.insert(key(&data), data);
    }
    two.next().await.unwrap();
    let (status, _) = simulator.post("/control/pause", &Value::Null).await;
    assert_eq!(status, 200);
    let status = simulator.status_until("all written", |status| status["in_flight"] == 0).await;
    assert_eq!(status["paused"], true);
    assert_eq!(simulator.post("/control/flush", &Value::Null).await.0, 200);
    let lines: Vec<Value> = read(&ledger);
    while expected.len() < lines.len() {
        let data = one.next().await.unwrap()["data"].clone();
        expected.insert(key(&data), data);
    }
    let mut copies = 0;
    for line in &lines {
        let id = if line["data_type"] == "trade" {
            line["trade_id"].as_str().unwrap().parse().unwrap()
        } else {
            line.get("last_update_id").unwrap_or(&line["update_id"]).as_u64().unwrap()
        };
        let data = &expected[&(line["data_type"].as_str().unwrap().to_owned(), id)];
        assert_eq!((&line["symbol"], &line["market_type"]), (&json!("BTC-USDT"), &json!("spot")));
        if line["data_type"] == "trade" {
            assert_eq!((&line["price"], &line["quantity"]), (&data["p"], &data["q"]));
            assert_eq!(line["side"] == "sell", data["m"].as_bool().unwrap());
            copies += u32::from(line["copies"] == 2);
        }
        if line["data_type"] == "best_bid_ask" {
            assert_eq!((&line["best_bid"][0], &line["best_ask"][1]), (&data["b"], &data["A"]));
        }
    }
    assert!(copies > 0, "the second connection left no trace");
    let counted: u64 =
        status["streams"].as_array().unwrap().iter().map(|row| row["sent"].as_u64().unwrap()).sum();
    assert_eq!(counted, u64::try_from(lines.len()).unwrap());
    assert_eq!(simulator.post("/control/resume", &Value::Null).await.0, 200);
    one.next().await.unwrap();
    drop((one, two));
    simulator.stop().await;
}

#[tokio::test]
async fn withheld_events_leave_holes_and_are_counted() {
    let simulator = Running::start(|config| config.rate = 3_000).await;
    let mut socket = simulator.connect(STREAMS).await;
    let (mut diff_holes, mut missing_trades) = (0, 0);
    let (mut last_update, mut last_trade) = (None::<u64>, None::<u64>);
    let mut read = |data: &Value| match data["e"].as_str() {
        Some("trade") => {
            let id = data["t"].as_u64().unwrap();
            missing_trades += last_trade.replace(id).map_or(0, |last| id - last - 1);
        }
        Some(_) => {
            let expected = last_update.replace(data["u"].as_u64().unwrap());
            diff_holes += u32::from(expected.is_some_and(|last| data["U"].as_u64() != Some(last + 1)));
        }
        None => {}
    };
    // A hole shows between two events, so there must be one of each stream before it.
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 2 {
        let frame = socket.next().await.unwrap();
        seen.extend(frame["data"]["e"].as_str().map(str::to_owned));
        read(&frame["data"]);
    }
    for fault in ["skip_diff", "drop_trade"] {
        let count = if fault == "skip_diff" { 2 } else { 3 };
        let fault =
            json!({ "fault": fault, "instrument_id": "BTCUSDT", "market_type": "spot", "count": count });
        simulator.fault(fault).await;
    }
    for _ in 0..2_000 {
        let frame = socket.next().await.unwrap();
        read(&frame["data"]);
    }
    assert_eq!((diff_holes, missing_trades), (1, 3));
    let withheld = simulator.status().await["withheld"].clone();
    let counts: Vec<(&str, u64)> = withheld
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["reason"].as_str().unwrap(), row["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [("drop_trade", 3), ("skip_diff", 2)]);
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn duplicated_and_corrupted_frames() {
    let simulator = Running::start(|config| config.rate = 3_000).await;
    let mut socket = simulator.connect("/ws/btcusdt@trade").await;
    simulator.fault(json!({ "fault": "duplicate_trade", "instrument_id": "BTCUSDT", "count": 2 })).await;
    let (mut twice, mut last) = (0, Value::Null);
    for _ in 0..200 {
        let id = socket.next().await.unwrap()["t"].clone();
        twice += u32::from(id == last);
        last = id;
    }
    assert_eq!(twice, 2);
    simulator.fault(json!({ "fault": "corrupt_frame", "count": 1 })).await;
    let mut broken = 0;
    for _ in 0..200 {
        let text = socket.next_text().await.unwrap();
        broken += u32::from(serde_json::from_str::<Value>(&text).is_err());
    }
    assert_eq!(broken, 1);
    assert_eq!(simulator.status().await["withheld"][0]["reason"], "corrupt_frame");
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn disconnect_refuse_and_shutdown() {
    let simulator = Running::start(|_| {}).await;
    let mut spot = simulator.connect(STREAMS).await;
    let mut usdm = simulator.connect("/public/stream?streams=btcusdt@depth@100ms").await;
    let answer = simulator.fault(json!({ "fault": "server_shutdown" })).await;
    assert_eq!(answer["connections"], 2);
    let notice = spot.until(|frame| frame["stream"] == "!serverShutdown").await;
    assert_eq!(notice["data"]["e"], "serverShutdown");
    let answer = simulator.fault(json!({ "fault": "disconnect", "market_type": "spot" })).await;
    assert_eq!(answer["connections"], 1);
    while spot.next().await.is_some() {}
    usdm.until(|frame| frame["data"]["e"] == "depthUpdate").await;
    simulator.fault(json!({ "fault": "refuse", "for_ms": 60_000 })).await;
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/ws", simulator.address)).await;
    assert!(refused.unwrap_err().to_string().contains("503"));
    simulator.fault(json!({ "fault": "refuse", "for_ms": 0 })).await;
    simulator.connect("/ws").await;
    let faults = simulator.status().await["faults"].clone();
    assert_eq!(faults, json!({ "disconnect": 1, "refuse": 2, "server_shutdown": 1 }));
    drop((spot, usdm));
    simulator.stop().await;
}

#[tokio::test]
async fn a_stall_silences_one_instrument_and_breaks_no_chain() {
    let simulator = Running::start(|config| config.rate = 4_000).await;
    let mut socket = simulator.connect("/stream?streams=btcusdt@depth/ethusdt@depth").await;
    let mut last = None::<u64>;
    let mut check = |frame: &Value| {
        let btc = frame["stream"] == "btcusdt@depth";
        if btc && let Some(last) = last.replace(frame["data"]["u"].as_u64().unwrap()) {
            assert_eq!(frame["data"]["U"].as_u64(), Some(last + 1));
        }
        btc
    };
    check(&socket.next().await.unwrap());
    simulator.fault(json!({ "fault": "stall", "instrument_id": "BTCUSDT", "for_ms": 700 })).await;
    let (mut longest, mut heard) = (Duration::ZERO, Instant::now());
    let started = Instant::now();
    let mut others = 0;
    while started.elapsed() < Duration::from_millis(1_200) {
        if check(&socket.next().await.unwrap()) {
            longest = longest.max(heard.elapsed());
            heard = Instant::now();
        } else {
            others += 1;
        }
    }
    assert!(longest > Duration::from_millis(500), "silent for only {longest:?}");
    assert!(others > 100, "the other instrument fell silent, too: {others}");
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn a_rate_limit_and_faults_that_are_none() {
    let simulator = Running::start(|_| {}).await;
    simulator.fault(json!({ "fault": "rate_limit", "for_ms": 60_000, "retry_after_seconds": 7 })).await;
    let answer = simulator.get("/fapi/v1/time").await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    for (fault, named) in [
        (json!({ "fault": "explode" }), "explode"),
        (json!({ "fault": "refuse", "for_ms": 1, "why": "x" }), "why"),
        (json!({ "fault": "refuse" }), "for_ms"),
        (json!({ "fault": "stall", "instrument_id": "NOPE", "for_ms": 1 }), "NOPE"),
        (json!({ "fault": "disconnect", "market_type": "margin" }), "margin"),
    ] {
        let (status, answer) = simulator.post("/control/fault", &fault).await;
        assert_eq!(status, 400, "{fault}");
        assert!(answer["error"].as_str().unwrap().contains(named), "{fault}: {answer}");
    }
    simulator.stop().await;
}

/// Data type and id of a frame, as the ledger has them.
fn key(data: &Value) -> (String, u64) {
    let (data_type, id) = match data["e"].as_str() {
        Some("trade") => ("trade", &data["t"]),
        Some(_) => ("orderbook", &data["u"]),
        None => ("best_bid_ask", &data["u"]),
    };
    (data_type.to_owned(), id.as_u64().unwrap())
}

pub(crate) fn read(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn no_foreign_page_injects_a_fault_and_exchanges_are_reached_by_any_name() {
    let simulator = Running::start(|_| {}).await;
    let url = |path: &str| format!("http://{}{path}", simulator.address);
    let fault = json!({ "kind": "disconnect" }).to_string();
    for (header, value) in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "evil.example")]
    {
        let request = simulator.http.post(url("/control/fault")).header(header, value).body(fault.clone());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.text().await.unwrap().contains(value));
    }
    assert_eq!(simulator.status().await["faults"], json!({}), "nothing was injected");
    let time = simulator.http.get(url("/api/v3/time")).header("host", "api.binance.com");
    assert_eq!(time.send().await.unwrap().status(), 200);
}
