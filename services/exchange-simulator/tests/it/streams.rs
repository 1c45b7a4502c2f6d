//! Streams, requests and what the frames say, in both markets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::Running;

#[tokio::test]
async fn requests_get_the_exchanges_answers() {
    let simulator = Running::start(|_| {}).await;
    let mut socket = simulator.connect("/ws").await;
    socket
        .send(json!({ "method": "SUBSCRIBE", "params": ["nopeusdt@trade", "btcusdt@kline_1m"], "id": 7 }))
        .await;
    assert_eq!(socket.next().await.unwrap(), json!({ "result": null, "id": 7 }));
    socket.send(json!({ "method": "LIST_SUBSCRIPTIONS", "id": 8 })).await;
    let listed = socket.next().await.unwrap();
    assert_eq!(listed, json!({ "result": ["btcusdt@kline_1m", "nopeusdt@trade"], "id": 8 }));
    socket.send(json!({ "method": "GET_PROPERTY", "params": ["combined"], "id": 9 })).await;
    assert_eq!(socket.next().await.unwrap(), json!({ "result": false, "id": 9 }));
    socket.send(json!({ "method": "SET_PROPERTY", "params": ["combined", true], "id": 10 })).await;
    assert_eq!(socket.next().await.unwrap(), json!({ "result": null, "id": 10 }));
    let mut socket = simulator.connect("/ws").await;
    socket.send(json!({ "method": "NOPE", "id": 1 })).await;
    let refusal = socket.next().await.unwrap();
    assert_eq!(refusal["code"], 2);
    assert!(refusal["msg"].as_str().unwrap().contains("unknown variant NOPE"), "{refusal}");
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn spot_ids_are_dense_and_the_book_can_be_joined() {
    let simulator = Running::start(|config| config.symbols = 1).await;
    let mut socket =
        simulator.connect("/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@aggTrade").await;
    let first = socket.until(|frame| frame["data"]["e"] == "depthUpdate").await;
    let snapshot = simulator.json("/api/v3/depth?symbol=BTCUSDT&limit=5000").await;
    let snapshot_id = snapshot["lastUpdateId"].as_u64().unwrap();
    assert!(snapshot_id >= first["data"]["U"].as_u64().unwrap());
    let mut bids = levels(&snapshot["bids"]);
    let (mut last_update, mut last_trade, mut last_aggregate) =
        (first["data"]["u"].as_u64().unwrap(), None, None);
    let mut joined = false;
    for _ in 0..2_000 {
        let frame = socket.next().await.unwrap();
        let data = &frame["data"];
        match data["e"].as_str().unwrap() {
            "trade" => continuous(&mut last_trade, &data["t"]),
            "aggTrade" => continuous(&mut last_aggregate, &data["a"]),
            _ => {
                assert_eq!(frame["stream"], "btcusdt@depth@100ms");
                assert_eq!(data["U"].as_u64().unwrap(), last_update + 1);
                last_update = data["u"].as_u64().unwrap();
                if last_update > snapshot_id {
                    joined |= data["U"].as_u64().unwrap() <= snapshot_id + 1;
                    apply(&mut bids, &data["b"]);
                }
            }
        }
    }
    assert!(joined, "no diff joined the snapshot");
    simulator.post("/control/pause", &Value::Null).await;
    simulator.status_until("all written", |status| status["in_flight"] == 0).await;
    let snapshot = simulator.json("/api/v3/depth?symbol=BTCUSDT&limit=5000").await;
    let target = snapshot["lastUpdateId"].as_u64().unwrap();
    while last_update < target {
        let frame = socket.until(|frame| frame["data"]["e"] == "depthUpdate").await;
        apply(&mut bids, &frame["data"]["b"]);
        last_update = frame["data"]["u"].as_u64().unwrap();
    }
    assert_eq!(bids, levels(&snapshot["bids"]), "the book built from diffs is not the true one");
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn usdm_is_routed_and_chained() {
    let simulator = Running::start(|config| config.rate = 3_000).await;
    let mut silent = simulator.connect("/public/stream").await;
    silent.subscribe(&["btcusdt@aggTrade"]).await;
    let mut public = simulator
        .connect("/public/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker")
        .await;
    let mut market = simulator.connect("/market/ws/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@aggTrade").await;
    assert_eq!(market.next().await.unwrap()["s"], "币安人生USDT");
    let (mut last_update, mut placeholders, mut tickers) = (None, 0, 0);
    for _ in 0..3_000 {
        let frame = public.next().await.unwrap();
        let data = &frame["data"];
        match data["e"].as_str().unwrap() {
            "depthUpdate" => {
                if let Some(last) = last_update.replace(data["u"].as_u64().unwrap()) {
                    assert_eq!(data["pu"].as_u64().unwrap(), last);
                }
            }
            "bookTicker" => {
                tickers += 1;
                assert_eq!(data["u"].as_u64(), last_update, "a best price of a book nobody saw");
            }
            _ => placeholders += u32::from(data["X"] == "NA" && data["p"] == "0"),
        }
    }
    assert!(placeholders > 0 && tickers > 0, "{placeholders} placeholders, {tickers} tickers");
    silent.send(json!({ "method": "LIST_SUBSCRIPTIONS", "id": 5 })).await;
    assert_eq!(silent.next().await.unwrap()["id"], 5, "a stream of the other path was not silent");
    drop((silent, public, market));
    simulator.stop().await;
}

#[tokio::test]
async fn a_seed_is_a_market_for_every_client() {
    let mut runs = Vec::new();
    for rate in [500, 5_000] {
        let simulator = Running::start(|config| (config.rate, config.seed) = (rate, 11)).await;
        let mut socket = simulator.connect("/ws/btcusdt@depth").await;
        let mut diffs = BTreeMap::new();
        for _ in 0..200 {
            let frame = socket.next().await.unwrap();
            diffs.insert(
                frame["U"].as_u64().unwrap(),
                (frame["u"].clone(), frame["b"].clone(), frame["a"].clone()),
            );
        }
        runs.push(diffs);
        simulator.stop().await;
    }
    let both: Vec<_> = runs[0].keys().filter(|id| runs[1].contains_key(id)).collect();
    assert!(both.len() > 50, "only {} diffs in common", both.len());
    assert!(both.iter().all(|id| runs[0][id] == runs[1][id]));
}

fn continuous(last: &mut Option<u64>, id: &Value) {
    let id = id.as_u64().unwrap();
    if let Some(last) = last.replace(id) {
        assert_eq!(id, last + 1);
    }
}

/// Price text to quantity text: enough for one instrument, whose digits are of fixed length after the point.
fn levels(side: &Value) -> BTreeMap<String, String> {
    side.as_array().unwrap().iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
}

fn apply(book: &mut BTreeMap<String, String>, changes: &Value) {
    for (price, quantity) in levels(changes) {
        if quantity.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            book.remove(&price);
        } else {
            book.insert(price, quantity);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
