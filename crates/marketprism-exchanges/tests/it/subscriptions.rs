//! The connection: subscribing, acknowledgements, silence, announced shutdown, frames nobody can use.

use marketprism_core::{DataType, MarketType};
use marketprism_exchanges::registry::{self, SessionConfig, SessionOptions};
use marketprism_exchanges::{Lost, StreamState};
use serde_json::{Value, json};

use crate::driver::{BOTH, Driver, options, pair};

fn params(call: &str) -> (String, Vec<String>, u64) {
    let call: Value = serde_json::from_str(call).unwrap();
    let params = call["params"]
        .as_array()
        .map(|params| params.iter().map(|stream| stream.as_str().unwrap().to_owned()).collect());
    (call["method"].as_str().unwrap().to_owned(), params.unwrap_or_default(), call["id"].as_u64().unwrap())
}

#[test]
fn streams_are_asked_for_and_acknowledged() {
    let mut driver = Driver::open("binance_spot", options());
    let (method, streams, id) = params(&driver.recorded.sent[0]);
    assert_eq!(method, "SUBSCRIBE");
    assert_eq!(streams, ["btcusdt@depth@100ms", "btcusdt@trade", "ethusdt@depth@100ms", "ethusdt@trade"]);
    driver.frame(&json!({"result": null, "id": id}).to_string()).unwrap();
    assert_eq!(driver.recorded.notes, ["Subscribed { streams: 4 }"]);
    driver.pass(9_000);
    assert_eq!(driver.recorded.sent.len(), 1);
    assert_eq!(driver.state("BTC-USDT", DataType::Trade), StreamState::Waiting);
}

#[test]
fn usdm_routes_streams_to_their_paths() {
    let usdm = registry::find("binance_usdm").unwrap();
    let routed = |trade_stream: Option<&str>| {
        let options = SessionOptions { trade_stream: trade_stream.map(str::to_owned), ..options() };
        let paths = (usdm.paths)(BOTH, &options);
        paths.into_iter().map(|path| (path.path, path.data_types)).collect::<Vec<_>>()
    };
    let split = vec![
        (Some("/public/stream"), vec![DataType::OrderBook]),
        (Some("/market/stream"), vec![DataType::Trade]),
    ];
    assert_eq!(routed(None), split);
    assert_eq!(routed(Some("aggTrade")), split);
    assert_eq!(routed(Some("trade")), [(Some("/public/stream"), BOTH.to_vec())]);
}

#[test]
fn many_streams_are_paced_and_cut_into_frames() {
    let instruments = (0..500).map(|at| pair(MarketType::Spot, &format!("C{at}"), "USDT")).collect();
    let config =
        SessionConfig { instruments, data_types: BOTH.to_vec(), options: options(), seeds: Vec::new() };
    let mut driver = Driver::new("binance_spot", config);
    driver.opened();
    assert_eq!(driver.recorded.sent.len(), 1);
    driver.pass(1_000);
    assert!(driver.recorded.sent.len() <= 4, "at most three a second after the first");
    driver.pass(2_000);
    let calls: Vec<_> = driver.recorded.sent.iter().map(|call| params(call)).collect();
    assert_eq!(calls.iter().map(|(_, streams, _)| streams.len()).collect::<Vec<_>>(), [200; 5]);
    assert!(calls.windows(2).all(|pair| pair[0].2 < pair[1].2));
}

#[test]
fn a_refused_subscription_is_retried_and_then_reported() {
    for refusal in [
        json!({"code": 2, "msg": "Invalid request: no such stream"}),
        json!({"error": {"code": 2, "msg": "Invalid request: no such stream"}}),
    ] {
        let mut driver = Driver::open("binance_spot", options());
        for attempt in 1..=3 {
            driver.pass(500);
            assert_eq!(driver.recorded.sent.len(), attempt);
            let mut answer = refusal.clone();
            if answer["error"].is_object() {
                answer["id"] = json!(attempt);
            }
            let rejected = driver.frame(&answer.to_string()).unwrap_err();
            assert!(rejected.detail.contains("no such stream"), "{rejected}");
        }
        driver.pass(500);
        assert!(
            matches!(&driver.recorded.reconnects[..], [Lost::Refused(why)] if why.contains("no such stream"))
        );
    }
}

