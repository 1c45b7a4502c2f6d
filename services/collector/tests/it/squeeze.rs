//! Limits made so tight that they are met: nothing piles up, what is given up is declared, and afterwards all flows.

use std::time::{Duration, Instant};

use marketprism_core::DataType;
use marketprism_testkit::poll_until;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::rig::{DEADLINE, Rig};

async fn pressure(rig: &Rig) -> Value {
    rig.health().await["checks"]["pressure"].clone()
}

#[tokio::test]
async fn a_broker_that_stays_away_costs_what_finds_no_place_and_says_so() {
    let mut rig = Rig::start_with(|config| {
        config["publisher"] = json!({ "in_flight_max": 32 });
        config["queues"] = json!({ "publish_messages_max": 64, "overflow_messages_max": 100 });
    })
    .await;
    rig.flowing().await;
    rig.nats.stop();
    poll_until(DEADLINE, "messages are shed", async || {
        rig.metric("marketprism_collector_messages_shed_total").await > 100
    })
    .await;
    let under_pressure = pressure(&rig).await;
    assert_eq!(under_pressure["status"], "degraded", "{under_pressure}");
    assert!(
        rig.metric("marketprism_collector_overflow_messages").await <= 3 * 110,
        "the overflow is bounded"
    );
    rig.nats.restart();
    rig.flowing().await;
    rig.more_of_everything().await;
    assert_eq!(pressure(&rig).await["status"], "healthy");
    let stored = rig.finish().await;
    stored.assert_trades_are_whole_or_declared();
    let shed: Vec<_> = stored.of(DataType::Gap).filter(|gap| gap["reason"] == "shed").collect();
    assert!(shed.iter().any(|gap| gap["missing_data_type"] == "trade"), "{}", stored.log);
    // Books are held back instead: all their updates are in the ones published later.
    let declared: u64 = shed
        .iter()
        .filter(|gap| gap["missing_data_type"] == "orderbook")
        .map(|gap| gap["to_sequence"].as_u64().unwrap() - gap["from_sequence"].as_u64().unwrap() + 1)
        .sum();
    let (sent, contained) = stored.books_contain();
    assert!(
        contained <= sent && sent <= contained + declared,
        "{sent} sent, {contained} stored, {declared} declared"
    );
}

/// A collector whose queues are full because the broker is away, and that obeys a reload nonetheless: each setting of
/// `binance_usdm.enabled` after the other.
async fn reloaded_without_a_broker(settings: &[bool]) -> Rig {
    let mut rig = Rig::start_with(|config| {
        config["publisher"] = json!({ "in_flight_max": 32 });
        config["queues"] = json!({ "publish_messages_max": 64, "overflow_messages_max": 100 });
        config["shutdown"] = json!({ "grace": "8s" });
    })
    .await;
    rig.flowing().await;
    rig.nats.stop();
    poll_until(DEADLINE, "messages are shed", async || {
        rig.metric("marketprism_collector_messages_shed_total").await > 100
    })
    .await;
    for (times, is_enabled) in settings.iter().enumerate() {
        rig.rewrite(|config| config["exchanges"]["binance_usdm"]["enabled"] = json!(is_enabled));
        rig.collector.hang_up();
        rig.logged("reloaded", times + 1).await;
    }
    rig
}

#[tokio::test]
async fn a_reload_while_the_broker_is_away_is_obeyed_and_what_is_given_up_for_it_is_declared() {
    let mut rig = reloaded_without_a_broker(&[false, true]).await;
    rig.nats.restart();
    rig.flowing().await;
    rig.more_of_everything().await;
    let stored = rig.finish().await;
    assert!(stored.status.success(), "{}", stored.log);
    stored.assert_trades_are_whole_or_declared();
}

#[tokio::test]
async fn after_a_reload_while_the_broker_is_away_sigterm_is_obeyed_too() {
    let mut rig = reloaded_without_a_broker(&[false]).await;
    let asked = Instant::now();
    // What nobody takes cannot be published: the grace period ends it, and the exit code says so.
    assert!(!rig.collector.stop().success());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}\n{}", asked.elapsed(), rig.collector.log());
}

