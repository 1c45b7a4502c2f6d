//! One socket: what is asked for on it, what is refused, silence, notices, changing instruments.

use marketprism_core::DataType;
use marketprism_exchanges::{Lost, StreamState};
use serde_json::{Value, json};

use super::{acknowledge, linear, open, session, snapshot, spot, take_calls, update_ids};
use crate::driver::{BOTH, Driver, LINK};

fn names(args: &[Value]) -> Vec<String> {
    args.iter().map(|arg| format!("{}/{}", arg["channel"], arg["instId"]).replace('"', "")).collect()
}

/// Lets time pass on a socket that is alive.
fn pass(driver: &mut Driver, seconds: i64) {
    for _ in 0..seconds {
        driver.pass(1_000);
        driver.frame("pong").unwrap();
    }
}

#[test]
fn many_streams_are_few_requests_and_each_is_acknowledged() {
    let instruments: Vec<_> = (0..400).map(|at| spot(&format!("C{at}-USDT"))).collect();
    let mut driver = session("okx_spot", instruments, BOTH);
    driver.opened();
    driver.pass(2_000);
    let bytes = driver.recorded.sent.iter().map(String::len).max().unwrap();
    assert!(bytes < 64_000, "{bytes}");
    let calls = acknowledge(&mut driver);
    assert_eq!(calls.iter().map(|(_, args, _)| args.len()).collect::<Vec<_>>(), [300, 300, 200]);
    assert!(calls.iter().all(|(operation, _, id)| {
        operation == "subscribe" && id.len() <= 32 && id.chars().all(char::is_alphanumeric)
    }));
    assert_eq!(driver.recorded.notes_of("Subscribed"), 800);
    pass(&mut driver, 20);
    assert!(take_calls(&mut driver, LINK).is_empty());
}

#[test]
fn a_symbol_the_exchange_does_not_know_is_named_and_not_asked_for_for_ever() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT"), spot("NADA-USDT")], BOTH);
    driver.opened();
    let (_, args, id) = take_calls(&mut driver, LINK).remove(0);
    for arg in &args {
        if arg["instId"] == "BTC-USDT" {
            let answer = json!({"id": id, "event": "subscribe", "arg": arg, "connId": "0f00ba12"});
            driver.frame(&answer.to_string()).unwrap();
        } else {
            let channel = arg["channel"].as_str().unwrap();
            let message =
                format!("Subscribe failed, wrong URL or channel:{channel},instId:NADA-USDT doesn't exist.");
            let answer =
                json!({"event": "error", "msg": message, "code": "60018", "connId": "0f00ba12", "id": id});
            let rejected = driver.frame(&answer.to_string()).unwrap_err();
            assert_eq!(rejected.reason, "unknown_symbol");
            assert!(rejected.detail.contains(&format!("{channel} of NADA-USDT")), "{rejected}");
        }
    }
    driver.frame(&snapshot(10, 0)).unwrap();
    for _ in 0..200 {
        pass(&mut driver, 1);
        let calls = acknowledge(&mut driver);
        assert!(
            !calls.iter().any(|(_, args, _)| names(args).iter().any(|name| name.contains("NADA"))),
            "{calls:?}"
        );
    }
    assert!(driver.recorded.reconnects.is_empty(), "{:?}", driver.recorded.reconnects);
    assert!(driver.recorded.requests.is_empty(), "{:?}", driver.recorded.requests);
    assert_eq!(driver.state("NADA-USDT", DataType::OrderBook), StreamState::Stale);
    assert_eq!(update_ids(&driver), [10], "the other one flows");
}

#[test]
fn an_error_that_names_no_stream_is_tried_again_a_few_times() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], BOTH);
    driver.opened();
    acknowledge(&mut driver);
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.set_instruments(vec![spot("BTC-USDT"), spot("SOL-USDT")]);
    for attempt in 1..=3 {
        driver.pass(1_000);
        let calls = take_calls(&mut driver, LINK);
        assert_eq!(calls.len(), 1, "attempt {attempt}");
        assert_eq!(names(&calls[0].1), ["books/SOL-USDT", "trades/SOL-USDT"]);
        let answer = json!({"event": "error", "msg": "Invalid request: {…}", "code": "60012", "connId": "a", "id": calls[0].2});
        let rejected = driver.frame(&answer.to_string()).unwrap_err();
        assert!(
            rejected.detail.contains("60012") && rejected.detail.contains("books of SOL-USDT"),
            "{rejected}"
        );
    }
    for _ in 0..60 {
        pass(&mut driver, 1);
        let asked = acknowledge(&mut driver);
        assert!(
            asked.iter().all(|(_, args, _)| !names(args).iter().any(|name| name.contains("SOL"))),
            "{asked:?}"
        );
    }
    assert!(driver.recorded.reconnects.is_empty());
}

