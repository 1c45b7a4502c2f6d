//! Bad payloads: each is refused with the field and the value.

use marketprism_core::{DecodeError, Message, Subject};

const TRADE: &str = r#"{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":1787315652707000,"ts_recv_us":1787315652708000,"source":"ws","schema":1,"trade_id":"1","price":"1.5","quantity":"2","side":"buy"}"#;
const BOOK: &str = r#"{"data_type":"orderbook","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":1787315652707000,"ts_recv_us":1787315652708000,"source":"ws","schema":1,"bids":[["2","1"],["1","1"]],"asks":[["3","1"],["4","1"]],"last_update_id":7,"update_count":1,"is_snapshot_of":"top","depth":2}"#;

fn refusal(subject: &str, payload: &str) -> String {
    let subject = Subject::parse(subject).unwrap();
    match Message::decode(&subject, payload.as_bytes()) {
        Ok(message) => panic!("accepted: {message:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_unchanged_payloads_are_good() {
    for (subject, payload) in
        [("trade.binance.spot.BTC-USDT", TRADE), ("orderbook.binance.spot.BTC-USDT", BOOK)]
    {
        Message::decode(&Subject::parse(subject).unwrap(), payload.as_bytes()).unwrap();
    }
}

#[test]
fn bad_trades_name_field_and_value() {
    for (from, to, expected) in [
        (r#""price":"1.5""#, r#""price":"-1.5""#, "field `price`: `-1.5` is not above zero"),
        (r#""price":"1.5""#, r#""price":"NaN""#, "field `price`: `NaN` is not a decimal"),
        (r#""price":"1.5""#, r#""price":1.5"#, "field `price`: invalid type: floating point `1.5`"),
        (r#""quantity":"2""#, r#""quantity":"0.000""#, "field `quantity`: `0.000` is not above zero"),
        (r#""side":"buy""#, r#""side":"both""#, "field `side`: unknown variant `both`"),
        (r#""trade_id":"1""#, r#""trade_id":"""#, "field `trade_id`: `` is empty"),
        (
            r#""ts_event_us":1787315652707000"#,
            r#""ts_event_us":1787315652707000000"#,
            "field `ts_event_us`: 1787315652707000000 is no time",
        ),
        (r#""schema":1"#, r#""schema":2"#, "schema 2"),
        (r#","side":"buy""#, "", "missing field `side`"),
        (r#""trade_id":"1""#, r#""trade_id":"1","first_trade_id":5"#, "field `last_trade_id`: `absent`"),
        ("\"side\":\"buy\"}", "\"side\":\"buy\"", "EOF"),
        ("\"side\":\"buy\"}", "\"side\":\"buy\"} x", "trailing characters"),
    ] {
        let error = refusal("trade.binance.spot.BTC-USDT", &TRADE.replace(from, to));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_body_on_another_subject_is_refused() {
    for (subject, field) in [
        ("trade.okx.spot.BTC-USDT", "exchange"),
        ("trade.binance.perpetual.BTC-USDT", "market_type"),
        ("trade.binance.spot.ETH-USDT", "symbol"),
    ] {
        let subject = Subject::parse(subject).unwrap();
        let error = Message::decode(&subject, TRADE.as_bytes()).unwrap_err();
        assert!(matches!(&error, DecodeError::Subject { field: found, .. } if *found == field), "{error}");
    }
    assert!(refusal("orderbook.binance.spot.BTC-USDT", TRADE).contains("bids"));
}

#[test]
fn bad_books_name_field_and_value() {
    for (from, to, expected) in [
        (r#"["2","1"]"#, r#"["3","1"]"#, "field `bids`: `3 >= 3` crosses the best ask"),
        (r#"["1","1"]"#, r#"["2.5","1"]"#, "field `bids`: `2.5` is out of order"),
        (r#"["4","1"]"#, r#"["3","1"]"#, "field `asks`: `3` is out of order"),
        (r#"["4","1"]"#, r#"["4","0"]"#, "field `asks`: `0` is a quantity not above zero"),
        (r#""depth":2"#, r#""depth":1"#, "field `bids`: `2` levels are more than depth"),
        (r#"["4","1"]"#, r#"["4"]"#, "asks"),
    ] {
        let error = refusal("orderbook.binance.spot.BTC-USDT", &BOOK.replace(from, to));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn bytes_that_are_no_json_are_refused() {
    let subject = Subject::parse("trade.binance.spot.BTC-USDT").unwrap();
    for payload in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", b"{\"data_type\":\"trade\"}"] {
        Message::decode(&subject, payload).unwrap_err();
    }
}
