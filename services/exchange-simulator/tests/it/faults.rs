//! Faults that every exchange has, seen on Binance's and OKX's sockets at once: what one suffers the other must not.

use std::time::{Duration, Instant};

use marketprism_exchange_simulator::{Market, SimulatorConfig};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{DEADLINE, Running, Socket};
use crate::okx::{Book, arg, subscribe};

const DIFFS: &str = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade";
const SWAP: &str = "BTC-USDT-SWAP";

/// Both exchanges, one instrument each of spot and derivatives.
async fn both(change: impl FnOnce(&mut SimulatorConfig)) -> Running {
    Running::start(|config| {
        config.markets = vec![Market::BinanceSpot, Market::OkxSpot, Market::OkxSwap];
        (config.symbols, config.rate) = (1, 2_000);
        change(config);
    })
    .await
}

async fn okx_socket(simulator: &Running, channels: &[&str]) -> Socket {
    let mut socket = simulator.connect("/ws/v5/public").await;
    let args: Vec<Value> = channels.iter().map(|channel| arg(channel, SWAP)).collect();
    subscribe(&mut socket, &args).await;
    socket
}

#[tokio::test]
async fn silence_is_half_open_and_of_one_exchange() {
    let simulator = both(|_| {}).await;
    let mut okx = okx_socket(&simulator, &["books"]).await;
    let mut binance = simulator.connect(DIFFS).await;
    okx.until(|frame| frame["action"] == "update").await;
    simulator.fault(json!({ "fault": "silence", "exchange": "okx", "for_ms": 700 })).await;
    // What was in the network is read; then nothing comes, not even an answer, while the connection stays.
    let mut last = Value::Null;
    let quiet = async {
        while let Ok(frame) = timeout(Duration::from_millis(250), okx.next()).await {
            last = frame.unwrap()["data"][0]["seqId"].clone();
        }
    };
    timeout(DEADLINE, quiet).await.unwrap();
    binance.until(|frame| frame["data"]["e"] == "depthUpdate").await;
    let asked = Instant::now();
    let late = simulator.connect("/ws/v5/public").await;
    assert!(
        asked.elapsed() > Duration::from_millis(100),
        "the handshake was answered after {:?}",
        asked.elapsed()
    );
    // What had been queued before the silence comes yet; behind it the chain is broken.
    let broken = async {
        loop {
            let frame = okx.next().await.expect("silence closed the connection");
            let data = &frame["data"][0];
            if data["prevSeqId"] != last {
                return;
            }
            last = data["seqId"].clone();
        }
    };
    timeout(DEADLINE, broken).await.expect("nothing was missed");
    let withheld = simulator.status().await["withheld"].clone();
    assert!(
        withheld.as_array().unwrap().iter().all(|row| row["reason"] == "silence" && row["exchange"] == "okx")
    );
    assert!(!withheld.as_array().unwrap().is_empty());
    drop((okx, binance, late));
    simulator.stop().await;
}