#[test]
fn acknowledgements_that_never_come_are_asked_for_again_and_then_the_socket_is_replaced() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], BOTH);
    driver.opened();
    let mut calls = 0;
    for _ in 0..45 {
        pass(&mut driver, 1);
        for (_, args, id) in take_calls(&mut driver, LINK) {
            calls += 1;
            assert!(names(&args).contains(&"trades/BTC-USDT".to_owned()));
            // The book is acknowledged, trades are not.
            if names(&args).contains(&"books/BTC-USDT".to_owned()) {
                let arg = json!({"channel": "books", "instId": "BTC-USDT"});
                driver.frame(&json!({"id": id, "event": "subscribe", "arg": arg}).to_string()).unwrap();
                driver.frame(&snapshot(10, 0)).unwrap();
            }
        }
    }
    assert_eq!(calls, 3);
    assert!(
        matches!(&driver.recorded.reconnects[..], [Lost::Refused(why)] if why.contains("trades of BTC-USDT"))
    );
}

#[test]
fn too_frequent_is_not_refused() {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT")], &[DataType::Trade]);
    driver.opened();
    let (.., id) = take_calls(&mut driver, LINK).remove(0);
    let answer =
        json!({"event": "error", "msg": "Requests too frequent", "code": "60014", "connId": "a", "id": id});
    assert_eq!(driver.frame(&answer.to_string()).unwrap_err().reason, "unexpected");
    pass(&mut driver, 12);
    assert_eq!(acknowledge(&mut driver).len(), 1);
    assert_eq!(driver.recorded.notes_of("Subscribed"), 1);
}

#[test]
fn a_silent_socket_is_pinged_and_replaced() {
    let mut driver = open();
    driver.pass(14_900);
    assert!(!driver.recorded.sent.contains(&"ping".to_owned()));
    driver.pass(200);
    assert_eq!(driver.recorded.sent.iter().filter(|text| *text == "ping").count(), 1);
    driver.frame("pong").unwrap();
    driver.pass(14_900);
    assert!(driver.recorded.reconnects.is_empty());
    driver.pass(15_200);
    assert_eq!(driver.recorded.reconnects, [Lost::Silence]);
    driver.pass(5_000);
    assert_eq!(driver.recorded.reconnects.len(), 1, "once is enough");
}

