//! Deribit's socket: what is asked for, what is answered, heartbeats, silence, maintenance, instruments that come and go.

use marketprism_core::DataType;
use marketprism_exchanges::{Lost, StreamState};
use serde_json::{Value, json};

use crate::deribit::{
    ALL, BTC, ETH, INDEX, OPTION, OTHER, answer, change, config, event, feed, instruments, open, settle,
    snapshot, time, trades,
};
use crate::driver::{Driver, LINK, options};

/// What was sent, taken: method, id, parameters.
fn sent(driver: &mut Driver) -> Vec<(String, Value, Value)> {
    driver.recorded.sent_on.clear();
    let calls = std::mem::take(&mut driver.recorded.sent);
    let read = |text: String| {
        let call: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(call["jsonrpc"], "2.0");
        (call["method"].as_str().unwrap().to_owned(), call["id"].clone(), call["params"].clone())
    };
    calls.into_iter().map(read).collect()
}

fn unopened() -> Driver {
    let mut driver = Driver::new("deribit", config(ALL, options(), Vec::new()));
    driver.opened();
    driver
}

fn platform_state(data: &Value) -> String {
    event("platform_state", &data.to_string())
}

#[test]
fn opening_asks_for_heartbeats_and_channels() {
    let mut driver = unopened();
    let calls = sent(&mut driver);
    assert_eq!((calls[0].0.as_str(), &calls[0].2), ("public/set_heartbeat", &json!({"interval": 15})));
    assert_eq!((calls[1].0.as_str(), calls.len()), ("public/subscribe", 2));
    let channels = calls[1].2["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 11);
    let mut back: Vec<_> = channels.clone();
    back.reverse();
    feed(&mut driver, &answer(&calls[1].1, &Value::from(back)));
    assert_eq!(driver.recorded.notes, ["Subscribed { streams: 11 }"]);
}

#[test]
fn many_channels_take_several_calls_at_the_exchanges_pace() {
    let mut config = config(&[DataType::Trade, DataType::OrderBook], options(), Vec::new());
    let model = config.instruments.remove(0);
    config.instruments = (0..600)
        .map(|at| marketprism_core::Instrument {
            instrument_id: format!("I{at}"),
            symbol: format!("I{at}-USD"),
            ..model.clone()
        })
        .collect();
    let mut driver = Driver::new("deribit", config);
    driver.opened();
    let mut times = Vec::new();
    for _ in 0..40 {
        for (method, id, params) in sent(&mut driver) {
            if method == "public/subscribe" {
                times.push((driver.now, params["channels"].as_array().unwrap().len()));
                feed(&mut driver, &answer(&id, &params["channels"]));
            }
        }
        driver.pass(100);
    }
    assert_eq!(times.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [500, 500, 201]);
    assert!(times.windows(2).all(|pair| pair[1].0.micros_since(pair[0].0) >= 300_000), "{times:?}");
}

#[test]
fn a_channel_left_out_of_the_answer_is_named() {
    let mut driver = unopened();
    let calls = sent(&mut driver);
    let known: Vec<_> = calls[1].2["channels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|name| !name.as_str().unwrap().contains(OPTION))
        .cloned()
        .collect();
    let rejected = driver.frame(&answer(&calls[1].1, &json!(known))).unwrap_err();
    assert_eq!(rejected.reason, "unknown_symbol");
    assert_eq!(
        rejected.detail,
        "3 not subscribed: book.BTC-25DEC26-70000-C.100ms, ticker.BTC-25DEC26-70000-C.100ms, trades.BTC-25DEC26-70000-C.100ms"
    );
    assert_eq!(driver.recorded.notes, ["Subscribed { streams: 8 }"]);
    assert_eq!(driver.state("BTC-USD-20261225-70000-C", DataType::Trade), StreamState::Waiting);
    // Asked for again and again, but no other socket would know it either.
    for _ in 0..600 {
        driver.pass(1_000);
        keep_alive(&mut driver);
        for (method, id, params) in sent(&mut driver) {
            let channels = params["channels"].as_array().cloned().unwrap_or_default();
            let known: Vec<_> =
                channels.into_iter().filter(|name| !name.as_str().unwrap().contains(OPTION)).collect();
            let _rejected =
                driver.frame(&answer(&id, &if method == "public/test" { json!({}) } else { json!(known) }));
        }
    }
    assert!(driver.recorded.reconnects.is_empty(), "{:?}", driver.recorded.reconnects);
    assert_eq!(driver.state("BTC-USD-20261225-70000-C", DataType::OrderBook), StreamState::Stale);
    assert_eq!(driver.state("BTC-USD", DataType::OrderBook), StreamState::Live);
}

/// Something on every channel that is not the option's.
fn keep_alive(driver: &mut Driver) {
    let millis = u64::try_from(driver.now.micros_since(time(0)) / 1_000).unwrap();
    for id in [BTC, ETH] {
        if driver.recorded.books().iter().all(|book| book.instrument_id != id) {
            feed(driver, &snapshot(id, millis, ("99", "10"), ("101", "10")));
        } else {
            let last = driver
                .recorded
                .books()
                .iter()
                .filter(|book| book.instrument_id == id)
                .map(|book| book.last_update_id)
                .max()
                .unwrap();
            feed(driver, &change(id, last, millis.max(last + 1), "", ""));
        }
        let ticker = format!(
            r#"{{"timestamp":{},"instrument_name":"{id}","open_interest":{millis}.0,"mark_price":100.0,"index_price":100.0,"current_funding":0.0}}"#,
            crate::deribit::at(millis)
        );
        feed(driver, &event(&format!("ticker.{id}.100ms"), &ticker));
    }
    let index =
        format!(r#"{{"volatility":35.9,"timestamp":{},"index_name":"{INDEX}"}}"#, crate::deribit::at(millis));
    feed(driver, &event(&format!("deribit_volatility_index.{INDEX}"), &index));
}

#[test]
fn an_empty_acknowledgement_names_what_is_missing() {
    let mut driver = unopened();
    let calls = sent(&mut driver);
    let rejected = driver.frame(&answer(&calls[1].1, &json!([]))).unwrap_err();
    assert!(rejected.detail.starts_with("11 not subscribed: book."), "{rejected}");
}

#[test]
fn a_call_without_an_answer_is_repeated_then_the_socket_is_replaced() {
    let mut driver = unopened();
    let mut calls = 0;
    for _ in 0..80 {
        driver.pass(1_000);
        feed(&mut driver, r#"{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}"#);
        calls += sent(&mut driver).iter().filter(|(method, ..)| method != "public/set_heartbeat").count();
    }
    assert_eq!(calls, 3);
    assert!(
        matches!(&driver.recorded.reconnects[..], [Lost::Refused(why)] if why.contains("no answer")),
        "{:?}",
        driver.recorded.reconnects
    );
}

#[test]
fn refusals_end_the_session_or_are_tried_again() {
    let refuse = |code: i64, driver: &mut Driver| {
        let calls = sent(driver);
        let error = json!({"jsonrpc": "2.0", "id": calls.last().unwrap().1, "error": {"code": code, "message": "too_many_requests", "data": null}});
        driver.frame(&error.to_string()).unwrap_err()
    };
    let mut driver = unopened();
    assert_eq!(
        refuse(11_052, &mut driver).to_string(),
        "unexpected: call refused, code 11052: too_many_requests"
    );
    driver.pass(1_900);
    assert!(sent(&mut driver).is_empty());
    driver.pass(200);
    assert_eq!(sent(&mut driver)[0].0, "public/subscribe");
    assert!(driver.recorded.reconnects.is_empty());

    let mut driver = unopened();
    refuse(10_028, &mut driver);
    driver.pass(20_000);
    assert!(sent(&mut driver).is_empty(), "nothing more is said to who has heard too much");
    assert_eq!(driver.recorded.reconnects, [Lost::Refused("code 10028: too_many_requests".into())]);

    let mut driver = unopened();
    let without_id = r#"{"jsonrpc":"2.0","error":{"code":11050,"data":"invalid json","message":"bad_request"},"usIn":1,"testnet":false}"#;
    driver.frame(without_id).unwrap_err();
    assert!(driver.recorded.reconnects.is_empty());
}

#[test]
fn a_test_request_is_answered_at_once() {
    let mut driver = open(ALL);
    feed(&mut driver, r#"{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}"#);
    let calls = sent(&mut driver);
    assert_eq!((calls.len(), calls[0].0.as_str(), &calls[0].2), (1, "public/test", &json!({})));
    feed(&mut driver, &answer(&calls[0].1, &json!({"version": "1.2.26"})));
}

#[test]
fn silence_is_what_heartbeats_do_not_break() {
    let mut driver = open(ALL);
    for _ in 0..5 {
        driver.pass(15_000);
        feed(&mut driver, r#"{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}"#);
        settle(&mut driver);
    }
    assert!(!driver.recorded.reconnects.contains(&Lost::Silence));
    driver.recorded.reconnects.clear();
    let mut silent = open(ALL);
    silent.pass(24_000);
    assert!(silent.recorded.reconnects.is_empty());
    silent.pass(60_000);
    assert_eq!(silent.recorded.reconnects, [Lost::Silence], "said once");
}

#[test]
fn maintenance_is_announced_and_locks_are_not() {
    let mut driver = open(ALL);
    driver.opened_on(OTHER);
    settle(&mut driver);
    feed(
        &mut driver,
        &platform_state(&json!({"locked": true, "price_index": "sol_usdc", "reasons": ["index"]})),
    );
    assert!(driver.recorded.reconnects.is_empty());
    driver.frame_on(OTHER, &platform_state(&json!({"maintenance": true}))).unwrap();
    assert_eq!(
        (driver.recorded.reconnects.clone(), driver.recorded.reconnected.clone()),
        (vec![Lost::Announced], vec![OTHER])
    );
}

#[test]
fn a_quiet_stream_is_subscribed_again_and_only_one_that_must_speak_replaces_the_socket() {
    let mut driver = open(ALL);
    for _ in 0..40 {
        driver.pass(1_000);
        feed(&mut driver, r#"{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}"#);
    }
    let again = settle(&mut driver);
    let channels: Vec<_> = again
        .iter()
        .filter(|(_, method, _)| method == "public/subscribe")
        .flat_map(|(.., channels)| channels)
        .collect();
    assert!(
        channels.contains(&&format!("trades.{BTC}.100ms"))
            && channels.contains(&&format!("ticker.{ETH}.100ms")),
        "{channels:?}"
    );
    assert!(driver.recorded.reconnects.is_empty());
    for _ in 0..60 {
        driver.pass(1_000);
        feed(&mut driver, r#"{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}"#);
        settle(&mut driver);
    }
    assert!(matches!(&driver.recorded.reconnects[..], [Lost::Stale(_)]), "{:?}", driver.recorded.reconnects);

    // Trades may just not happen.
    let mut driver = open(&[DataType::Trade]);
    for _ in 0..100 {
        driver.pass(8_000);
        feed(&mut driver, r#"{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}"#);
        settle(&mut driver);
    }
    assert!(driver.recorded.reconnects.is_empty());
}

#[test]
fn instruments_come_and_go_without_touching_the_others() {
    let mut driver = open(ALL);
    for id in [BTC, ETH] {
        feed(&mut driver, &snapshot(id, 100, ("99", "10"), ("101", "10")));
    }
    feed(&mut driver, &trades(ETH, [10]));
    feed(&mut driver, &trades(ETH, [14]));
    let mut wanted = instruments();
    wanted.retain(|it| it.instrument_id != ETH);
    let mut new = wanted[0].clone();
    (new.instrument_id, new.symbol) = ("SOL-PERPETUAL".into(), "SOL-USD".into());
    wanted.push(new);
    // Twice as large a contract from now on.
    wanted[0].contract.as_mut().unwrap().size = "20".parse().unwrap();
    driver.set_instruments(wanted);
    let name = |channel: &str, id: &str| format!("{channel}.{id}.100ms");
    assert_eq!(
        settle(&mut driver),
        [
            (
                LINK,
                "public/unsubscribe".to_owned(),
                ["book", "ticker", "trades"].map(|channel| name(channel, ETH)).to_vec()
            ),
            (
                LINK,
                "public/subscribe".to_owned(),
                ["book", "ticker", "trades"].map(|channel| name(channel, "SOL-PERPETUAL")).to_vec()
            ),
        ]
    );
    let gaps = driver.recorded.gaps();
    assert_eq!(
        (gaps.len(), gaps[0].from_sequence, gaps[0].to_sequence),
        (1, Some(11), Some(13)),
        "what was pending"
    );
    assert_eq!(driver.frame(&trades(ETH, [15])).unwrap_err().reason, "unknown_symbol");
    feed(&mut driver, &snapshot("SOL-PERPETUAL", 5, ("99", "10"), ("101", "10")));
    feed(&mut driver, &change(BTC, 100, 101, "", ""));
    let bare = crate::deribit::print(BTC, 7).replace(r#","contracts":160.0"#, "");
    feed(&mut driver, &event(&name("trades", BTC), &format!("[{bare}]")));
    assert_eq!(driver.recorded.trades().last().unwrap().contracts.unwrap().to_string(), "80");
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
}

#[test]
fn what_is_unknown_is_counted_and_costs_nothing_else() {
    let mut driver = open(ALL);
    for (frame, reason) in [
        ("", "not_json"),
        ("{", "not_json"),
        ("[1]", "invalid_field"),
        ("{}", "unknown_event"),
        (r#"{"jsonrpc":"2.0","method":"subscription","params":{}}"#, "unknown_event"),
        (r#"{"jsonrpc":"2.0","method":"novelty","params":{"channel":"x","data":1}}"#, "unknown_event"),
    ] {
        assert_eq!(driver.frame(frame).unwrap_err().reason, reason, "{frame}");
    }
    for (channel, data, reason) in [
        ("quote.BTC-PERPETUAL", "{}", "unknown_event"),
        ("book.BTC-PERPETUAL.none.20.100ms", "{}", "unknown_event"),
        ("trades.XRP-PERPETUAL.100ms", "[]", "unknown_symbol"),
        ("deribit_volatility_index.btc_usd", "{\"volatility\":null}", "invalid_field"),
        ("trades.BTC-PERPETUAL.100ms", "{}", "invalid_field"),
    ] {
        assert_eq!(driver.frame(&event(channel, data)).unwrap_err().reason, reason, "{channel}");
    }
    assert_eq!(driver.binary(&[1, 2]).unwrap_err().reason, "unexpected");
    // Written another way: read all the same.
    let spaced: Value = serde_json::from_str(&trades(BTC, [1])).unwrap();
    feed(&mut driver, &serde_json::to_string_pretty(&spaced).unwrap());
    assert_eq!(driver.recorded.trades().len(), 1);
    assert!(driver.recorded.reconnects.is_empty());
}
