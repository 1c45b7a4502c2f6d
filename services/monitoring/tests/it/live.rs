//! What the live view says, with the pipeline and without it.

use std::time::Duration;

use futures_util::StreamExt;
use marketprism_testkit::{free_port, poll_until};
use serde_json::{Value, json};

use crate::monitoring::Monitoring;
use crate::openapi::walk;
use crate::rig::{DEADLINE, Rig};

/// A service of which nothing that it asks is there.
async fn alone() -> Monitoring {
    let nowhere = |scheme: &str| format!("{scheme}://127.0.0.1:{}", free_port());
    let mut environment = vec![
        ("MARKETPRISM__NATS__URL".to_owned(), nowhere("nats")),
        ("MARKETPRISM__HOT__URL".to_owned(), nowhere("http")),
        ("MARKETPRISM__COLD__URL".to_owned(), nowhere("http")),
    ];
    for service in ["COLLECTOR", "HOT_STORAGE", "COLD_STORAGE"] {
        for which in ["HEALTH", "METRICS"] {
            environment.push((format!("MARKETPRISM__COMPONENTS__{service}__{which}"), nowhere("http")));
        }
    }
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Monitoring::start(&environment).await
}

#[tokio::test]
async fn what_is_away_is_told_and_never_looks_healthy() {
    let monitoring = alone().await;
    let (code, pipeline) = monitoring.get("/api/v1/live/pipeline").await;
    assert_eq!(code, 200, "{pipeline}");
    for (name, node) in pipeline["nodes"].as_object().unwrap() {
        assert_eq!(
            (&node["state"], &node["age_ms"]),
            (&json!("unreachable"), &Value::Null),
            "{name}: {node}"
        );
        assert!(
            node["reasons"][0].as_str().is_some_and(|reason| reason.contains("127.0.0.1")),
            "{name}: {node}"
        );
    }
    for (name, hop) in pipeline["hops"].as_object().unwrap() {
        assert_eq!((&hop["state"], &hop["rate_per_second"]), (&json!("unreachable"), &Value::Null), "{name}");
    }
    let (_, streams) = monitoring.get("/api/v1/live/streams").await;
    assert_eq!((&streams["collector"]["state"], &streams["total"]), (&json!("unreachable"), &json!(0)));
    let (_, replication) = monitoring.get("/api/v1/live/replication").await;
    assert_eq!(replication["cold_storage"]["state"], "unreachable", "{replication}");
    let (code, error) = monitoring.get("/api/v1/live/completeness").await;
    assert_eq!((code, &error["error_code"]), (503, &json!("SERVICE_UNAVAILABLE")), "{error}");
    let (code, page) = monitoring.get("/api/v1/live/completeness?exchange=binance&market_type=spot").await;
    assert_eq!(code, 200, "{page}");
    for tier in ["hot", "cold"] {
        assert!(page["tiers"][tier].as_str().is_some_and(|error| error.contains("127.0.0.1")), "{page}");
    }
    let market = "/api/v1/live/market?exchange=binance&market_type=spot&symbol=BTC-USDT";
    let (code, error) = monitoring.get(market).await;
    assert_eq!((code, &error["message"]), (503, &json!("the broker does not answer")), "{error}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_field_and_value() {
    let monitoring = alone().await;
    for (path, words) in [
        ("market?exchange=binance&market_type=cash&symbol=BTC-USDT", "market_type: `cash`"),
        ("market?exchange=binance&market_type=spot&symbol=", "symbol: ``"),
        ("market?exchange=Bin.ance&market_type=spot&symbol=BTC-USDT", "Bin.ance"),
        ("completeness?exchange=binance", "needs market_type"),
        ("completeness?exchange=binance&market_type=spot&data_type=candles", "data_type: `candles`"),
        ("completeness?exchange=binance&market_type=spot&days=61", "days: `61`"),
    ] {
        let (code, error) = monitoring.get(&format!("/api/v1/live/{path}")).await;
        assert_eq!(code, 400, "{path}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{path}: {error}");
    }
}

/// The first events of a stream, until `enough`.
async fn events(rig: &Rig, path: &str, enough: impl Fn(&[(String, Value)]) -> bool) -> Vec<(String, Value)> {
    let url = format!("{}/api/v1/live/{path}", rig.monitoring.url);
    let answer = rig.monitoring.http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut chunks, mut text, mut events) = (answer.bytes_stream(), String::new(), Vec::new());
    let reading = async {
        while !enough(&events) {
            text.push_str(std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    events.push((name.to_owned(), serde_json::from_str(data).unwrap()));
                }
                text = rest.to_owned();
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("the events");
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_pipeline_is_shown_and_a_killed_collector_too() {
    let mut rig = Rig::start().await;
    rig.flowing().await;

    // The collector's page and its metrics are read one after the other.
    poll_until(DEADLINE, "the list, its total and the metrics agree", async || {
        let (streams, pipeline) = (rig.live("streams").await, rig.live("pipeline").await);
        let listed = streams["streams"].as_array().unwrap().len() as u64;
        streams["total"] == listed && pipeline["collector"]["streams_total"] == listed
    })
    .await;

    let path = "market?exchange=binance&market_type=spot&symbol=BTC-USDT";
    let began = tokio::time::Instant::now();
    let count =
        |events: &[(String, Value)], wanted: &str| events.iter().filter(|(name, _)| name == wanted).count();
    let seen = events(&rig, path, |events| count(events, "book") >= 5 && count(events, "trades") >= 1).await;
    assert!(began.elapsed() > Duration::from_millis(700), "at most five books a second");
    let books: Vec<_> = seen.iter().filter(|(name, _)| name == "book").map(|(_, book)| book).collect();
    assert!(
        books.is_sorted_by_key(|book| book["last_update_id"].as_u64()),
        "the first may be the stream's last"
    );
    let price = |side: &str| books[4][side][0][0].as_str().unwrap().parse::<f64>().unwrap();
    assert!(price("bids") < price("asks"), "{}", books[4]);

    poll_until(DEADLINE, "both tiers hold today's trades", async || {
        let page = rig.live("completeness?exchange=binance&market_type=spot&data_type=trade").await;
        let today = |line: &Value| line["cells"].as_array().unwrap().last().unwrap().clone();
        let symbols = page["symbols"].as_array().unwrap();
        symbols.len() == 3 && symbols.iter().all(|line| today(line)["cold"].as_u64() > Some(0))
    })
    .await;
    rig.live_when("replication", "trades are replicated", |replication| {
        let mut tables = replication["tables"].as_array().unwrap().iter();
        let trades = tables.find(|table| table["table"] == "trades").unwrap();
        trades["watermark_sequence"].as_u64() > Some(0) && trades["state"] == "healthy"
    })
    .await;

    let answers = walk(&rig.monitoring).await;
    let is_good = |(path, code): &&(String, u16)| path.starts_with("/api/v1/live/") && *code == 200;
    assert_eq!(answers.iter().filter(is_good).count(), 6, "{answers:?}");

    rig.collector.as_mut().unwrap().kill();
    let seen = events(&rig, "events", |events| {
        events.last().is_some_and(|(_, pipeline)| pipeline["nodes"]["collector"]["state"] == "unreachable")
    })
    .await;
    let (_, pipeline) = seen.last().unwrap();
    assert!(pipeline["nodes"]["collector"]["age_ms"].is_u64(), "{pipeline}");
    assert_eq!(pipeline["hops"]["receive"]["rate_per_second"], Value::Null, "no rate that was");
    assert_eq!(pipeline["exchanges"][0]["state"], "unknown", "{pipeline}");
    poll_until(DEADLINE, "its streams are unknown", async || {
        let streams = rig.live("streams").await;
        streams["streams"].as_array().unwrap().iter().all(|one| one["state"] == "unknown")
    })
    .await;
    rig.start_collector();
    rig.flowing().await;
    assert!(rig.monitoring.process.stop().success(), "no viewer holds it up");
}
