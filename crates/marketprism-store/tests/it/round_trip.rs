//! Every field of every message is in a column, with its value.

use marketprism_core::{DataType, Decimal, Message};
use marketprism_store::{Entry, StoreError, Tier, table};
use marketprism_testkit::ClickHouse;
use serde_json::{Map, Value, json};

use crate::sql::{decode, insert_trades, tier, trade};

/// The golden bytes of a data type, and fields that they leave out.
pub(crate) fn samples(data_type: DataType) -> [Value; 2] {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../marketprism-core/testdata/wire");
    let golden = std::fs::read_to_string(format!("{folder}/{data_type}/v1.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let more = match data_type {
        DataType::Trade => json!({"contracts": "16", "is_maker_buyer": false, "trade_sequence": 140284854}),
        DataType::OrderBook => json!({"bids": [], "ts_event_source": "recv", "is_snapshot_of": "full"}),
        DataType::FundingRate => json!({"funding_time_us": 1_791_244_800_000_000_i64, "source": "rest"}),
        DataType::OpenInterest => json!({"open_interest": "99999999999999999999.99999999"}),
        DataType::Liquidation => {
            json!({"contracts": "1165", "status": "new\n\0'`;--", "symbol": "币安人生-USDT"})
        }
        DataType::VolatilityIndex => {
            json!({"open": "45", "high": "46.000000000000000001", "low": "44", "resolution_seconds": 60})
        }
        DataType::LsrTopPosition | DataType::LsrAllAccount => {
            json!({"long_ratio": "0.6", "short_ratio": "0.4"})
        }
        DataType::Gap => json!({"source": "backfill", "detail": null}),
    };
    let mut full = golden.clone();
    full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    full.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    [golden, full]
}

/// The column that holds a field.
fn column(data_type: DataType, field: &str) -> &str {
    match (data_type, field) {
        (_, "ts_event_us") => "timestamp",
        (_, "ts_recv_us") => "ts_recv",
        (_, "ts_event_source") => "timestamp_source",
        (_, "source") => "data_source",
        (_, "schema") => "message_schema",
        (DataType::Trade, "is_maker_buyer") => "is_maker",
        (DataType::LsrTopPosition, "long_ratio") => "long_position_ratio",
        (DataType::LsrTopPosition, "short_ratio") => "short_position_ratio",
        (DataType::LsrAllAccount, "long_ratio") => "long_account_ratio",
        (DataType::LsrAllAccount, "short_ratio") => "short_account_ratio",
        (_, field) => field.strip_suffix("_us").unwrap_or(field),
    }
}

/// Decimals by value, times as µs; everything else as it is.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(comparable).collect(),
        Value::String(text) => match text.split_once('.') {
            Some((seconds, micros)) if seconds.len() == 10 && micros.len() == 6 => {
                json!(format!("{seconds}{micros}").parse::<i64>().unwrap())
            }
            _ => text
                .parse::<Decimal>()
                .map_or_else(|_| value.clone(), |decimal| json!(decimal.units().to_string())),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.clone(),
    }
}

#[tokio::test]
async fn every_field_is_stored_in_both_tiers_alike() {
    let server = ClickHouse::start();
    for which in [Tier::Hot, Tier::Cold] {
        let (store, sql) = tier(&server, which).await;
        for data_type in DataType::ALL.iter().copied() {
            for (sample, stream_seq) in samples(data_type).iter().zip(7..) {
                let message =
                    Message::decode(&subject_of(sample), sample.to_string().into_bytes().leak()).unwrap();
                store.insert(&[Entry { message: &message, stream_epoch: 3, stream_seq }]).await.unwrap();
                let question = format!(
                    "SELECT * FROM {} WHERE stream_seq = {stream_seq} SETTINGS output_format_json_quote_decimals = 1, \
                     output_format_json_quote_64bit_integers = 0, date_time_output_format = 'unix_timestamp'",
                    table(data_type)
                );
                let rows = sql.ask_in(&question, "JSONEachRow").await;
                assert_eq!(rows.len(), 1, "{data_type}");
                compare(data_type, sample, serde_json::from_str(&rows[0]).unwrap());
            }
        }
    }
}

