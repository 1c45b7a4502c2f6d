//! OKX: control messages, books, trades, what is told of contracts, REST.

use std::collections::BTreeMap;

use futures_util::SinkExt;
use marketprism_exchange_simulator::{Market, SimulatorConfig};
use marketprism_service::HumanDuration;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Running, Socket};
use crate::control::read;

/// A simulator of OKX alone.
pub(crate) async fn okx(change: impl FnOnce(&mut SimulatorConfig)) -> Running {
    Running::start(|config| {
        (config.markets, config.symbols) = (vec![Market::OkxSpot, Market::OkxSwap], 2);
        config.cadence.mark_price = HumanDuration::from_millis(100);
        config.cadence.open_interest = HumanDuration::from_millis(100);
        config.cadence.funding_rate = HumanDuration::from_millis(100);
        config.cadence.liquidation = HumanDuration::from_millis(50);
        change(config);
    })
    .await
}

/// Subscribes and reads the acknowledgements; each precedes what it is of, but not what others push.
pub(crate) async fn subscribe(socket: &mut Socket, args: &[Value]) -> Vec<Value> {
    socket.send(json!({ "id": "s1", "op": "subscribe", "args": args })).await;
    let (mut acknowledged, mut others) = (0, Vec::new());
    while acknowledged < args.len() {
        let frame = socket.next().await.unwrap();
        if frame["event"] == "subscribe" {
            assert_eq!((&frame["id"], &frame["arg"]), (&json!("s1"), &args[acknowledged]));
            assert_eq!(frame["connId"].as_str().unwrap().len(), 8);
            acknowledged += 1;
        } else {
            others.push(frame);
        }
    }
    others
}

pub(crate) fn arg(channel: &str, instrument_id: &str) -> Value {
    json!({ "channel": channel, "instId": instrument_id })
}

