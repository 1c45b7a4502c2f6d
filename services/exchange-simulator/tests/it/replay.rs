//! Replays of small captures of our own making, in both formats.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use marketprism_exchange_simulator::{CaptureFormat, MarketType, Speed};
use serde_json::{Value, json};

use crate::client::Running;
use crate::control::read;

const T0: i64 = 1_700_000_000_000_000_000;

fn gzip(path: &Path, lines: &[String]) {
    let mut file = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    file.finish().unwrap();
}

fn diff(id: u64) -> String {
    format!(
        "{} {{\"stream\":\"ethusdt@depth@0ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{id},\"T\":{id},\"s\":\"ETHUSDT\",\
         \"U\":{id},\"u\":{id},\"pu\":{},\"b\":[[\"2.0{id}\",\"1.5\"]],\"a\":[]}}}}",
        T0 + i64::try_from(id).unwrap() * 1_000_000,
        id - 1
    )
}

fn trade(id: u64, price: &str, origin: &str) -> String {
    format!(
        "{} {{\"stream\":\"ethusdt@trade\",\"data\":{{\"e\":\"trade\",\"E\":5,\"T\":4,\"s\":\"ETHUSDT\",\"t\":{id},\
         \"p\":\"{price}\",\"q\":\"0.10\",\"X\":\"{origin}\",\"m\":true}}}}",
        T0 + i64::try_from(id).unwrap() * 1_000_000
    )
}

#[tokio::test]
async fn hbt_files_continue_and_the_book_gates_the_diffs() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("ethusdt_1.gz"), directory.path().join("ethusdt_2.gz"));
    let ledger = directory.path().join("ledger.jsonl");
    let ticker = format!(
        "{} {{\"stream\":\"ethusdt@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":2,\"s\":\"ETHUSDT\",\"b\":\"2.02\",\
         \"B\":\"1.5\",\"a\":\"3\",\"A\":\"9\",\"T\":2,\"E\":2}}}}",
        T0 + 2_500_000
    );
    let book = format!(
        "{} {{\"lastUpdateId\":2,\"E\":2,\"T\":2,\"bids\":[[\"2.02\",\"1.5\"]],\"asks\":[]}}",
        T0 + 2_600_000
    );
    gzip(&one, &[diff(1), diff(2), ticker, book, diff(3), trade(4, "2.02", "MARKET"), "broken".to_owned()]);
    gzip(&two, &[trade(5, "0", "NA"), trade(6, "2.03", "ADL"), diff(7)]);
    let simulator = Running::start(|config| {
        config.ledger = Some(ledger.clone());
        config.replay.paths = vec![one, two];
        config.replay.market_type = MarketType::Perpetual;
        config.replay.speed = Speed::Max;
    })
    .await;
    assert_eq!(simulator.json("/fapi/v1/exchangeInfo").await["symbols"][0]["baseAsset"], "ETH");
    let mut socket = simulator.connect("/public/stream").await;
    let status = simulator.status().await;
    assert_eq!((&status["mode"], &status["replay_started"]), (&json!("replay"), &json!(false)));
    socket.subscribe(&["ethusdt@depth@100ms", "ethusdt@trade"]).await;
    // Diffs up to the book come, those behind it wait; trades do not.
    let mut trades = Vec::new();
    for update in [1, 2] {
        let frame = socket.next().await.unwrap();
        assert_eq!((&frame["stream"], &frame["data"]["u"]), (&json!("ethusdt@depth@100ms"), &json!(update)));
    }
    for _ in 0..3 {
        trades.push(socket.next().await.unwrap()["data"]["t"].as_u64().unwrap());
    }
    assert_eq!(trades, [4, 5, 6]);
    assert_eq!(simulator.status().await["replay_done"], false);
    let book = simulator.json("/fapi/v1/depth?symbol=ETHUSDT&limit=1000").await;
    assert_eq!(book["lastUpdateId"], 2);
    for update in [3, 7] {
        assert_eq!(socket.next().await.unwrap()["data"]["u"], update);
    }
    let status = simulator.status_until("done", |status| status["replay_done"] == true).await;
    assert_eq!(status["replay_malformed_lines"], 1);
    let rows = simulator.json("/fapi/v1/historicalTrades?symbol=ETHUSDT&fromId=5").await;
    assert_eq!(rows[0]["id"], 6, "REST lists no placeholder");
    drop(socket);
    simulator.stop().await;
    let lines = read(&ledger);
    let of = |data_type: &str, field: &str| -> Vec<Value> {
        lines.iter().filter(|line| line["data_type"] == data_type).map(|line| line[field].clone()).collect()
    };
    assert_eq!(of("trade", "trade_id"), [json!("4"), json!("6")]);
    assert_eq!(of("orderbook", "last_update_id"), [json!(1), json!(2), json!(3), json!(7)]);
    assert_eq!(of("best_bid_ask", "best_bid"), [json!(["2.02", "1.5"])]);
    assert_eq!(of("trade", "ts_event_us"), [json!(4_000), json!(4_000)]);
}

