//! REST bodies and instrument lists of real exchanges, made by others, through the decoders that read them live.

use std::path::Path;
use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType, Message, Timestamp};
use marketprism_exchanges::registry::{self, BookMode, SessionConfig, SessionOptions};
use marketprism_exchanges::{Effects, Link, Lost, Note, Request, Session};
use serde_json::Value;

use crate::captures::captures;

/// What a session asks for and publishes.
#[derive(Default)]
struct World {
    requests: Vec<Request>,
    messages: Vec<Value>,
}

impl Effects for World {
    fn emit(&mut self, message: Message<'_>) {
        let mut payload = Vec::new();
        message.encode(&mut payload).unwrap();
        self.messages.push(serde_json::from_slice(&payload).unwrap());
    }
    fn send(&mut self, _: Link, _: String) {}
    fn fetch(&mut self, request: Request) {
        self.requests.push(request);
    }
    fn reconnect(&mut self, _: Link, reason: Lost) {
        panic!("{reason}");
    }
    fn note(&mut self, _: Note<'_>) {}
}

/// A session of one instrument that takes this data type by REST, and its world.
fn session(integration: &str, id: &str, data_type: DataType, mode: BookMode) -> (Box<dyn Session>, World) {
    let integration = registry::find(integration).unwrap();
    let market_type = integration.market_types[0];
    let (base, quote) = id.split_at(id.len() - 4);
    let config = SessionConfig {
        instruments: vec![Instrument::pair(integration.exchange, market_type, base, quote, id).unwrap()],
        data_types: vec![data_type],
        options: SessionOptions {
            trade_stream: None,
            book_depth: 10_000,
            book_depth_max: 10_000,
            book_publish_interval: Duration::from_secs(1),
            snapshot_levels: 1_000,
            book_mode: mode,
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        },
        seeds: Vec::new(),
    };
    ((integration.open)(config), World::default())
}

/// What is published when the session's first request for `route` is answered so.
fn published(integration: &str, id: &str, data_type: DataType, route: &str, body: &Value) -> Vec<Value> {
    let (mut session, mut world) = session(integration, id, data_type, BookMode::Snapshot);
    let mut now = Timestamp::from_micros(1_760_000_000_000_000).unwrap();
    // Polls are spread over an interval of minutes.
    for _ in 0..6_000 {
        now = now.saturating_add_micros(100_000);
        session.tick(now, &mut world);
        for request in std::mem::take(&mut world.requests) {
            let is_it = request.path.split('?').next() == Some(route);
            let answer = if is_it { body.to_string() } else { "[]".to_owned() };
            let outcome = session.fetched(request.id, Ok(answer.as_bytes()), now, &mut world);
            if is_it {
                outcome.unwrap();
                return world.messages;
            }
        }
    }
    panic!("{integration} never asked for {route}");
}

/// The bodies of one route.
fn bodies(folder: &Path, route: &str) -> Vec<Value> {
    let path = folder.join("thrasher-corp__gocryptotrader/binance_http_public_routes.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let recorded = all["routes"][route]["GET"].as_array().unwrap().iter();
    recorded.map(|one| one["data"].clone()).collect()
}

#[test]
fn books_open_interest_and_ratios_are_read() {
    let Some(folder) = captures() else { return };
    let polled = [
        ("binance_spot", DataType::OrderBook, "/api/v3/depth"),
        ("binance_usdm", DataType::OrderBook, "/fapi/v1/depth"),
        ("binance_usdm", DataType::OpenInterest, "/fapi/v1/openInterest"),
        ("binance_usdm", DataType::LsrTopPosition, "/futures/data/topLongShortPositionRatio"),
        ("binance_usdm", DataType::LsrAllAccount, "/futures/data/globalLongShortAccountRatio"),
    ];
    for (integration, data_type, route) in polled {
        let mut read = 0;
        // Some recorded answers are refusals, and some ask about other symbols.
        let of_btc = |body: &Value| match body {
            Value::Array(rows) => rows.first().is_some_and(|row| row["symbol"] == "BTCUSDT"),
            body => body.get("code").is_none(),
        };
        for body in bodies(&folder, route).iter().filter(|body| of_btc(body)) {
            let messages = published(integration, "BTCUSDT", data_type, route, body);
            let message = &messages[0];
            assert_eq!(message["data_type"], data_type.as_str(), "{route}");
            match data_type {
                DataType::OrderBook => {
                    assert_eq!(
                        (&message["bids"], &message["asks"]),
                        (&body["bids"], &body["asks"]),
                        "{route}"
                    );
                    assert_eq!(message["last_update_id"], body["lastUpdateId"]);
                }
                DataType::OpenInterest => {
                    assert_eq!(message["open_interest_base"], body["openInterest"]);
                    assert_eq!(
                        message["ts_event_us"].as_u64(),
                        body["time"].as_u64().map(|time| time * 1_000)
                    );
                }
                _ => {
                    let rows = body.as_array().unwrap();
                    let row = |message: &Value| {
                        let event = message["ts_event_us"].as_u64().unwrap() / 1_000;
                        rows.iter().find(|row| row["timestamp"].as_u64() == Some(event)).unwrap()
                    };
                    for message in &messages {
                        assert_eq!(message["long_short_ratio"], row(message)["longShortRatio"]);
                        assert_eq!(message["long_ratio"], row(message)["longAccount"]);
                    }
                }
            }
            read += 1;
        }
        println!("{route}: {read} bodies read");
        assert!(read > 0, "{route}");
    }
}

/// Names, and contracts where contracts trade, are there for whatever trades.
#[test]
fn instrument_lists_are_read() {
    let Some(folder) = captures() else { return };
    let lists = |integration: &str, body: &Value| {
        (registry::find(integration).unwrap().instruments)(body.to_string().as_bytes()).unwrap()
    };
    for (integration, route) in
        [("binance_spot", "/api/v3/exchangeInfo"), ("binance_usdm", "/fapi/v1/exchangeInfo")]
    {
        for body in bodies(&folder, route) {
            let trading = body["symbols"].as_array().unwrap().iter().filter(|one| one["status"] == "TRADING");
            let known = |one: &&Value| {
                let kind = one["contractType"].as_str().unwrap_or("PERPETUAL");
                [
                    "PERPETUAL",
                    "TRADIFI_PERPETUAL",
                    "CURRENT_QUARTER",
                    "NEXT_QUARTER",
                    "CURRENT_MONTH",
                    "NEXT_MONTH",
                ]
                .contains(&kind)
            };
            let wanted = trading.filter(known).count();
            let found = lists(integration, &body);
            println!("{route}: {} of {wanted}", found.len());
            assert_eq!(found.len(), wanted, "{route}");
        }
    }
    let crawled = folder.join("crypto-crawler__crypto-market-raw-data");
    let read = |file: &str| -> Value {
        serde_json::from_slice(&std::fs::read(crawled.join(file)).unwrap()).unwrap()
    };
    let okx = |file: &str| serde_json::json!({"code": "0", "msg": "", "data": read(file)});
    let spot = lists("okx_spot", &okx("okx.SPOT.2025-05-07.json"));
    let swap = lists("okx_swap", &okx("okx.SWAP.2025-05-07.json"));
    let deribit = lists(
        "deribit",
        &serde_json::json!({"jsonrpc": "2.0", "result": read("deribit.future.2025-04-25.json")}),
    );
    let linear =
        lists("binance_usdm", &serde_json::json!({"symbols": read("binance.linear.2022-12-05.json")}));
    println!("{} spot, {} swap, {} deribit, {} linear", spot.len(), swap.len(), deribit.len(), linear.len());
    // One of the 776 did not trade yet.
    assert_eq!((spot.len(), swap.len(), deribit.len()), (775, 281, 16));
    assert!(linear.len() > 180, "{}", linear.len());
    assert!(swap.iter().chain(&deribit).all(|instrument| instrument.contract.is_some()));
    let named = |list: &[Instrument], id: &str| {
        let found = list.iter().find(|instrument| instrument.instrument_id == id).unwrap();
        (found.market_type, found.symbol.clone())
    };
    assert_eq!(named(&swap, "BTC-USD-SWAP"), (MarketType::Perpetual, "BTC-USD".to_owned()));
    assert_eq!(named(&deribit, "BTC-PERPETUAL"), (MarketType::Perpetual, "BTC-USD".to_owned()));
    assert_eq!(named(&linear, "BTCUSDT"), (MarketType::Perpetual, "BTC-USDT".to_owned()));
}
