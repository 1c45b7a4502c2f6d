//! The views: bars of trades, best bid and ask, the book at a time.

use marketprism_store::{Entry, Store, StoreError, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{Sql, decode, tier};

/// 2026-10-08 00:00:00 UTC.
const MIDNIGHT_US: i64 = 1_791_417_600_000_000;

/// Inserts payloads of one subject and day, numbered from 1.
async fn insert(store: &Store, subject: &str, payloads: &[String]) {
    let messages: Vec<_> = payloads.iter().map(|payload| decode(subject, payload)).collect();
    let entries: Vec<_> = messages
        .iter()
        .zip(1..)
        .map(|(message, stream_seq)| Entry { message, stream_epoch: 1, stream_seq })
        .collect();
    store.insert(&entries).await.unwrap();
}

/// A trade so many milliseconds after midnight; `more` are further fields.
fn trade(millis: i64, id: &str, price: &str, quantity: &str, side: &str, more: &str) -> String {
    let event = MIDNIGHT_US + millis * 1_000;
    format!(
        r#"{{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"trade_id":"{id}","price":"{price}","quantity":"{quantity}","side":"{side}"{more}}}"#
    )
}

fn book(millis: i64, update: u64, bids: &str, asks: &str) -> String {
    let event = MIDNIGHT_US + millis * 1_000;
    format!(
        r#"{{"data_type":"orderbook","exchange":"okx","market_type":"perpetual","symbol":"ETH-USDT","instrument_id":"ETH-USDT-SWAP","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"bids":{bids},"asks":{asks},"last_update_id":{update},"update_count":1,"is_snapshot_of":"top","depth":5}}"#
    )
}

#[tokio::test]
async fn bars_open_and_close_by_time_then_number_and_count_single_trades() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    let trades = [
        // Three in one millisecond, stored out of order: 9 is before 10 by number, not by text.
        trade(59_999, "10", "103", "1", "sell", ""),
        trade(0, "8", "100.5", "2", "buy", ""),
        trade(59_999, "9", "99", "1", "sell", ""),
        trade(60_000, "11", "70000", "90000000000", "buy", ""),
        trade(119_999, "12", "70001", "0.5", "sell", r#","first_trade_id":40,"last_trade_id":43"#),
    ];
    insert(&store, "trade.binance.spot.BTC-USDT", &trades).await;
    let columns = "toUnixTimestamp(time) - 1791417600, open, high, low, close, volume, quote_volume, buy_volume, trades";
    let bars = sql.ask(&format!("SELECT {columns} FROM candles_1m ORDER BY time")).await;
    assert_eq!(
        bars,
        [
            "0\t100.5\t103\t99\t103\t4\t403\t2\t3",
            "60\t70000\t70001\t70000\t70001\t90000000000.5\t6300000000035000.5\t90000000000\t5",
        ]
    );
    let opens = |view: &'static str| {
        let question = format!("SELECT open FROM {view} WHERE symbol = 'BTC-USDT' ORDER BY time");
        let sql = &sql;
        async move { sql.ask(&question).await }
    };
    assert_eq!(opens("candles_1s").await, ["100.5", "99", "70000", "70001"]);
    assert_eq!(opens("candles(interval_seconds = 90)").await, ["100.5", "70001"]);
    for view in ["candles_5m", "candles_15m", "candles_1h", "candles_4h", "candles_1d"] {
        assert_eq!(opens(view).await, ["100.5"], "{view}");
    }
    // Deribit numbers trades beside their ids.
    let numbered = |id: &str, price: &str, sequence: u64| {
        let more = format!(r#","trade_sequence":{sequence}"#);
        trade(1, id, price, "1", "buy", &more).replace("binance", "deribit").replace("spot", "perpetual")
    };
    let trades = [numbered("ETH-7", "2", 71), numbered("ETH-9", "1", 70), numbered("ETH-8", "3", 72)];
    insert(&store, "trade.deribit.perpetual.BTC-USDT", &trades).await;
    let bars = sql.ask("SELECT open, close FROM candles_1d WHERE exchange = 'deribit'").await;
    assert_eq!(bars, ["1\t3"]);
}

#[tokio::test]
async fn a_question_about_an_hour_reads_its_day_only() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    for day in 0..5 {
        let trades = [trade(day * 86_400_000, "1", "100", "1", "buy", "")];
        insert(&store, "trade.binance.spot.BTC-USDT", &trades).await;
    }
    let filter = "exchange = 'binance' AND symbol = 'BTC-USDT' AND time >= '2026-10-10 00:00:00' AND time < '2026-10-10 01:00:00'";
    for view in ["candles_1m", "candles_1h"] {
        let plan = sql.ask(&format!("EXPLAIN indexes = 1 SELECT * FROM {view} WHERE {filter}")).await;
        let parts: Vec<_> = plan.iter().filter_map(|line| line.trim().strip_prefix("Parts: ")).collect();
        assert_eq!(parts.last(), Some(&"1/1"), "{view}: {plan:#?}");
        assert!(parts.contains(&"1/5"), "{view}: {plan:#?}");
    }
}