pub(crate) fn subject_of(sample: &Value) -> marketprism_core::Subject {
    let text = |field: &str| sample[field].as_str().unwrap();
    marketprism_core::Subject::new(
        text("data_type").parse().unwrap(),
        text("exchange"),
        text("market_type").parse().unwrap(),
        text("symbol"),
    )
    .unwrap()
}

fn compare(data_type: DataType, sample: &Value, mut row: Map<String, Value>) {
    for (field, value) in sample.as_object().unwrap() {
        if field == "data_type" {
            continue; // which table it is
        }
        let column = column(data_type, field);
        let stored =
            row.remove(column).unwrap_or_else(|| panic!("{data_type}.{field} has no column {column}"));
        assert_eq!(comparable(&stored), comparable(value), "{data_type}.{field}");
    }
    // What is left is the row's place, what is derived from the levels, and what the message left out.
    assert_eq!(row.remove("stream_epoch"), Some(json!(3)));
    assert!(row.remove("stream_seq").is_some() && row.remove("created_at").is_some());
    if sample.get("ts_event_source").is_none() {
        assert_eq!(row.remove("timestamp_source"), Some(json!("exchange")));
    }
    if data_type == DataType::OrderBook {
        for (side, name) in [("bids", "bid"), ("asks", "ask")] {
            let levels = sample[side].as_array().unwrap();
            assert_eq!(row.remove(&format!("{side}_count")), Some(json!(levels.len())));
            for (at, part) in ["price", "quantity"].iter().enumerate() {
                let stored = row.remove(&format!("best_{name}_{part}")).unwrap();
                let best = levels.first().map_or(Value::Null, |level| level[at].clone());
                assert_eq!(comparable(&stored), comparable(&best));
            }
        }
    }
    for (column, value) in row {
        assert_eq!(value, Value::Null, "{data_type}: column {column} has a value that no field gave");
    }
}

#[tokio::test]
async fn one_insert_is_one_part_and_may_not_be_mixed() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    let many: Vec<_> = (1..=20_000).map(|sequence| (sequence, 0)).collect();
    insert_trades(&store, 1, &many).await;
    let parts = sql.ask("SELECT count() FROM system.parts WHERE table = 'trades' AND level = 0").await;
    assert_eq!(parts, ["1"]);
    assert_eq!(
        sql.ask("SELECT count(), uniqExact(stream_seq), sum(price) > 0 FROM trades").await,
        ["20000\t20000\t1"]
    );

    let (today, tomorrow) = (trade(1, 0), trade(2, 60));
    let messages = [&today, &tomorrow].map(|one| decode("trade.binance.spot.BTC-USDT", one));
    let entries: Vec<_> =
        messages.iter().map(|message| Entry { message, stream_epoch: 1, stream_seq: 30_000 }).collect();
    let error = store.insert(&entries).await.unwrap_err();
    assert!(matches!(error, StoreError::MixedBatch { table: "trades" }), "{error}");
}

#[tokio::test]
async fn a_value_the_table_refuses_is_told_from_a_server_in_trouble() {
    let mut server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    sql.run("ALTER TABLE trades ADD CONSTRAINT cheap CHECK price < 101").await;
    let (good, bad) = (trade(1, 0), trade(2, 0).replace("100.2", "500"));
    let messages = [&good, &bad].map(|one| decode("trade.binance.spot.BTC-USDT", one));
    let entries: Vec<_> = messages
        .iter()
        .zip(1..)
        .map(|(message, stream_seq)| Entry { message, stream_epoch: 1, stream_seq })
        .collect();
    let error = store.insert(&entries).await.unwrap_err();
    assert!(error.is_refusal_of_data(), "{error:?}");
    assert_eq!(sql.ask("SELECT count() FROM trades").await, ["0"], "all or nothing");
    server.stop();
    let error = store.insert(&entries).await.unwrap_err();
    assert!(error.is_transient() && !error.is_refusal_of_data(), "{error:?}");
}