/// Changes the size of messages that the stream of order books takes; -1 is any.
async fn set_book_bytes_max(rig: &Rig, bytes: i64) {
    let ask = async |action: &str, body: String| -> Value {
        let subject = format!("$JS.API.STREAM.{action}.ORDERBOOK_SNAP");
        serde_json::from_slice(&rig.bus.ask(&subject, body.into()).await.unwrap()).unwrap()
    };
    let mut config = ask("INFO", String::new()).await["config"].clone();
    config["max_msg_size"] = bytes.into();
    let answer = ask("UPDATE", config.to_string()).await;
    assert_eq!(answer["config"]["max_msg_size"], bytes, "{answer}");
}

#[tokio::test]
async fn what_the_broker_refuses_is_declared() {
    let rig = Rig::start().await;
    rig.flowing().await;
    set_book_bytes_max(&rig, 400).await;
    poll_until(DEADLINE, "books are refused and declared", async || {
        rig.collector.log().contains("message lost")
            && rig.health().await["checks"]["publisher"]["status"] == "degraded"
    })
    .await;
    rig.more_of_everything().await;
    set_book_bytes_max(&rig, -1).await;
    rig.more_of_everything().await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let refused =
        |gap: &&Value| gap["detail"].as_str().is_some_and(|detail| detail.contains("refused by the broker"));
    let gaps: Vec<_> = stored.of(DataType::Gap).filter(refused).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["missing_data_type"] == "orderbook"), "{gaps:?}");
    // Each book names the one before it: the chain is whole but where a gap says so.
    let mut last = std::collections::BTreeMap::new();
    for book in stored.of(DataType::OrderBook) {
        let symbol = (book["market_type"].clone().to_string(), book["symbol"].to_string());
        let id = book["last_update_id"].as_u64().unwrap();
        let (Some(previous), Some(before)) =
            (book["previous_update_id"].as_u64(), last.insert(symbol.clone(), id))
        else {
            continue;
        };
        let mut next = before + 1;
        for gap in
            gaps.iter().filter(|gap| (gap["market_type"].to_string(), gap["symbol"].to_string()) == symbol)
        {
            if gap["from_sequence"].as_u64().unwrap() <= next {
                next = next.max(gap["to_sequence"].as_u64().unwrap() + 1);
            }
        }
        assert!(previous < next, "{symbol:?}: from {before} to {previous}: {gaps:?}");
    }
}

#[tokio::test]
async fn a_memory_limit_that_is_met_holds_books_back_and_trades_flow() {
    let rig = Rig::start_with(|config| config["pressure"] = json!({ "memory_bytes_max": 16 << 20 })).await;
    poll_until(DEADLINE, "the level is the highest", async || {
        rig.metric("marketprism_collector_pressure_level").await == 3
    })
    .await;
    let reason = pressure(&rig).await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("memory"), "{reason}");
    rig.more_of_everything().await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    // What was held back is published at the end.
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent, "{}", stored.log);
    assert!(
        stored.of(DataType::OrderBook).count() < usize::try_from(sent / 2).unwrap(),
        "books were not held back"
    );
}

/// Waits until the level is the highest because of `resource`.
async fn books_are_held_for(rig: &Rig, resource: &str) {
    poll_until(DEADLINE, &format!("books are held back for {resource}"), async || {
        let reason = pressure(rig).await["reason"].as_str().unwrap_or_default().to_owned();
        rig.metric("marketprism_collector_pressure_level").await == 3 && reason.contains(resource)
    })
    .await;
}

#[tokio::test]
async fn a_limit_of_descriptors_that_is_met_holds_books_back_and_trades_flow() {
    let rig = Rig::start_with(|config| {
        config["pressure"] = json!({ "descriptors_max": 32 });
        for id in ["binance_spot", "binance_usdm"] {
            config["exchanges"][id]["streams_per_connection_max"] = json!(1);
            config["exchanges"][id]["redundancy"] = json!(2);
        }
    })
    .await;
    books_are_held_for(&rig, "descriptors").await;
    rig.more_of_everything().await;
    rig.finish().await.assert_trades_are_whole();
}