#[tokio::test]
async fn frames_are_doubled_and_swapped() {
    let simulator = both(|_| {}).await;
    let mut okx = okx_socket(&simulator, &["books", "trades"]).await;
    let mut binance = simulator.connect(DIFFS).await;
    for exchange in ["okx", "binance"] {
        simulator.fault(json!({ "fault": "duplicate_diff", "exchange": exchange, "count": 2 })).await;
    }
    let (mut okx_ids, mut binance_ids) = (Vec::new(), Vec::new());
    while okx_ids.len() < 100 || binance_ids.len() < 100 {
        let frame = okx.until(|frame| frame["action"] == "update").await;
        okx_ids.push(frame["data"][0]["seqId"].as_u64().unwrap());
        let frame = binance.until(|frame| frame["data"]["e"] == "depthUpdate").await;
        binance_ids.push(frame["data"]["u"].as_u64().unwrap());
    }
    let twice = |ids: &[u64]| ids.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!((twice(&okx_ids), twice(&binance_ids)), (2, 2));

    simulator.fault(json!({ "fault": "reorder", "instrument_id": SWAP })).await;
    let (mut books, mut trades, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    while books.len() < 200 || trades.len() < 200 {
        let frame = okx.next().await.unwrap();
        let data = &frame["data"][0];
        match data["tradeId"].as_str() {
            Some(id) => trades.push(id.parse().unwrap()),
            None => books.push(data["seqId"].as_u64().unwrap()),
        }
        let frame = binance.until(|frame| frame["data"]["e"] == "depthUpdate").await;
        theirs.push(frame["data"]["u"].as_u64().unwrap());
    }
    let backwards = |ids: &[u64]| ids.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert_eq!((backwards(&books), backwards(&trades), backwards(&theirs)), (1, 1, 0));
    drop((okx, binance));
    simulator.stop().await;
}

#[tokio::test]
async fn a_corrupt_frame_and_a_missing_one_hit_the_instrument_that_was_named() {
    let simulator = both(|_| {}).await;
    let mut okx = okx_socket(&simulator, &["books"]).await;
    let mut binance = simulator.connect(DIFFS).await;
    let mut last = okx.until(|frame| frame["action"] == "update").await["data"][0]["seqId"].clone();
    simulator.fault(json!({ "fault": "corrupt_frame", "exchange": "okx", "count": 1 })).await;
    let (mut broken, mut holes) = (0, 0);
    for _ in 0..200 {
        let text = okx.next_text().await.unwrap();
        let Ok(frame) = serde_json::from_str::<Value>(&text) else {
            broken += 1;
            continue;
        };
        binance.next().await.unwrap();
        let data = &frame["data"][0];
        if data["prevSeqId"] != last {
            holes += 1;
            // Not before the first hole has ended: two frames missing in a row are one hole.
            if holes == 1 {
                simulator.fault(json!({ "fault": "skip_diff", "instrument_id": SWAP, "count": 1 })).await;
            }
        }
        last = data["seqId"].clone();
    }
    assert_eq!((broken, holes), (1, 2), "one hole is the corrupt frame's");
    drop((okx, binance));
    simulator.stop().await;
}

#[tokio::test]
async fn okx_resets_its_ids_and_says_that_it_will_close() {
    let simulator = both(|_| {}).await;
    let mut okx = okx_socket(&simulator, &["books"]).await;
    let mut binance = simulator.connect(DIFFS).await;
    let answer = simulator
        .fault(json!({ "fault": "maintenance_reset", "exchange": "okx", "instrument_id": SWAP }))
        .await;
    assert_eq!(answer["connections"], 1, "one book");
    let (mut book, mut resets) = (Book::default(), 0);
    // The snapshot was read while subscribing: begin behind the first update.
    book.last = okx.until(|frame| frame["action"] == "update").await["data"][0]["seqId"].as_u64();
    for _ in 0..100 {
        let frame = okx.next().await.unwrap();
        let data = &frame["data"][0];
        resets += u32::from(data["seqId"].as_u64() < data["prevSeqId"].as_u64());
        book.apply(&frame);
    }
    // The very first update may have been the reset; either way the ids are small from then on.
    assert!(resets <= 1 && book.last.unwrap() < 1_000_000_000, "{resets} resets, at {:?}", book.last);
    simulator.fault(json!({ "fault": "server_shutdown", "exchange": "okx" })).await;
    let notice = okx.until(|frame| frame["event"] == "notice").await;
    assert_eq!((&notice["code"], notice["connId"].as_str().unwrap().len()), (&json!("64008"), 8));
    simulator.fault(json!({ "fault": "maintenance_reset", "exchange": "binance" })).await;
    binance.until(|frame| frame["stream"] == "!serverShutdown").await;
    let answer = simulator.fault(json!({ "fault": "disconnect", "exchange": "okx" })).await;
    assert_eq!(answer["connections"], 1);
    while okx.next().await.is_some() {}
    binance.until(|frame| frame["data"]["e"] == "depthUpdate").await;
    drop(binance);
    simulator.stop().await;
}

#[tokio::test]
async fn rest_is_slow_or_refused_in_the_exchanges_words() {
    let simulator = both(|_| {}).await;
    let (okx, binance) = ("/api/v5/public/time", "/api/v3/time");
    for status in [429, 418, 451, 403] {
        let fault = json!({ "fault": "rate_limit", "exchange": "okx", "for_ms": 60_000, "status": status, "retry_after_seconds": 3 });
        simulator.fault(fault).await;
        let answer = simulator.get(okx).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()),
            (status, "3")
        );
        assert_ne!(answer.json::<Value>().await.unwrap()["code"], "0");
        assert_eq!(simulator.get(binance).await.status(), 200);
    }
    simulator.fault(json!({ "fault": "rate_limit", "exchange": "okx", "for_ms": 0 })).await;
    assert_eq!(simulator.get(okx).await.status(), 200);
    let fault = json!({ "fault": "rate_limit", "exchange": "binance", "for_ms": 60_000, "status": 451 });
    simulator.fault(fault).await;
    let answer = simulator.get(binance).await;
    assert!(answer.status() == 451 && !answer.headers().contains_key("retry-after"));
    assert!(answer.json::<Value>().await.unwrap()["msg"].as_str().unwrap().contains("restricted location"));
    simulator
        .fault(json!({ "fault": "slow_rest", "exchange": "okx", "for_ms": 60_000, "delay_ms": 300 }))
        .await;
    let asked = Instant::now();
    assert_eq!(simulator.get(okx).await.status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    simulator.stop().await;
}