#[test]
fn notices() {
    let mut driver = open();
    driver.frame(r#"{"event":"channel-conn-count","channel":"books","connCount":"2","connId":"a"}"#).unwrap();
    driver.frame(r#"{"event":"notice","code":"64999","msg":"hello","connId":"a"}"#).unwrap();
    assert!(driver.recorded.reconnects.is_empty());
    let upgrade = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a"}"#;
    driver.frame(upgrade).unwrap();
    driver.frame(upgrade).unwrap();
    assert_eq!(driver.recorded.reconnects, [Lost::Announced]);
}

#[test]
fn an_unusable_frame_says_why() {
    let cases = [
        ("hello", "not_json", "expected value"),
        ("", "not_json", "EOF"),
        (
            r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks""#,
            "not_json",
            "EOF",
        ),
        (r#"{"arg":{"channel":"trades","instId":"XRP-USDT"},"data":[]}"#, "unknown_symbol", "XRP-USDT"),
        (r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}"#, "unknown_event", "tickers"),
        (
            r#"{"arg":{"channel":"funding-rate","instId":"BTC-USDT"},"data":[]}"#,
            "unknown_event",
            "funding-rate",
        ),
        (r#"{"event":"somethingNew"}"#, "unknown_event", "somethingNew"),
        (r#"{"arg":{"channel":"books","instId":"BTC-USDT"}}"#, "unknown_event", "books"),
        (
            r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}"#,
            "invalid_field",
            "no book",
        ),
        (
            r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{},{}]}"#,
            "invalid_field",
            "more than one",
        ),
        (r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":{}}"#, "invalid_field", "sequence"),
        (r#"{"event":"error","code":"60011","msg":"Please log in"}"#, "unexpected", "60011"),
    ];
    for (frame, reason, detail) in cases {
        let mut driver = open();
        let rejected = driver.frame(frame).unwrap_err();
        assert_eq!(rejected.reason, reason, "{frame}: {rejected}");
        assert!(rejected.detail.contains(detail), "{frame}: {rejected}");
        assert!(driver.recorded.messages.is_empty() && driver.recorded.reconnects.is_empty());
    }
    let mut driver = open();
    assert_eq!(driver.binary(b"\x00\x01").unwrap_err().reason, "unexpected");
}

#[test]
fn an_envelope_written_otherwise_is_read_too() {
    let mut driver = open();
    let frame = r#"{ "data" : [{"tradeId":"7","px":"1","sz":"1","side":"buy","ts":"1700000000000"}], "arg" : {"instId":"BTC-USD\u0054","channel":"trades"} }"#;
    driver.frame(frame).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [7]);
}

#[test]
fn a_stream_that_falls_silent_is_asked_for_again_and_then_the_socket_is_replaced() {
    let mut driver = open();
    let trade = |id: i64| {
        let ts = 1_700_000_000_000 + id;
        format!(
            r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{{"tradeId":"{id}","px":"1","sz":"1","side":"buy","ts":"{ts}"}}]}}"#
        )
    };
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.frame(&snapshot(10, 0).replace("BTC-USDT", "ETH-USDT")).unwrap();
    for id in 1..=100 {
        driver.frame(&trade(id)).unwrap();
        driver.pass(100);
    }
    acknowledge(&mut driver);
    let mut asked = Vec::new();
    for second in 0..190 {
        pass(&mut driver, 1);
        for (operation, args, _) in acknowledge(&mut driver) {
            let is_trades = names(&args).contains(&"trades/BTC-USDT".to_owned());
            if operation == "subscribe" && is_trades {
                asked.push(second);
            }
        }
    }
    assert!(matches!(asked[..], [59..=61]), "{asked:?}");
    assert_eq!(driver.state("BTC-USDT", DataType::Trade), StreamState::Stale);
    assert_eq!(driver.recorded.reconnects, [Lost::Stale("trades of BTC-USDT".to_owned())]);
    assert_eq!(driver.state("ETH-USDT", DataType::Trade), StreamState::Stale);
}

#[test]
fn instruments_come_and_go_without_the_others_noticing() {
    let mut driver = open();
    driver.frame(&snapshot(10, 0)).unwrap();
    driver.set_instruments(vec![spot("BTC-USDT"), spot("SOL-USDT")]);
    driver.pass(1_000);
    let calls = acknowledge(&mut driver);
    let asked: Vec<_> = calls.iter().map(|(operation, args, _)| (operation.as_str(), names(args))).collect();
    let both = |id: &str| vec![format!("books/{id}"), format!("trades/{id}")];
    assert_eq!(asked, [("unsubscribe", both("ETH-USDT")), ("subscribe", both("SOL-USDT"))]);
    driver.frame(&super::update(10, 11, 100, "2")).unwrap();
    let sol = super::BookPush {
        instrument_id: "SOL-USDT",
        previous: -1,
        sequence: 7,
        millis: 0,
        bids: &[("5", "1")],
        asks: &[],
    };
    driver.frame(&sol.text()).unwrap();
    assert_eq!(update_ids(&driver), [10, 11, 7]);
    assert!(driver.recorded.gaps().is_empty());
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
    // The same list again asks for nothing.
    driver.set_instruments(vec![spot("SOL-USDT"), spot("BTC-USDT")]);
    driver.pass(1_000);
    assert!(take_calls(&mut driver, LINK).is_empty());
}

#[test]
fn a_session_without_instruments_takes_them_later() {
    let mut driver = session("okx_swap", Vec::new(), BOTH);
    driver.opened();
    driver.pass(1_000);
    assert!(take_calls(&mut driver, LINK).is_empty());
    driver.set_instruments(vec![linear()]);
    driver.pass(1_000);
    assert_eq!(acknowledge(&mut driver).len(), 1);
    assert_eq!(driver.state("BTC-USDT", DataType::Trade), StreamState::Waiting);
}
