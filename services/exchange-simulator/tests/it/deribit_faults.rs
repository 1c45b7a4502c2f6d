//! Faults as Deribit shows them, and changes of its list.

use serde_json::{Value, json};

use crate::deribit_client::{Book, Client, start};

const BOOK: &str = "book.BTC-PERPETUAL.100ms";
const OTHER_BOOK: &str = "book.ETH-PERPETUAL.100ms";
const TRADES: &str = "trades.BTC-PERPETUAL.100ms";

fn at_btc(fault: &str) -> Value {
    json!({ "fault": fault, "exchange": "deribit", "instrument_id": "BTC-PERPETUAL", "count": 2 })
}

#[tokio::test]
async fn kept_back_changes_break_one_chain_only() {
    let simulator = start(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(&[BOOK, OTHER_BOOK]).await;
    let (mut book, mut other) = (Book::default(), Book::default());
    assert!(book.apply(&client.next_of(BOOK).await));
    simulator.fault(at_btc("skip_diff")).await;
    // Joined in any case: its snapshot was lost while the other's was waited for.
    client.call("public/unsubscribe", json!({ "channels": [OTHER_BOOK] })).await;
    client.subscribe(&[OTHER_BOOK]).await;
    let (mut broken, mut followed) = (false, 0);
    while !broken || followed < 50 {
        let frame = client.socket.next().await.unwrap();
        let data = &frame["params"]["data"];
        if frame["params"]["channel"] == BOOK {
            broken |= !book.apply(data);
        } else if frame["params"]["channel"] == OTHER_BOOK && (data["type"] == "snapshot" || followed > 0) {
            assert!(other.apply(data), "the other book broke, too");
            followed += 1;
        }
    }
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn kept_back_repeated_and_swapped_trades() {
    let simulator = start(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(&[TRADES]).await;
    let sequences = |data: &Value| -> Vec<u64> {
        data.as_array().unwrap().iter().map(|trade| trade["trade_seq"].as_u64().unwrap()).collect()
    };
    let mut last = *sequences(&client.next_of(TRADES).await).last().unwrap();
    for fault in ["drop_trade", "duplicate_trade", "reorder"] {
        simulator.fault(at_btc(fault)).await;
        let (mut holes, mut steps_back) = (0, 0);
        for _ in 0..100 {
            for sequence in sequences(&client.next_of(TRADES).await) {
                holes += u32::from(sequence > last + 1);
                steps_back += u32::from(sequence <= last);
                last = sequence;
            }
        }
        match fault {
            "drop_trade" => assert_eq!((holes, steps_back), (1, 0), "two messages in a row"),
            "duplicate_trade" => assert_eq!((holes, steps_back > 0), (0, true), "repeated"),
            _ => assert!(holes > 0 && steps_back > 0, "{holes} holes, {steps_back} steps back"),
        }
    }
    // What was kept back is still to be had over REST.
    let path =
        "/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&count=1000&start_seq=0";
    let all = sequences(&simulator.json(path).await["result"]["trades"]);
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1));
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn a_maintenance_is_told_and_ends_every_connection() {
    let simulator = start(|_| {}).await;
    let mut told = Client::connect(&simulator).await;
    told.subscribe(&["platform_state", BOOK]).await;
    let mut untold = Client::connect(&simulator).await;
    untold.subscribe(&[BOOK]).await;
    let answer = simulator.fault(json!({ "fault": "maintenance_reset", "exchange": "deribit" })).await;
    assert_eq!(answer["connections"], 2);
    // Among the locks of price indices that the channel is full of.
    told.socket.until(|frame| frame["params"]["data"] == json!({ "maintenance": true })).await;
    while told.socket.next().await.is_some() {}
    while let Some(frame) = untold.socket.next().await {
        assert_ne!(frame["params"]["channel"], "platform_state");
    }
    let mut again = Client::connect(&simulator).await;
    again.subscribe(&[BOOK]).await;
    assert_eq!(again.next_of(BOOK).await["type"], "snapshot");
    drop((told, untold, again));
    simulator.stop().await;
}

#[tokio::test]
async fn refusals_silence_and_a_wrong_clock() {
    let simulator = start(|_| {}).await;
    let limit =
        json!({ "fault": "rate_limit", "exchange": "deribit", "for_ms": 60_000, "retry_after_seconds": 3 });
    simulator.fault(limit).await;
    let answer = simulator.get("/api/v2/public/get_time").await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "3"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], 10028);
    simulator.fault(json!({ "fault": "rate_limit", "exchange": "deribit", "for_ms": 0 })).await;

    let now_ms = async || simulator.json("/api/v2/public/get_time").await["result"].as_i64().unwrap();
    let before = now_ms().await;
    simulator.fault(json!({ "fault": "clock_skew", "exchange": "deribit", "skew_ms": 3_600_000 })).await;
    assert!(now_ms().await - before >= 3_600_000);
    let mut client = Client::connect(&simulator).await;
    client.subscribe(&[BOOK]).await;
    while client.next_of(BOOK).await["timestamp"].as_i64().unwrap() < before + 3_600_000 {}

    simulator.fault(json!({ "fault": "silence", "exchange": "deribit", "for_ms": 400 })).await;
    let started = std::time::Instant::now();
    client.call("public/test", json!({})).await;
    assert!(started.elapsed().as_millis() > 200, "answered after {:?}", started.elapsed());
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn an_instrument_leaves_and_comes_back() {
    let simulator = start(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(&["instrument.state.future.BTC"]).await;
    let mut creation = Client::connect(&simulator).await;
    creation.subscribe(&["instrument.creation.any.any"]).await;
    let named = json!({ "exchange": "deribit", "instrument_id": "BTC-25DEC26" });
    let listed = async || {
        let path = "/api/v2/public/get_instruments?currency=BTC&kind=future";
        simulator.json(path).await["result"].as_array().unwrap().len()
    };
    for (action, state, count) in [("delist", "terminated", 1), ("list", "started", 2)] {
        assert_eq!(simulator.post(&format!("/control/{action}"), &named).await.0, 200);
        let told = client.next_of("instrument.state.future.BTC").await;
        assert_eq!((&told["state"], &told["instrument_name"]), (&json!(state), &json!("BTC-25DEC26")));
        assert_eq!(listed().await, count);
    }
    assert_eq!(creation.next_of("instrument.creation.any.any").await["contract_size"], 10.0);
    drop((client, creation));
    simulator.stop().await;
}