#[tokio::test]
async fn the_book_at_a_time_is_the_last_one_of_the_day_before_it() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Cold).await;
    let books = [
        book(1_000, 5, r#"[["10.5","1"],["10","2"]]"#, r#"[["11","3"]]"#),
        book(2_000, 7, r#"[["10","2"]]"#, r#"[["10.5","4"],["12","1"]]"#),
        book(2_000, 6, r#"[["9","2"]]"#, r#"[["10.5","4"]]"#),
        book(3_000, 8, "[]", r#"[["10.5","4"]]"#),
    ];
    insert(&store, "orderbook.okx.perpetual.ETH-USDT", &books).await;
    let at = |time: &'static str| {
        let question = format!(
            "SELECT last_update_id, side, level, price, quantity FROM orderbook_at(exchange = 'okx', \
             market_type = 'perpetual', symbol = 'ETH-USDT', at = '{time}')"
        );
        let sql = &sql;
        async move { sql.ask(&question).await }
    };
    assert!(at("2026-10-08 00:00:00.999999").await.is_empty(), "before the first");
    let first = ["5\tbid\t1\t10.5\t1", "5\tbid\t2\t10\t2", "5\task\t1\t11\t3"];
    assert_eq!(at("2026-10-08 00:00:01").await, first);
    assert_eq!(at("2026-10-08 00:00:01.999999").await, first);
    let second = ["7\tbid\t1\t10\t2", "7\task\t1\t10.5\t4", "7\task\t2\t12\t1"];
    assert_eq!(at("2026-10-08 00:00:02").await, second, "the higher update of one time");
    assert_eq!(at("2026-10-08 23:59:59").await, ["8\task\t1\t10.5\t4"]);
    assert!(at("2026-10-09 00:00:03").await.is_empty(), "a book of yesterday says nothing of now");

    let best = sql
        .ask("SELECT bid_price, bid_quantity, ask_price, ask_quantity, spread, mid_price FROM best_bid_ask ORDER BY time, last_update_id")
        .await;
    assert_eq!(
        best,
        [
            "10.5\t1\t11\t3\t0.5\t10.75",
            "9\t2\t10.5\t4\t1.5\t9.75",
            "10\t2\t10.5\t4\t0.5\t10.25",
            "\\N\t\\N\t10.5\t4\t\\N\t\\N",
        ]
    );
}

#[tokio::test]
async fn a_view_that_is_gone_or_changed_is_told() {
    let server = ClickHouse::start();
    let (store, sql): (Store, Sql) = tier(&server, Tier::Hot).await;
    sql.run("DROP VIEW candles_1h").await;
    sql.run("CREATE OR REPLACE VIEW best_bid_ask AS SELECT timestamp AS time FROM orderbooks").await;
    let error = store.check_schema(Tier::Hot).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaDiffers { .. }));
    let text = error.to_string();
    assert!(text.contains("table candles_1h is missing"), "{text}");
    assert!(text.contains("best_bid_ask.spread is missing"), "{text}");
    // They hold no rows: made anew as the runbook says.
    sql.run("ALTER TABLE schema_version DELETE WHERE version = 12 SETTINGS mutations_sync = 1").await;
    store.migrate(Tier::Hot, marketprism_store::SchemaMode::Apply).await.unwrap();
}