#[test]
fn an_acknowledgement_that_never_comes_is_asked_for_again() {
    let mut driver = Driver::open("binance_spot", options());
    let event = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000000,"s":"BTCUSDT","U":1,"u":1,"b":[],"a":[]}}"#;
    for _ in 0..5 {
        driver.pass(8_000);
        driver.frame(event).unwrap();
    }
    // This stream is not among the silent ones that are asked for again on their own.
    let asked = driver.recorded.sent.iter().filter(|call| call.contains("btcusdt@depth")).count();
    assert_eq!(asked, 3);
    assert!(
        matches!(&driver.recorded.reconnects[..], [Lost::Refused(why)] if why.contains("no acknowledgement"))
    );
}

/// Acknowledges everything asked for, as an exchange does even for streams it never serves.
fn acknowledge(driver: &mut Driver, from: usize) {
    for at in from..driver.recorded.sent.len() {
        let (_, _, id) = params(&driver.recorded.sent[at]);
        driver.frame(&json!({"result": null, "id": id}).to_string()).unwrap();
    }
}

#[test]
fn a_stream_that_stays_silent_is_asked_for_again_and_then_the_connection_is_replaced() {
    let mut driver = Driver::open("binance_spot", options());
    let mut answered = 0;
    let mut asked_again_at = None;
    let mut lost_at = None;
    for second in 0..120 {
        acknowledge(&mut driver, answered);
        answered = driver.recorded.sent.len();
        // Trades flow, depth never comes.
        for symbol in ["btcusdt", "ethusdt"] {
            let event = format!(
                r#"{{"stream":"{symbol}@trade","data":{{"s":"{}","t":{},"p":"1","q":"1","T":1700000000000,"m":true}}}}"#,
                symbol.to_uppercase(),
                second + 1
            );
            driver.frame(&event).unwrap();
        }
        driver.pass(1_000);
        if driver.recorded.sent.len() > 1 {
            asked_again_at.get_or_insert(second);
        }
        if !driver.recorded.reconnects.is_empty() {
            lost_at.get_or_insert(second);
        }
    }
    assert_eq!(driver.state("BTC-USDT", DataType::OrderBook), StreamState::Stale);
    assert_eq!(driver.state("BTC-USDT", DataType::Trade), StreamState::Live);
    assert_eq!((asked_again_at, lost_at), (Some(29), Some(89)));
    assert_eq!(params(&driver.recorded.sent[1]).1, ["btcusdt@depth@100ms", "ethusdt@depth@100ms"]);
    assert_eq!(driver.recorded.reconnects, [Lost::Stale("btcusdt@depth@100ms".into())], "once is enough");
}

#[test]
fn a_silent_connection_is_probed_and_replaced() {
    let mut driver = Driver::open("binance_spot", options());
    acknowledge(&mut driver, 0);
    driver.pass(9_900);
    assert_eq!(driver.recorded.sent.len(), 1);
    driver.pass(200);
    assert_eq!(params(&driver.recorded.sent[1]).0, "LIST_SUBSCRIPTIONS");
    // A quiet market answers: nothing happens.
    driver.frame(r#"{"result":["btcusdt@trade"],"id":2}"#).unwrap();
    driver.pass(9_000);
    assert!(driver.recorded.reconnects.is_empty());
    // A dead connection does not.
    driver.pass(11_500);
    assert_eq!(driver.recorded.reconnects, [Lost::Silence]);
    driver.pass(5_000);
    assert_eq!(driver.recorded.reconnects.len(), 1, "once is enough");
    driver.closed();
    assert_eq!(driver.state("BTC-USDT", DataType::Trade), StreamState::Disconnected);
    driver.opened();
    driver.pass(1_000);
    assert_eq!(driver.recorded.reconnects.len(), 1);
}

#[test]
fn an_announced_shutdown_asks_for_a_successor() {
    for frame in [
        r#"{"e":"serverShutdown","E":1770123456789}"#,
        r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
        r#"{ "stream": "!serverShutdown", "data": {"e":"serverShutdown","E":1770123456789} }"#,
    ] {
        let mut driver = Driver::open("binance_spot", options());
        driver.frame(frame).unwrap();
        driver.frame(frame).unwrap();
        assert_eq!(driver.recorded.reconnects, [Lost::Announced]);
    }
}

#[test]
fn an_envelope_written_otherwise_is_read_too() {
    let mut driver = Driver::open("binance_spot", options());
    let event = r#"{ "data" : {"s":"BTCUSDT","t":7,"p":"1","q":"1","T":1700000000000,"m":true}, "stream" : "btcusdt@tr\u0061de" }"#;
    driver.frame(event).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [7]);
}