#[tokio::test]
async fn requests_get_the_exchanges_answers() {
    let simulator = okx(|config| config.limits.okx_operations_per_hour = 4).await;
    let mut socket = simulator.connect("/ws/v5/public").await;
    socket.0.send(Message::Text("ping".into())).await.unwrap();
    assert_eq!(socket.next_text().await.unwrap(), "pong");
    socket.send(json!({ "op": "subscribe", "argss": [] })).await;
    assert_eq!(socket.next().await.unwrap()["code"], "60012");
    let args = [arg("trades-all", "BTC-USDT"), arg("books", "NOPE-USDT"), arg("instruments-x", "BTC-USDT")];
    socket.send(json!({ "id": "a1", "op": "subscribe", "args": args })).await;
    for named in ["channel:trades-all,instId:BTC-USDT", "instId:NOPE-USDT", "channel:instruments-x"] {
        let error = socket.next().await.unwrap();
        assert_eq!(
            (&error["event"], &error["code"], &error["id"]),
            (&json!("error"), &json!("60018"), &json!("a1"))
        );
        assert!(error["msg"].as_str().unwrap().contains(named), "{error}");
    }
    // A good argument beside a bad one is acknowledged; asked for again it begins no second book.
    for _ in 0..2 {
        let args = [arg("books", "NOPE"), arg("books", "BTC-USDT")];
        socket.send(json!({ "op": "subscribe", "args": args })).await;
    }
    let (mut errors, mut acknowledged, mut books) = (0, 0, 0);
    while acknowledged < 2 {
        let frame = socket.next().await.unwrap();
        errors += u32::from(frame["code"] == "60018");
        acknowledged += u32::from(frame["event"] == "subscribe");
        books += u32::from(frame["action"] == "snapshot");
    }
    assert_eq!((errors, books), (2, 1));
    socket.send(json!({ "op": "unsubscribe", "args": [arg("books", "BTC-USDT")] })).await;
    socket.until(|frame| frame["event"] == "unsubscribe").await;
    socket.send(json!({ "op": "subscribe", "args": [arg("books", "BTC-USDT")] })).await;
    socket.until(|frame| frame["code"] == "60014").await;
    let mut long = simulator.connect("/ws/v5/public").await;
    long.0.send(Message::Text("x".repeat(65 * 1024).into())).await.unwrap();
    assert_eq!(long.close_code().await, 1009);
    drop(long);
    let mut business = simulator.connect("/ws/v5/business").await;
    subscribe(&mut business, &[arg("trades-all", "BTC-USDT-SWAP")]).await;
    let row = business.until(|frame| frame["data"].is_array()).await["data"][0].clone();
    assert!(row["tradeId"].is_string() && row["count"].is_null(), "{row}");
    drop((socket, business));
    simulator.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_a_ping_keeps_it() {
    let simulator = okx(|config| config.limits.okx_idle_timeout = HumanDuration::from_millis(300)).await;
    let mut socket = simulator.connect("/ws/v5/public").await;
    for _ in 0..4 {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        socket.0.send(Message::Text("ping".into())).await.unwrap();
        assert_eq!(socket.next_text().await.unwrap(), "pong");
    }
    assert_eq!(socket.close_code().await, 4004);
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn books_are_chained_and_equal_the_exchanges() {
    let simulator = okx(|config| config.rate = 2_000).await;
    for instrument_id in ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USDT-261225"] {
        let mut socket = simulator.connect("/ws/v5/public").await;
        let early =
            subscribe(&mut socket, &[arg("books", instrument_id), arg("bbo-tbt", instrument_id)]).await;
        let mut book = Book::default();
        for frame in early {
            book.apply(&frame);
        }
        while book.updates < 60 {
            book.apply(&socket.next().await.unwrap());
        }
        assert!(book.checked > 0, "no best price at a known id");
        simulator.post("/control/pause", &Value::Null).await;
        simulator.status_until("all written", |status| status["in_flight"] == 0).await;
        let truth = simulator.json(&format!("/api/v5/market/books?instId={instrument_id}&sz=400")).await;
        let truth = &truth["data"][0];
        while book.last.unwrap() < truth["seqId"].as_u64().unwrap() {
            book.apply(&socket.next().await.unwrap());
        }
        assert_eq!(book.asks, levels(&truth["asks"]), "{instrument_id}");
        assert_eq!(book.bids, levels(&truth["bids"]), "{instrument_id}");
        let short = simulator.json(&format!("/api/v5/market/books?instId={instrument_id}")).await;
        assert_eq!(short["data"][0]["asks"].as_array().unwrap().len(), 1, "sz is 1 by default");
        simulator.post("/control/resume", &Value::Null).await;
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_book_that_stands_still_is_kept_alive() {
    let simulator = okx(|config| {
        config.rate = 20;
        config.cadence.keep_alive = HumanDuration::from_millis(20);
    })
    .await;
    let mut socket = simulator.connect("/ws/v5/public").await;
    subscribe(&mut socket, &[arg("books", "BTC-USDT-261225")]).await;
    let alive = socket.until(|frame| frame["data"][0]["seqId"] == frame["data"][0]["prevSeqId"]).await;
    assert_eq!((&alive["data"][0]["asks"], &alive["action"]), (&json!([]), &json!("update")));
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn trades_are_counted_backfilled_and_in_the_ledger_in_base_units() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = okx(|config| (config.rate, config.ledger) = (3_000, Some(ledger.clone()))).await;
    let mut socket = simulator.connect("/ws/v5/public").await;
    let swaps = ["BTC-USDT-SWAP", "BTC-USD-SWAP"];
    subscribe(&mut socket, &swaps.map(|id| arg("trades", id))).await;
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let (mut sent, mut merged) = (BTreeMap::new(), 0);
    for _ in 0..500 {
        let frame = socket.next().await.unwrap();
        let row = &frame["data"][0];
        let (id, count) = (number(&row["tradeId"]), number(&row["count"]));
        let name = row["instId"].as_str().unwrap().to_owned();
        if let Some(last) = last.insert(name.clone(), id) {
            assert_eq!(id - count, last, "ids are consecutive over matches");
        }
        merged += u32::from(count > 1);
        sent.insert((name, id), row.clone());
    }
    assert!(merged > 0);
    let after = last["BTC-USDT-SWAP"] + 1;
    let rows = simulator
        .json(&format!("/api/v5/market/history-trades?instId=BTC-USDT-SWAP&type=1&after={after}&limit=5"))
        .await;
    let ids: Vec<u64> = rows["data"].as_array().unwrap().iter().map(|row| number(&row["tradeId"])).collect();
    assert_eq!(ids, (after - 5..after).rev().collect::<Vec<_>>());
    drop(socket);
    simulator.stop().await;
    let mut compared = 0;
    for line in read(&ledger) {
        let key = (line["instrument_id"].as_str().unwrap().to_owned(), number(&line["trade_id"]));
        let Some(row) = sent.get(&key) else { continue };
        compared += 1;
        assert_eq!((&line["exchange"], &line["market_type"]), (&json!("okx"), &json!("perpetual")));
        assert_eq!(
            (&line["price"], &line["contracts"], &line["side"]),
            (&row["px"], &row["sz"], &row["side"])
        );
        // 0.01 BTC a contract, or 100 USD.
        let (price, contracts) = (float(&row["px"]), float(&row["sz"]));
        let base = if key.0 == "BTC-USDT-SWAP" { contracts / 100.0 } else { contracts * 100.0 / price };
        assert!((float(&line["quantity"]) / base - 1.0).abs() < 1e-9, "{line} {row}");
    }
    assert_eq!(compared, 500);
}

#[tokio::test]
async fn contracts_are_told_about_and_the_ledger_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = okx(|config| config.ledger = Some(ledger.clone())).await;
    let mut socket = simulator.connect("/ws/v5/public").await;
    let swap = "BTC-USDT-SWAP";
    let mut args = vec![json!({ "channel": "liquidation-orders", "instType": "SWAP" })];
    args.extend(["funding-rate", "open-interest", "mark-price", "tickers"].map(|channel| arg(channel, swap)));
    let mut frames = subscribe(&mut socket, &args).await;
    let (mut several, mut net) = (false, false);
    while frames.len() < 300 || !several || !net {
        let frame = socket.next().await.unwrap();
        let details = frame["data"][0]["details"].as_array();
        several |= details.is_some_and(|details| details.len() > 1);
        net |= details.is_some_and(|details| details.iter().any(|order| order["posSide"] == ""));
        frames.push(frame);
    }
    let all = simulator.json("/api/v5/public/funding-rate?instId=ANY").await;
    assert_eq!(all["data"].as_array().unwrap().len(), 3, "two swaps and the inverse one");
    assert!(all["data"][0]["nextFundingRate"] == "" && all["data"][0]["fundingRate"].is_string());
    let one = simulator.json(&format!("/api/v5/public/open-interest?instType=SWAP&instId={swap}")).await;
    assert!(one["data"][0]["oiUsd"].is_string());
    drop(socket);
    simulator.stop().await;
    let lines = read(&ledger);
    let with = |data_type: &str, field: &str, value: &Value| {
        lines.iter().any(|line| line["data_type"] == data_type && line[field] == *value)
    };
    for row in frames.iter().map(|frame| &frame["data"][0]) {
        if row["fundingRate"].is_string() {
            assert!(with("funding_rate", "ts_event_us", &json!(number(&row["ts"]) * 1000)), "{row}");
            assert!(with("funding_rate", "funding_rate", &row["fundingRate"]), "{row}");
        } else if row["oi"].is_string() {
            assert!(with("open_interest", "open_interest_base", &row["oiCcy"]), "{row}");
            assert!(with("open_interest", "open_interest_value", &row["oiUsd"]), "{row}");
        } else if let Some(details) = row["details"].as_array() {
            assert!(details.iter().all(|order| with("liquidation", "contracts", &order["sz"])), "{row}");
        }
    }
    assert!(!with("liquidation", "market_type", &json!("futures")), "only SWAP was subscribed");
}

#[tokio::test]
async fn lists_ratios_and_errors_over_rest() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = okx(|config| config.ledger = Some(ledger.clone())).await;
    let rows = |body: Value| body["data"].as_array().unwrap().clone();
    let swaps = rows(simulator.json("/api/v5/public/instruments?instType=SWAP").await);
    let inverse = swaps.iter().find(|row| row["instId"] == "BTC-USD-SWAP").unwrap();
    assert_eq!(
        [&inverse["ctType"], &inverse["ctVal"], &inverse["ctValCcy"], &inverse["settleCcy"]],
        ["inverse", "100", "USD", "BTC"]
    );
    assert!(swaps.iter().any(|row| row["state"] == "preopen" && row["tickSz"] == ""));
    let futures = rows(simulator.json("/api/v5/public/instruments?instType=FUTURES").await);
    assert_eq!(futures[0]["expTime"], "1798185600000");
    let path = "/api/v5/rubik/stat/contracts/long-short-position-ratio-contract-top-trader";
    let top = rows(simulator.json(&format!("{path}?instId=BTC-USDT-SWAP&period=5m&limit=3")).await);
    assert_eq!(number(&top[0][0]), number(&top[1][0]) + 300_000, "newest first");
    let path = "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract";
    let all = rows(simulator.json(&format!("{path}?instId=BTC-USDT-SWAP")).await);
    assert_eq!(all.len(), 100);
    for (path, status, code) in [
        ("/api/v5/market/books?instId=NOPE", 200, "51001"),
        ("/api/v5/market/books", 400, "50014"),
        ("/api/v5/public/instruments?instType=MARGIN", 400, "51000"),
        ("/api/v5/market/history-trades?instId=BTC-USDT&after=x", 400, "51000"),
    ] {
        let answer = simulator.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{path}");
    }
    assert_eq!(simulator.get("/api/v5/nope").await.status(), 404);
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(simulator.get("/api/v5/public/time").await.status().as_u16());
    }
    assert!(answers.starts_with(&[200]) && answers.contains(&429), "{answers:?}");
    simulator.stop().await;
    let lines = read(&ledger);
    let of = |data_type: &str| lines.iter().filter(|line| line["data_type"] == data_type).collect::<Vec<_>>();
    assert_eq!((of("lsr_top_position").len(), of("lsr_all_account").len()), (3, 100));
    let newest = of("lsr_top_position")[2];
    assert_eq!((&newest["long_short_ratio"], &newest["source"]), (&top[0][1], &json!("rest")));
}