#[tokio::test]
async fn messages_that_wait_too_long_hold_books_back_until_the_broker_is_back() {
    let mut rig = Rig::start_with(|config| {
        // There is room for all that comes, and memory.
        config["pressure"] = json!({ "publish_lag_max": "2s", "memory_bytes_max": 1_u64 << 32 });
        config["queues"] = json!({ "publish_messages_max": 1_000_000, "publish_bytes_max": 1 << 30 });
    })
    .await;
    rig.flowing().await;
    rig.nats.stop();
    books_are_held_for(&rig, "publish_lag").await;
    rig.nats.restart();
    poll_until(DEADLINE, "the level falls", async || {
        rig.metric("marketprism_collector_pressure_level").await == 0
    })
    .await;
    rig.flowing().await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent, "{}", stored.log);
}

#[tokio::test]
async fn memory_that_an_outage_took_is_given_back_and_the_level_falls() {
    let exchanges = json!({
        "binance_spot": { "symbols": "all" },
        "binance_usdm": { "symbols": "all", "market_types": ["perpetual"] },
    });
    let mut rig = Rig::launch(&["--rate", "3000", "--symbols", "2"], exchanges, |config| {
        // Of memory alone there is too little: what waits for the broker has places and time enough.
        config["pressure"] = json!({ "memory_bytes_max": 128 << 20, "publish_lag_max": "1h" });
        config["queues"] = json!({ "publish_messages_max": 1_000_000, "publish_bytes_max": 1 << 30 });
    })
    .await;
    rig.flowing().await;
    let level = async |rig: &Rig| rig.metric("marketprism_collector_pressure_level").await;
    assert_eq!(level(&rig).await, 0);
    rig.nats.stop();
    poll_until(DEADLINE, "memory fills until books are held back", async || level(&rig).await == 3).await;
    let under_pressure = pressure(&rig).await;
    assert_eq!(under_pressure["status"], "degraded", "{under_pressure}");
    assert!(under_pressure["reason"].as_str().unwrap().contains("memory"), "{under_pressure}");
    rig.nats.restart();
    poll_until(DEADLINE, "the level falls", async || level(&rig).await == 0).await;
    assert_eq!(pressure(&rig).await["status"], "healthy");
    rig.flowing().await;
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent, "{}", stored.log);
}

/// A client of the health port that sends most of a large head and then waits until it is shown out.
async fn half_request(address: String, bytes: usize) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let head = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}", "x".repeat(bytes));
    // It may be refused within it.
    drop(stream.write_all(head.as_bytes()).await);
    drop(stream.read_to_end(&mut Vec::new()).await);
}

/// 950 of them, until all are closed. On a thread of its own, so that they hold up no question of the test.
fn attack(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Too large every other one, and as large as may be.
    let bytes = |number| if number % 2 == 0 { 390 << 10 } else { 15 << 10 };
    runtime.block_on(async {
        let all: JoinSet<()> =
            (0..950).map(|number| half_request(address.to_owned(), bytes(number))).collect();
        all.join_all().await;
    });
}

#[tokio::test]
async fn a_thousand_half_requests_at_the_health_port_cost_no_book() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let [(health, _), _] = rig.admin_pages();
    let attackers = std::thread::spawn(move || attack(&health));
    let (mut level, mut memory) = (0, 0);
    let watching = async {
        loop {
            level = level.max(rig.metric("marketprism_collector_pressure_level").await);
            memory = memory.max(rig.metric("process_resident_memory_bytes").await);
            rig.more_of_everything().await;
            if attackers.is_finished() {
                return;
            }
        }
    };
    timeout(DEADLINE, watching).await.expect("every half request is closed");
    assert!(level < 3, "books were held back: level {level}");
    // Half of what pressure is measured against.
    assert!(memory < 256 << 20, "{memory} bytes");
    let refused = rig.metric("marketprism_http_connections_refused_total").await;
    // One that breaks off while it is refused ends as any broken connection.
    assert!(refused >= 950 / 2, "{refused} of 950 are counted");
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent, "{}", stored.log);
}