#[test]
fn symbols_need_not_be_ascii() {
    let instruments = vec![pair(MarketType::Spot, "币安人生", "USDT")];
    let config =
        SessionConfig { instruments, data_types: BOTH.to_vec(), options: options(), seeds: Vec::new() };
    let mut driver = Driver::new("binance_spot", config);
    driver.opened();
    assert!(driver.recorded.sent[0].contains("币安人生usdt@trade"));
    for id in [7, 9] {
        let event = format!(
            r#"{{"stream":"币安人生usdt@trade","data":{{"s":"币安人生USDT","t":{id},"p":"1","q":"1","T":1700000000000,"m":true}}}}"#
        );
        driver.frame(&event).unwrap();
    }
    assert_eq!(driver.recorded.trade_ids(), [7, 9]);
    let path = driver.request().path;
    assert!(path.contains("symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&"), "{path}");
}

#[test]
fn an_unusable_frame_says_why() {
    let cases = [
        ("hello", "not_json", "expected value"),
        ("", "not_json", "EOF"),
        (r#"{"stream":"btcusdt@trade","data":{"s":"BTC"#, "not_json", "EOF"),
        (r#"{"stream":"xrpusdt@trade","data":{}}"#, "unknown_symbol", "xrpusdt@trade"),
        (r#"{"stream":"btcusdt@kline_1m","data":{}}"#, "unknown_event", "btcusdt@kline_1m"),
        (r#"{"stream":"btcusdt@aggTrade","data":{}}"#, "unknown_event", "btcusdt@aggTrade"),
        (r#"{"e":"somethingNew","E":1}"#, "unknown_event", "somethingNew"),
        (r#"[1,2]"#, "not_json", "[1,2]"),
        (r#"{"stream":"btcusdt@trade","data":{"s":"BTCUSDT"}}"#, "invalid_field", "missing field"),
    ];
    for (frame, reason, detail) in cases {
        let mut driver = Driver::open("binance_spot", options());
        let rejected = driver.frame(frame).unwrap_err();
        assert!(rejected.detail.contains(detail), "{frame}: {rejected}");
        if frame != "[1,2]" {
            assert_eq!(rejected.reason, reason, "{frame}: {rejected}");
        }
        assert!(driver.recorded.messages.is_empty() && driver.recorded.reconnects.is_empty());
    }
    let mut driver = Driver::open("binance_spot", options());
    assert_eq!(driver.binary(b"\x00\x01").unwrap_err().reason, "unexpected");
}

#[test]
fn snapshots_wait_for_a_free_place() {
    let instruments: Vec<_> = (0..100).map(|at| pair(MarketType::Spot, &format!("C{at}"), "USDT")).collect();
    let config =
        SessionConfig { instruments, data_types: BOTH.to_vec(), options: options(), seeds: Vec::new() };
    let mut driver = Driver::new("binance_spot", config);
    driver.opened();
    for at in 0..100 {
        let event = format!(
            r#"{{"stream":"c{at}usdt@depth@100ms","data":{{"E":1700000000000,"s":"C{at}USDT","U":1,"u":5,"b":[],"a":[]}}}}"#
        );
        driver.frame(&event).unwrap();
    }
    driver.tick();
    assert_eq!(driver.recorded.requests.len(), 8, "open at once");
    let mut weight = 0;
    for _ in 0..100 {
        for request in driver.take_requests() {
            weight += request.weight;
            driver.fetched(request.id, Ok(br#"{"lastUpdateId":5,"bids":[],"asks":[]}"#)).unwrap();
        }
        driver.frame(r#"{"result":null,"id":1}"#).unwrap();
        driver.pass(100);
    }
    assert_eq!(weight, 100 * 50, "every book got its snapshot");
}
