//! Deribit over REST, and that a socket is answered the same.

use marketprism_exchange_simulator::Market;
use marketprism_service::HumanDuration;
use serde_json::{Value, json};

use crate::client::Running;
use crate::control::read;
use crate::deribit_client::{Client, start};

async fn result(simulator: &Running, call: &str) -> Value {
    simulator.json(&format!("/api/v2/public/{call}")).await["result"].clone()
}

#[tokio::test]
async fn lists_are_filtered_and_the_same_everywhere() {
    let simulator = start(|config| config.symbols = 2).await;
    let names = |rows: &Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["instrument_name"].as_str().unwrap().to_owned()).collect()
    };
    let all = result(&simulator, "get_instruments?currency=any").await;
    assert_eq!(
        names(&all),
        [
            "BTC-PERPETUAL",
            "ETH-PERPETUAL",
            "BTC_USDC-PERPETUAL",
            "ETH_USDC-PERPETUAL",
            "BTC-25DEC26",
            "BTC-25DEC26-70000-C",
            "BTC-25DEC26-70000-P",
        ]
    );
    let options = result(&simulator, "get_instruments?currency=BTC&kind=option").await;
    assert_eq!(names(&options), ["BTC-25DEC26-70000-C", "BTC-25DEC26-70000-P"]);
    let linear = result(&simulator, "get_instruments?currency=USDC&kind=future").await;
    assert_eq!(names(&linear).len(), 2);
    let one = result(&simulator, "get_instrument?instrument_name=ETH-PERPETUAL").await;
    assert_eq!(one, all[1]);
    let mut client = Client::connect(&simulator).await;
    let params = json!({ "instrument_name": "ETH-PERPETUAL" });
    assert_eq!(client.call("public/get_instrument", params).await["result"], one);
    // The indices are served whatever number of pairs was asked for, and are in no list of instruments.
    let status = simulator.status().await;
    let ids = status["instruments"].as_array().unwrap().iter().map(|one| one["instrument_id"].clone());
    assert!(ids.collect::<Vec<_>>().contains(&json!("eth_usd")));
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn wrong_calls_are_refused_with_their_reason() {
    let simulator = start(|_| {}).await;
    for (call, code, named) in [
        ("nope", -32601, ""),
        ("subscribe?channels=x", -32601, ""),
        ("get_instrument", -32602, "instrument_name"),
        ("get_instrument?instrument_name=btc_usd", -32602, "instrument_name"),
        ("get_order_book?instrument_name=BTC-PERPETUAL&depth=7", -32602, "depth"),
        ("get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&count=1001", -32602, "count"),
        ("get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&start_seq=-1", -32602, "start_seq"),
        (
            "get_volatility_index_data?currency=SOL&start_timestamp=0&end_timestamp=1&resolution=60",
            -32602,
            "currency",
        ),
        (
            "get_volatility_index_data?currency=BTC&start_timestamp=0&end_timestamp=x&resolution=60",
            -32602,
            "end_timestamp",
        ),
        (
            "get_volatility_index_data?currency=BTC&start_timestamp=0&end_timestamp=1&resolution=5",
            -32602,
            "resolution",
        ),
    ] {
        let answer = simulator.get(&format!("/api/v2/public/{call}")).await;
        assert_eq!(answer.status().as_u16(), 400, "{call}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{call}: {body}");
        assert_eq!(body["error"]["data"]["param"].as_str().unwrap_or(""), named, "{call}: {body}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn histories_and_summaries() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = start(|config| {
        config.ledger = Some(ledger.clone());
        config.cadence.volatility_index = HumanDuration::from_millis(50);
    })
    .await;
    let end = i64::MAX;
    let bars = async || {
        let call = format!(
            "get_volatility_index_data?currency=ETH&start_timestamp=0&end_timestamp={end}&resolution=1"
        );
        result(&simulator, &call).await
    };
    // Two bars: one is over, one is forming.
    let data = loop {
        let answer = bars().await;
        if answer["data"].as_array().unwrap().len() >= 2 {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(data["continuation"], Value::Null);
    let bar = data["data"][0].as_array().unwrap();
    let [open, high, low, close] = [1, 2, 3, 4].map(|place| bar[place].as_f64().unwrap());
    assert!(low <= open && open <= high && low <= close && close <= high, "{bar:?}");

    let now_ms = result(&simulator, "get_time").await.as_i64().unwrap();
    let call = format!(
        "get_funding_rate_history?instrument_name=BTC-PERPETUAL&start_timestamp={}&end_timestamp={now_ms}",
        now_ms - 5 * 3_600_000
    );
    let hours = result(&simulator, &call).await;
    let hours: Vec<i64> =
        hours.as_array().unwrap().iter().map(|row| row["timestamp"].as_i64().unwrap()).collect();
    assert_eq!(hours.len(), 5);
    assert!(hours.iter().all(|hour| hour % 3_600_000 == 0));

    let summary = result(&simulator, "get_book_summary_by_currency?currency=BTC&kind=option").await;
    assert_eq!(summary.as_array().unwrap().len(), 2);
    assert!(summary[0]["open_interest"].is_number() && summary[0]["mark_price"].is_number());

    simulator.post("/control/flush", &Value::Null).await;
    let lines = read(&ledger);
    let polled = lines.iter().filter(|line| line["source"] == "rest");
    let of =
        |data_type: &str| polled.clone().filter(|line| line["data_type"] == data_type).collect::<Vec<_>>();
    let closed = of("volatility_index");
    assert_eq!(closed[0]["ts_event_us"].as_i64().unwrap(), bar[0].as_i64().unwrap() * 1000);
    assert_eq!((&closed[0]["resolution_seconds"], &closed[0]["symbol"]), (&json!(1), &json!("ETH")));
    assert_eq!(of("open_interest").len(), 2);
    simulator.stop().await;
}

#[tokio::test]
async fn rest_is_limited_by_credits() {
    let simulator = start(|config| config.markets.push(Market::BinanceSpot)).await;
    let mut statuses = Vec::new();
    for _ in 0..200 {
        statuses.push(simulator.get("/api/v2/public/get_instruments?currency=any").await.status().as_u16());
    }
    // Fifty at once and one a second: neither fewer nor, in the time this takes, many more.
    let granted = statuses.iter().filter(|status| **status == 200).count();
    assert!((50..150).contains(&granted), "{granted} of 200");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)));
    assert_eq!(simulator.get("/api/v3/time").await.status(), 200, "another exchange's limits");
    simulator.stop().await;
}
