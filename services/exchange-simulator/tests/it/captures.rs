//! Real captures, where they are at hand: every frame reaches the client, and joins the book served over REST.

use std::path::PathBuf;

use marketprism_exchange_simulator::{CaptureFormat, MarketType, Speed};
use serde_json::Value;

use crate::client::Running;

/// The folder of captures, or `None` and a word about it.
fn captures() -> Option<PathBuf> {
    let found = marketprism_testkit::captures_dir();
    if found.is_none() {
        println!("skipped: no captures here (MARKETPRISM_CAPTURES)");
    }
    found
}

#[tokio::test]
async fn hbt_spot_and_usdm_are_served_whole() {
    let Some(captures) = captures() else { return };
    let folder = captures.join("nkaz001__hftbacktest");
    for (market_type, files, socket, rest, trades, first, last) in [
        (
            MarketType::Spot,
            ["spot/ethusdt_20240808.gz", "spot/ethusdt_20240809.gz"],
            "/stream?streams=ethusdt@depth@100ms/ethusdt@trade",
            "/api/v3/depth?symbol=ETHUSDT&limit=5000",
            14_515_u64,
            1_520_538_925_u64,
            1_520_553_439_u64,
        ),
        (
            MarketType::Perpetual,
            ["usdm/btcusdt_20240718.gz", "usdm/btcusdt_20240719.gz"],
            "/public/stream?streams=btcusdt@depth@100ms/btcusdt@trade",
            "/fapi/v1/depth?symbol=BTCUSDT&limit=1000",
            10_701,
            5_182_005_737,
            5_182_016_437,
        ),
    ] {
        let simulator = Running::start(|config| {
            config.replay.paths = files.iter().map(|file| folder.join(file)).collect();
            config.replay.market_type = market_type;
            config.replay.speed = Speed::Max;
        })
        .await;
        let mut socket = simulator.connect(socket).await;
        let book_id = simulator.json(rest).await["lastUpdateId"].as_u64().unwrap();
        let (mut count, mut expected, mut joined, mut last_update) = (0, first, false, 0);
        while count < trades {
            let frame = socket.next().await.unwrap();
            let data = &frame["data"];
            if data["e"] == "trade" {
                assert_eq!(data["t"].as_u64(), Some(expected));
                expected += 1;
                count += 1;
            } else {
                let (from, to) = (data["U"].as_u64().unwrap(), data["u"].as_u64().unwrap());
                joined |= from <= book_id + 1 && book_id <= to;
                if last_update > 0 {
                    let link =
                        if market_type == MarketType::Spot { from - 1 } else { data["pu"].as_u64().unwrap() };
                    assert_eq!(link, last_update);
                }
                last_update = to;
            }
        }
        assert!(joined, "no diff joined the captured book");
        assert_eq!(expected, last + 1);
        let reading = async { while socket.next().await.is_some() {} };
        let done = simulator.status_until("done", |status| status["replay_done"] == true);
        let status = tokio::select! { status = done => status, () = reading => panic!("disconnected") };
        assert_eq!(sent(&status, "trade"), trades);
        simulator.stop().await;
    }
}

#[tokio::test]
async fn cryptofeed_is_served_whole() {
    let Some(captures) = captures() else { return };
    let folder = captures.join("bmoscon__cryptofeed/2021-11-03_3baf9c56");
    for (market_type, file, base, rest) in [
        (MarketType::Spot, "BINANCE.ws.1.0", "/stream", "/api/v3"),
        (MarketType::Perpetual, "BINANCE_FUTURES.ws.1.0", "/public/stream", "/fapi/v1"),
    ] {
        let simulator = Running::start(|config| {
            config.replay.paths = vec![folder.join(file)];
            config.replay.format = CaptureFormat::Cryptofeed;
            config.replay.market_type = market_type;
            config.replay.speed = Speed::Max;
        })
        .await;
        let status = simulator.status().await;
        let ids: Vec<String> = status["instruments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["instrument_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 4);
        let streams = |channel: &str| {
            ids.iter().map(|id| format!("{}@{channel}", id.to_lowercase())).collect::<Vec<_>>().join("/")
        };
        let mut books = simulator.connect(&format!("{base}?streams={}", streams("depth@100ms"))).await;
        let market_base = if market_type == MarketType::Spot { "/stream" } else { "/market/stream" };
        let mut trades = simulator.connect(&format!("{market_base}?streams={}", streams("aggTrade"))).await;
        let reading = async {
            tokio::join!(async { while books.next().await.is_some() {} }, async {
                while trades.next().await.is_some() {}
            })
        };
        let fetching = async {
            for id in &ids {
                let book = simulator.json(&format!("{rest}/depth?symbol={id}&limit=1000")).await;
                assert!(book["lastUpdateId"].is_u64(), "{book}");
            }
            simulator.status_until("done", |status| status["replay_done"] == true).await
        };
        let status = tokio::select! { status = fetching => status, _ = reading => panic!("disconnected") };
        assert!(sent(&status, "orderbook") > 50 && sent(&status, "trade") > 0, "{status}");
        simulator.stop().await;
    }
}

fn sent(status: &Value, data_type: &str) -> u64 {
    let rows = status["streams"].as_array().unwrap().iter();
    rows.filter(|row| row["data_type"] == data_type).map(|row| row["sent"].as_u64().unwrap()).sum()
}