/// A book kept as a client keeps it: an update that does not follow its predecessor fails the test.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) bids: BTreeMap<String, String>,
    pub(crate) asks: BTreeMap<String, String>,
    pub(crate) last: Option<u64>,
    pub(crate) updates: u32,
    /// Times that the best ask was found to be what the exchange said it was.
    checked: u32,
}

impl Book {
    pub(crate) fn apply(&mut self, frame: &Value) {
        let data = &frame["data"][0];
        match frame["action"].as_str() {
            Some("snapshot") => {
                assert_eq!(data["prevSeqId"], -1);
                (self.bids, self.asks) = (levels(&data["bids"]), levels(&data["asks"]));
            }
            Some(_) => {
                assert_eq!(data["prevSeqId"].as_u64(), self.last, "the chain is broken");
                assert_eq!(data["checksum"], 0);
                change(&mut self.bids, &data["bids"]);
                change(&mut self.asks, &data["asks"]);
                self.updates += 1;
            }
            None => {
                if frame["arg"]["channel"] == "bbo-tbt" && data["seqId"].as_u64() == self.last {
                    let price = data["asks"][0][0].as_str().unwrap();
                    assert_eq!(self.asks.get(price).map(String::as_str), data["asks"][0][1].as_str());
                    self.checked += 1;
                }
                return;
            }
        }
        self.last = data["seqId"].as_u64();
        assert!(self.bids.len() <= 400 && self.asks.len() <= 400);
    }
}

fn levels(side: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    side.as_array().unwrap().iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
}

fn change(book: &mut BTreeMap<String, String>, changes: &Value) {
    for (price, size) in levels(changes) {
        if size == "0" {
            book.remove(&price);
        } else {
            book.insert(price, size);
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn float(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}
