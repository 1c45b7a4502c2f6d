//! Deribit over its socket: subscriptions, books, trades, tickers, indices, heartbeat, credits.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use marketprism_service::HumanDuration;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::client::DEADLINE;
use crate::control::read;
use crate::deribit_client::{Book, Client, start};

const BOOK: &str = "book.BTC-PERPETUAL.100ms";

#[tokio::test]
async fn only_known_channels_are_subscribed_and_only_once() {
    let simulator = start(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    let asked = [BOOK, "book.NOPE.100ms", "ticker.BTC-PERPETUAL.5s", "trades.ETH-PERPETUAL.100ms"];
    assert_eq!(client.subscribe(&asked).await, json!(["trades.ETH-PERPETUAL.100ms", BOOK]));
    assert_eq!(client.next_of(BOOK).await["type"], "snapshot");
    assert_eq!(client.subscribe(&["book.NOPE.100ms"]).await, json!([]));
    // Again: acknowledged, and no snapshot.
    assert_eq!(client.subscribe(&[BOOK]).await, json!([BOOK]));
    for _ in 0..20 {
        assert_eq!(client.next_of(BOOK).await["type"], "change");
    }
    // One channel that needs an account refuses all.
    let refused =
        client.call("public/subscribe", json!({ "channels": ["platform_state", "book.X.raw"] })).await;
    assert_eq!(refused["error"]["code"], 13778);
    // Unsubscribed and subscribed again, it begins anew.
    let gone = client.call("public/unsubscribe", json!({ "channels": [BOOK, "book.NOPE.100ms"] })).await;
    assert_eq!(gone["result"], json!([BOOK]));
    assert_eq!(client.subscribe(&[BOOK]).await, json!([BOOK]));
    client.socket.until(|frame| frame["params"]["data"]["type"] == "snapshot").await;
    assert_eq!(client.call("public/unsubscribe_all", json!({})).await["result"], "ok");
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered() {
    let simulator = start(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.socket.send(Value::String("not an object".to_owned())).await;
    let refused = client.socket.next().await.unwrap();
    assert_eq!((&refused["error"]["code"], refused.get("id")), (&json!(11050), None));
    assert_eq!(client.call("public/nope", json!({})).await["error"]["code"], -32601);
    assert_eq!(client.call("public/subscribe", json!({ "channels": "x" })).await["error"]["code"], -32602);
    let answer = client.call("public/hello", json!({ "client_name": "x", "client_version": "1" })).await;
    assert_eq!((&answer["result"]["version"], &answer["testnet"]), (&json!("1.2.26"), &json!(false)));
    assert_eq!(
        answer["usDiff"].as_i64().unwrap(),
        answer["usOut"].as_i64().unwrap() - answer["usIn"].as_i64().unwrap()
    );
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn books_follow_their_changes_and_are_the_true_ones() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = start(|config| config.ledger = Some(ledger.clone())).await;
    let mut client = Client::connect(&simulator).await;
    let names = ["BTC-PERPETUAL", "BTC_USDC-PERPETUAL", "BTC-25DEC26-70000-P"];
    let channels = names.map(|name| format!("book.{name}.100ms"));
    client.subscribe(&channels.each_ref().map(String::as_str)).await;
    let mut books = [Book::default(), Book::default(), Book::default()];
    let (mut scientific, mut whole, mut with_point) = (0, 0, 0);
    let mut follow = async |client: &mut Client, books: &mut [Book; 3]| {
        let text = client.socket.next_text().await.unwrap();
        scientific += text.matches("e4]").count() + text.matches("e5]").count();
        whole += text.matches("0]").count() - text.matches(".0]").count();
        with_point += text.matches(".0]").count();
        let frame: Value = serde_json::from_str(&text).unwrap();
        let place = channels.iter().position(|one| frame["params"]["channel"] == **one).unwrap();
        assert!(books[place].apply(&frame["params"]["data"]), "{text}");
    };
    for _ in 0..1_000 {
        follow(&mut client, &mut books).await;
    }
    simulator.post("/control/pause", &Value::Null).await;
    simulator.status_until("all written", |status| status["in_flight"] == 0).await;
    for (place, name) in names.iter().enumerate() {
        let path = format!("/api/v2/public/get_order_book?instrument_name={name}&depth=10000");
        let truth = Book::of_rest(&simulator.json(&path).await["result"]);
        while books[place].change_id < truth.change_id {
            follow(&mut client, &mut books).await;
        }
        assert_eq!(books[place], truth, "{name}");
    }
    assert!(scientific > 0 && whole > 0 && with_point > 0, "{scientific} {whole} {with_point}");

    simulator.post("/control/flush", &Value::Null).await;
    let lines = read(&ledger);
    for (book, name) in books.iter().zip(names) {
        let last = lines.iter().rfind(|line| line["instrument_id"] == name).unwrap();
        assert_eq!(last["last_update_id"], book.change_id);
        let (price, amount) = book.bids.last_key_value().unwrap();
        let price = f64::from_bits(*price);
        let level = [0, 1].map(|place| last["best_bid"][place].as_str().unwrap().parse::<f64>().unwrap());
        // Inverse contracts are sized in USD.
        let base = if name == "BTC-PERPETUAL" { amount / price } else { *amount };
        assert!((level[0] - price).abs() < 1e-9 && (level[1] - base).abs() < 1e-9, "{name}: {last}");
    }
    assert!(lines.iter().any(|line| line["snapshot"] == true));
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn trades_are_numbered_without_a_hole_and_rest_shows_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = start(|config| config.ledger = Some(ledger.clone())).await;
    let mut client = Client::connect(&simulator).await;
    client
        .subscribe(&["trades.BTC-PERPETUAL.100ms", "trades.BTC-25DEC26.100ms", "trades.ETH-PERPETUAL.100ms"])
        .await;
    let mut trades: Vec<Value> = Vec::new();
    let mut largest_message = 0;
    while trades.len() < 300 {
        let frame = client.socket.next().await.unwrap();
        let data = frame["params"]["data"].as_array().unwrap().clone();
        largest_message = largest_message.max(data.len());
        trades.extend(data);
    }
    assert!(largest_message > 1, "every message held one trade only");
    let of = |name: &str| {
        trades.iter().filter(|trade| trade["instrument_name"] == name).cloned().collect::<Vec<_>>()
    };
    let perpetual = of("BTC-PERPETUAL");
    for pair in perpetual.windows(2) {
        assert_eq!(pair[1]["trade_seq"].as_u64().unwrap(), pair[0]["trade_seq"].as_u64().unwrap() + 1);
        assert_eq!(pair[0]["contracts"].as_f64().unwrap() * 10.0, pair[0]["amount"].as_f64().unwrap());
        assert!(pair[0]["starbase_match_id"].as_u64().unwrap() > 1 << 53);
    }
    let ids: BTreeSet<&str> = trades.iter().map(|trade| trade["trade_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), trades.len(), "ids are unique within a currency, and ETH's say so");
    assert!(of("ETH-PERPETUAL").iter().all(|trade| trade["trade_id"].as_str().unwrap().starts_with("ETH-")));

    let sequence = |trade: &Value| trade["trade_seq"].as_u64().unwrap();
    let (first, last) = (sequence(&perpetual[0]), sequence(perpetual.last().unwrap()));
    let path = format!(
        "/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&start_seq={first}&end_seq={last}"
    );
    let all = simulator.json(&format!("{path}&count=1000")).await["result"].clone();
    assert_eq!(all["has_more"], false);
    let fields = ["trade_seq", "trade_id", "price", "amount", "contracts", "direction", "timestamp"];
    let essence = |trade: &Value| fields.map(|field| trade[field].clone());
    let answered: Vec<_> = all["trades"].as_array().unwrap().iter().map(essence).collect();
    assert_eq!(answered, perpetual.iter().map(essence).collect::<Vec<_>>());
    let page = simulator.json(&format!("{path}&count=3&sorting=desc")).await["result"].clone();
    let page: (Vec<u64>, &Value) =
        (page["trades"].as_array().unwrap().iter().map(sequence).collect(), &page["has_more"]);
    assert_eq!(page, (vec![last, last - 1, last - 2], &json!(true)));

    simulator.post("/control/pause", &Value::Null).await;
    simulator.status_until("all written", |status| status["in_flight"] == 0).await;
    simulator.post("/control/flush", &Value::Null).await;
    let lines = read(&ledger);
    for trade in &perpetual {
        let line = lines.iter().find(|line| line["trade_id"] == trade["trade_id"]).expect("in the ledger");
        assert_eq!((&line["trade_seq"], &line["side"]), (&trade["trade_seq"], &trade["direction"]));
        let number = |field: &str| line[field].as_str().unwrap().parse::<f64>().unwrap();
        assert_eq!(number("contracts"), trade["contracts"].as_f64().unwrap());
        let base = trade["amount"].as_f64().unwrap() / trade["price"].as_f64().unwrap();
        assert!((number("quantity") - base).abs() < 1e-12, "{line}");
    }
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn tickers_funding_and_volatility_are_told_and_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = start(|config| {
        config.ledger = Some(ledger.clone());
        config.cadence.mark_price = HumanDuration::from_millis(50);
        config.cadence.volatility_index = HumanDuration::from_millis(50);
    })
    .await;
    let mut client = Client::connect(&simulator).await;
    let channels = [
        "ticker.BTC-PERPETUAL.100ms",
        "ticker.BTC-25DEC26-70000-C.100ms",
        "perpetual.BTC-PERPETUAL.100ms",
        "deribit_volatility_index.btc_usd",
    ];
    client.subscribe(&channels).await;
    let perpetual = client.next_of(channels[0]).await;
    assert!(perpetual["best_bid_price"].as_f64() < perpetual["best_ask_price"].as_f64(), "{perpetual}");
    assert!(perpetual["open_interest"].is_u64(), "a whole number of USD: {perpetual}");
    assert!(perpetual["current_funding"].is_number() && perpetual["funding_8h"].is_number());
    let option = client.next_of(channels[1]).await;
    assert!(option["mark_iv"].is_number() && option.get("current_funding").is_none(), "{option}");
    assert!(option["index_price"].as_f64().unwrap() > 1_000.0, "of the coin, not of the option: {option}");
    let funding = client.next_of(channels[2]).await;
    let volatility = client.next_of(channels[3]).await;
    assert_eq!(volatility["index_name"], "btc_usd");

    simulator.post("/control/pause", &Value::Null).await;
    simulator.status_until("all written", |status| status["in_flight"] == 0).await;
    simulator.post("/control/flush", &Value::Null).await;
    let lines = read(&ledger);
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let line = |data_type: &str, ts: &Value| {
        let ts_us = ts.as_i64().unwrap() * 1000;
        let mut fitting =
            lines.iter().filter(|one| one["data_type"] == data_type && one["ts_event_us"] == ts_us);
        fitting.next().unwrap_or_else(|| panic!("no {data_type} at {ts_us}")).clone()
    };
    let its = line("open_interest", &perpetual["timestamp"]);
    assert_eq!(number(&its["open_interest"]) * 10.0, perpetual["open_interest"].as_f64().unwrap());
    assert_eq!(
        number(&line("funding_rate", &funding["timestamp"])["funding_rate"]),
        funding["interest"].as_f64().unwrap()
    );
    let its = line("volatility_index", &volatility["timestamp"]);
    assert_eq!(number(&its["index_value"]), volatility["volatility"].as_f64().unwrap());
    assert_eq!((&its["symbol"], &its["market_type"]), (&json!("BTC"), &json!("options")));
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn a_heartbeat_must_be_answered() {
    let simulator = start(|config| {
        config.limits.deribit_heartbeat_max = HumanDuration::from_millis(300);
        config.limits.deribit_idle_timeout = HumanDuration::from_millis(500);
    })
    .await;
    let mut client = Client::connect(&simulator).await;
    assert_eq!(client.call("public/set_heartbeat", json!({ "interval": 9 })).await["error"]["code"], -32602);
    assert_eq!(client.call("public/set_heartbeat", json!({ "interval": 30 })).await["result"], "ok");
    // An idle socket hears both; answered, it stays far longer than the idle timeout.
    for _ in 0..4 {
        client.socket.until(|frame| frame["params"]["type"] == "heartbeat").await;
        client.socket.until(|frame| frame["params"]["type"] == "test_request").await;
        client.call("public/test", json!({})).await;
    }
    let asked = client.socket.until(|frame| frame["params"]["type"] == "test_request").await;
    let unanswered = Instant::now();
    assert_eq!(asked["method"], "heartbeat");
    let end = loop {
        let message = timeout(DEADLINE, client.socket.0.next()).await.unwrap().unwrap().unwrap();
        if let Message::Close(frame) = message {
            break frame.unwrap();
        }
    };
    assert_eq!((u16::from(end.code), end.reason.as_str()), (4000, "heartbeat close"));
    assert!(unanswered.elapsed() >= Duration::from_millis(250), "after {:?}", unanswered.elapsed());
    drop(client);
    simulator.stop().await;
}

#[tokio::test]
async fn an_idle_socket_is_dropped_unless_it_subscribed() {
    let simulator =
        start(|config| config.limits.deribit_idle_timeout = HumanDuration::from_millis(300)).await;
    let mut subscribed = Client::connect(&simulator).await;
    subscribed.subscribe(&["platform_state"]).await;
    let mut idle = Client::connect(&simulator).await;
    let since = Instant::now();
    // Without a Close frame.
    assert!(timeout(DEADLINE, idle.socket.0.next()).await.unwrap().is_none_or(|end| end.is_err()));
    assert!(since.elapsed() >= Duration::from_millis(250), "after {:?}", since.elapsed());
    assert_eq!(subscribed.call("public/status", json!({})).await["result"]["locked"], "false");
    drop((subscribed, idle));
    simulator.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let simulator = start(|_| {}).await;
    let mut clients = Vec::new();
    for _ in 0..32 {
        clients.push(Client::connect(&simulator).await);
    }
    let url = format!("ws://{}/ws/api/v2", simulator.address);
    let refused = tokio_tungstenite::connect_async(&url).await.unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
    drop(clients);
    simulator.status_until("all are gone", |status| status["connections"] == 0).await;
    tokio_tungstenite::connect_async(&url).await.unwrap();
    simulator.stop().await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_and_closed() {
    let simulator = start(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    let mut answered = 0;
    for id in 0..30 {
        let params = json!({ "channels": ["platform_state"] });
        client.socket.send(json!({ "id": id, "method": "public/subscribe", "params": params })).await;
    }
    let error = loop {
        let frame = client.socket.next().await.expect("closed without a word");
        if frame.get("error").is_some() {
            break frame["error"]["code"].clone();
        }
        answered += 1;
    };
    // Ten at once, and a third of one more every tenth of a second.
    assert_eq!(error, 10028);
    assert!((10..=12).contains(&answered), "{answered} answers");
    while client.socket.next().await.is_some() {}
    drop(client);
    simulator.stop().await;
}