#[tokio::test]
async fn a_clock_is_off_and_only_one() {
    let simulator = both(|_| {}).await;
    let mut okx = okx_socket(&simulator, &["books"]).await;
    let now = |body: &Value| body["data"][0]["ts"].as_str().unwrap().parse::<i64>().unwrap();
    let before = now(&simulator.json("/api/v5/public/time").await);
    simulator.fault(json!({ "fault": "clock_skew", "exchange": "okx", "skew_ms": -3_600_000 })).await;
    let skewed = now(&simulator.json("/api/v5/public/time").await);
    assert!((before - skewed - 3_600_000).abs() < 20_000, "{before} {skewed}");
    okx.until(|frame| (now(frame) - skewed).abs() < 20_000).await;
    let theirs = simulator.json("/api/v3/time").await["serverTime"].as_i64().unwrap();
    assert!((theirs - before).abs() < 20_000);
    drop(okx);
    simulator.stop().await;
}

#[tokio::test]
async fn a_burst_multiplies_the_rate() {
    let simulator = both(|config| config.rate = 100).await;
    let mut okx = okx_socket(&simulator, &["books", "trades"]).await;
    let mut count_for_a_second = async || {
        let (until, mut count) = (Instant::now() + Duration::from_secs(1), 0);
        while Instant::now() < until {
            okx.next().await.unwrap();
            count += 1;
        }
        count
    };
    let usual = count_for_a_second().await;
    simulator.fault(json!({ "fault": "burst", "factor": 20, "for_ms": 10_000 })).await;
    let burst = count_for_a_second().await;
    assert!(burst > usual * 4, "{usual} a second, then {burst}");
    drop(okx);
    simulator.stop().await;
}

#[tokio::test]
async fn instruments_come_and_go_while_it_runs() {
    let simulator = both(|_| {}).await;
    let mut okx = simulator.connect("/ws/v5/public").await;
    let instruments = json!({ "channel": "instruments", "instType": "SPOT" });
    subscribe(&mut okx, std::slice::from_ref(&instruments)).await;
    let spot = async |path: &str, rows: &str, id: &str| -> Vec<String> {
        let body = simulator.json(path).await;
        let rows = body[rows].as_array().unwrap().clone();
        rows.iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
    };
    let okx_list = async || spot("/api/v5/public/instruments?instType=SPOT", "data", "instId").await;
    let binance_list = async || spot("/api/v3/exchangeInfo", "symbols", "symbol").await;
    assert!(!okx_list().await.contains(&"SOL-USDT".to_owned()));
    for (exchange, id) in [("okx", "SOL-USDT"), ("binance", "SOLUSDT")] {
        let (status, _) =
            simulator.post("/control/list", &json!({ "exchange": exchange, "instrument_id": id })).await;
        assert_eq!(status, 200);
    }
    assert!(okx_list().await.contains(&"SOL-USDT".to_owned()));
    assert!(binance_list().await.contains(&"SOLUSDT".to_owned()));
    let row = okx.until(|frame| frame["data"][0]["instId"] == "SOL-USDT").await["data"][0].clone();
    assert_eq!(row["state"], "live");
    let trades = arg("trades", "SOL-USDT");
    subscribe(&mut okx, std::slice::from_ref(&trades)).await;
    let mut sol = simulator.connect("/ws/solusdt@depth").await;
    sol.next().await.unwrap();
    for (exchange, id) in [("okx", "SOL-USDT"), ("binance", "SOLUSDT")] {
        simulator.post("/control/delist", &json!({ "exchange": exchange, "instrument_id": id })).await;
    }
    assert!(!okx_list().await.contains(&"SOL-USDT".to_owned()));
    let row = okx.until(|frame| frame["data"][0]["state"] == "expired").await["data"][0].clone();
    assert_eq!(row["instId"], "SOL-USDT");
    for op in ["unsubscribe", "subscribe"] {
        okx.send(json!({ "op": op, "args": [trades] })).await;
    }
    okx.until(|frame| frame["event"] == "unsubscribe").await;
    okx.until(|frame| frame["code"] == "60018").await;
    assert_eq!(simulator.get("/api/v3/depth?symbol=SOLUSDT").await.status(), 400);
    let (status, answer) =
        simulator.post("/control/list", &json!({ "exchange": "okx", "instrument_id": "NOPE" })).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("NOPE"), "{answer}");
    drop((okx, sol));
    simulator.stop().await;
}
