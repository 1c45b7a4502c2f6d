//! REST: limits, weights, error bodies, 429 and 418, trades by id.

use serde_json::json;

use crate::client::Running;

#[tokio::test]
async fn errors_are_the_exchanges_own() {
    let simulator = Running::start(|_| {}).await;
    for (path, status, code) in [
        ("/api/v3/depth", 400, -1102),
        ("/api/v3/depth?symbol=NOPE", 400, -1121),
        ("/api/v3/depth?symbol=BTCUSDT&limit=x", 400, -1100),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, -4021),
    ] {
        let answer = simulator.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], code, "{path}");
    }
    let book = simulator.json("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await;
    assert!(book["E"].is_u64() && book["bids"][0][0].as_str().unwrap().split_once('.').unwrap().1.len() == 2);
    let info = simulator.json("/fapi/v1/exchangeInfo").await;
    let symbols = info["symbols"].as_array().unwrap();
    assert_eq!(symbols.iter().filter(|symbol| symbol["status"] == "TRADING").count(), 5);
    assert!(symbols.iter().any(|symbol| symbol["status"] == "SETTLING"));
    assert!(simulator.json("/api/v3/time").await["serverTime"].is_u64());
    assert_eq!(simulator.json("/fapi/v1/ping").await, json!({}));
    simulator.stop().await;
}

#[tokio::test]
async fn weight_is_counted_then_refused_then_banned() {
    let simulator = Running::start(|config| config.limits.spot_weight_per_minute = 260).await;
    let answer = simulator.get("/api/v3/depth?symbol=BTCUSDT&limit=5000").await;
    let used: u64 = answer.headers()["x-mbx-used-weight-1m"].to_str().unwrap().parse().unwrap();
    assert!(used >= 250);
    let answer = simulator.get("/api/v3/depth?symbol=BTCUSDT&limit=5000").await;
    assert_eq!(answer.status(), 429);
    let retry_after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after));
    for _ in 0..25 {
        simulator.get("/api/v3/depth?symbol=BTCUSDT&limit=5000").await;
    }
    let answer = simulator.get("/api/v3/ping").await;
    assert_eq!(answer.status(), 418);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(simulator.get("/fapi/v1/ping").await.status(), 200, "the other host has its own budget");
    simulator.stop().await;
}

#[tokio::test]
async fn trades_are_found_by_id() {
    let simulator = Running::start(|config| config.symbols = 1).await;
    let mut socket = simulator.connect("/stream?streams=btcusdt@trade").await;
    let first = socket.next().await.unwrap()["data"].clone();
    for _ in 0..20 {
        socket.next().await.unwrap();
    }
    let id = first["t"].as_u64().unwrap();
    let rows = simulator.json(&format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={id}&limit=10")).await;
    let ids: Vec<u64> = rows.as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (id..id + 10).collect::<Vec<_>>());
    assert_eq!((&rows[0]["price"], &rows[0]["qty"]), (&first["p"], &first["q"]));
    let rows = simulator.json("/fapi/v1/aggTrades?symbol=BTCUSDT&limit=3").await;
    assert_eq!(rows[2]["a"].as_u64().unwrap(), rows[0]["a"].as_u64().unwrap() + 2);
    drop(socket);
    simulator.stop().await;
}
