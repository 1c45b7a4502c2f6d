//! What is pushed and cannot be asked for later, through the faults of connections: what was missed is declared, stream by
//! stream, and afterwards all of it flows.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use marketprism_core::DataType;
use marketprism_testkit::poll_until;
use serde_json::{Value, json};

use crate::rig::{DEADLINE, Rig, Stored, place};

/// Sessions replace a silent socket after 20 s (Binance), and the silence has to end before another can be opened.
const SILENCE_DEADLINE: Duration = marketprism_testkit::DEADLINE;

/// Events and gaps of every stream, by exchange, place and data type.
type Streams = BTreeMap<String, (u64, u64)>;

async fn rig() -> Rig {
    let exchanges = json!({
        "binance_usdm": { "symbols": "all", "data_types": ["funding_rate", "liquidation"] },
        "okx_swap": { "symbols": "all", "data_types": ["funding_rate", "open_interest", "liquidation"] },
        "deribit": { "symbols": "all", "data_types": ["funding_rate", "open_interest", "volatility_index"] },
    });
    let markets = "binance_usdm,okx_swap,deribit";
    Rig::launch(&["--rate", "200", "--symbols", "2", "--markets", markets], exchanges, |_| {}).await
}

async fn streams(rig: &Rig) -> Streams {
    let page = rig.streams("").await;
    let one = |stream: &Value| {
        let text = |field: &str| stream[field].as_str().unwrap().to_owned();
        let key = ["exchange", "market_type", "symbol", "data_type"].map(text).join(" ");
        (key, (stream["events"].as_u64().unwrap(), stream["gaps"].as_u64().unwrap()))
    };
    page["streams"].as_array().unwrap().iter().map(one).collect()
}

/// Waits until every stream brings more than it had, and those of `exchange` have one gap more each. Liquidations may not
/// happen.
async fn come_again(rig: &Rig, before: &Streams, exchange: &str, what: &str) {
    poll_until(SILENCE_DEADLINE, &format!("everything flows after {what}, and is declared"), async || {
        let now = streams(rig).await;
        now.len() == before.len()
            && now.iter().all(|(key, (events, gaps))| {
                let (events_before, gaps_before) = before[key];
                let flows = *events > events_before || key.ends_with(" liquidation");
                flows && (*gaps > gaps_before || !key.starts_with(exchange))
            })
    })
    .await;
}

fn micros() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Streams of which a gap covers the moment.
fn declared(stored: &Stored, at: i64) -> Vec<String> {
    let covers = |gap: &&Value| {
        gap["reason"] == "disconnect"
            && (gap["from_time_us"].as_i64().unwrap()..=gap["to_time_us"].as_i64().unwrap()).contains(&at)
    };
    let name = |gap: &Value| format!("{} {}", place(gap), gap["missing_data_type"].as_str().unwrap());
    let mut names: Vec<_> = stored.of(DataType::Gap).filter(covers).map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_missed_of_pushed_data_is_declared_and_the_others_never_notice() {
    let rig = rig().await;
    rig.flowing().await;
    poll_until(DEADLINE, "everything flows", async || {
        let streams = streams(&rig).await;
        streams.len() > 10
            && streams.iter().all(|(key, (events, _))| *events > 0 || key.ends_with(" liquidation"))
    })
    .await;

    let before = streams(&rig).await;
    let silence = json!({ "fault": "silence", "for_ms": 25_000, "exchange": "binance" });
    rig.control("fault", &silence).await;
    come_again(&rig, &before, "binance", "silence").await;
    let after = streams(&rig).await;
    let noticed: Vec<_> = after
        .iter()
        .filter(|(key, (_, gaps))| !key.starts_with("binance") && *gaps != before[*key].1)
        .collect();
    assert!(noticed.is_empty(), "{noticed:?}");

    let cut = micros();
    rig.control("fault", &json!({ "fault": "disconnect" })).await;
    come_again(&rig, &after, "", "a disconnect").await;
    let stored = rig.finish().await;
    assert!(stored.status.success(), "{}", stored.log);
    assert_eq!(declared(&stored, cut).len(), after.len(), "each stream once: {:?}", declared(&stored, cut));
}