#[tokio::test]
async fn cryptofeed_takes_its_rest_bodies_from_beside() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("X.ws.1.0");
    let frame = |time: &str, id: u64| {
        format!(
            "{time}: {{\"stream\":\"odd币usdt@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"ODD币USDT\",\"U\":{id},\"u\":{id},\"b\":[],\"a\":[]}}}}"
        )
    };
    let kline = "1.2: {\"stream\":\"odd币usdt@kline_1m\",\"data\":{\"e\":\"kline\"}}".to_owned();
    let lines = ["wss://x/stream?streams=a <-> 1.0".to_owned(), frame("1.1", 1), kline, frame("2.5", 2)];
    std::fs::write(&capture, lines.join("\n")).unwrap();
    let body = "https://x/api/v3/depth?symbol=ODD币USDT&limit=1000 -> 2.0: {\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}\n";
    std::fs::write(directory.path().join("X.http.0.0"), body).unwrap();
    let info = "https://x/api/v3/exchangeInfo -> 1.0: {\"symbols\":[{\"symbol\":\"ODD币USDT\",\"baseAsset\":\"ODD币\",\"quoteAsset\":\"USDT\",\"mark\":1}]}\nconfiguration: {}\n";
    std::fs::write(directory.path().join("X.0"), info).unwrap();
    let simulator = Running::start(|config| {
        config.replay.paths = vec![capture];
        config.replay.format = CaptureFormat::Cryptofeed;
        config.replay.speed = Speed::Times(20);
    })
    .await;
    assert_eq!(simulator.json("/api/v3/exchangeInfo").await["symbols"][0]["mark"], 1, "the captured body");
    assert_eq!(simulator.status().await["instruments"][0]["symbol"], "ODD币-USDT");
    let started = std::time::Instant::now();
    let mut socket = simulator.connect("/stream?streams=odd%E5%B8%81usdt@depth").await;
    let first = socket.next().await.unwrap();
    assert_eq!((&first["stream"], &first["data"]["u"]), (&json!("odd币usdt@depth"), &json!(1)));
    // Asked for before its place: answered when it is reached.
    let book = simulator.json("/api/v3/depth?symbol=ODD币USDT").await;
    assert_eq!(book["lastUpdateId"], 1);
    assert_eq!(socket.next().await.unwrap()["data"]["u"], 2);
    assert!(started.elapsed() >= Duration::from_millis(70), "1.4 s at 20x: {:?}", started.elapsed());
    simulator.status_until("done", |status| status["replay_done"] == true).await;
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn what_is_no_capture_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let config = |path: &Path| {
        let mut config = marketprism_exchange_simulator::SimulatorConfig::default();
        config.replay.paths = vec![path.to_owned()];
        config
    };
    let missing = directory.path().join("missing.gz");
    let error = marketprism_exchange_simulator::Simulator::bind(&config(&missing)).await.unwrap_err();
    assert!(chain(&error).contains("missing.gz"), "{}", chain(&error));
    let empty = directory.path().join("empty_1.gz");
    gzip(&empty, &["nonsense".to_owned()]);
    let error = marketprism_exchange_simulator::Simulator::bind(&config(&empty)).await.unwrap_err();
    assert!(chain(&error).contains("empty_1.gz"), "{}", chain(&error));
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
