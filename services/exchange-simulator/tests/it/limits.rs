//! What ends a connection: too many requests, missing pongs, age; and the closing handshake.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use marketprism_service::HumanDuration;
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{DEADLINE, Running};

#[tokio::test]
async fn a_sixth_request_in_a_second_ends_a_spot_connection() {
    let simulator = Running::start(|_| {}).await;
    let mut socket = simulator.connect("/ws").await;
    for id in 0..6 {
        socket.send(json!({ "method": "LIST_SUBSCRIPTIONS", "id": id })).await;
    }
    let mut answers = 0;
    while socket.next().await.is_some() {
        answers += 1;
    }
    assert_eq!(answers, 5);
    let mut socket = simulator.connect("/market/ws").await;
    for id in 0..10 {
        socket.send(json!({ "method": "LIST_SUBSCRIPTIONS", "id": id })).await;
    }
    for id in 0..10 {
        assert_eq!(socket.next().await.unwrap()["id"], id);
    }
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let simulator = Running::start(|config| config.limits.streams_per_connection_max = 2).await;
    let mut socket = simulator.connect("/ws").await;
    socket.send(json!({ "method": "SUBSCRIBE", "params": ["a@trade", "b@trade", "c@trade"], "id": 1 })).await;
    assert_eq!(socket.next().await.unwrap()["code"], 2);
    assert_eq!(simulator.get("/stream?streams=a@trade/b@trade/c@trade").await.status(), 400);
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn pings_come_and_a_missing_pong_ends_it() {
    let simulator = Running::start(|config| {
        config.limits.ping_interval = HumanDuration::from_millis(50);
        config.limits.pong_timeout = HumanDuration::from_millis(500);
    })
    .await;
    let mut socket = simulator.connect("/ws").await;
    for _ in 0..3 {
        let ping = timeout(DEADLINE, socket.0.next()).await.unwrap().unwrap().unwrap();
        assert!(ping.is_ping(), "{ping:?}");
    }
    // A client that does not even read never answers.
    let deaf = simulator.connect("/ws").await;
    simulator.status_until("both were seen", |status| status["connections_total"] == 2).await;
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(async move { while socket.next_text().await.is_some() {} });
    simulator.status_until("the deaf one was dropped", |status| status["connections"] != 2).await;
    drop(deaf);
    simulator.stop().await;
}

#[tokio::test]
async fn a_connection_has_a_life() {
    let simulator = Running::start(|config| {
        config.limits.connection_life = HumanDuration::from_millis(200);
    })
    .await;
    let mut socket = simulator.connect("/ws/btcusdt@depth").await;
    let closing = async {
        loop {
            if let Some(Ok(Message::Close(frame))) = socket.0.next().await {
                return frame.unwrap();
            }
        }
    };
    let frame = timeout(DEADLINE, closing).await.unwrap();
    assert_eq!(u16::from(frame.code), 1001);
    drop(socket);
    simulator.stop().await;
}

#[tokio::test]
async fn after_a_close_nothing_more_is_sent_or_counted() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = Running::start(|config| {
        (config.rate, config.ledger) = (20_000, Some(ledger.clone()));
    })
    .await;
    let mut received = 0;
    for _ in 0..5 {
        let mut socket = simulator.connect("/stream?streams=btcusdt@trade/btcusdt@depth/ethusdt@depth").await;
        for _ in 0..500 {
            socket.next().await.unwrap();
            received += 1;
        }
        socket.0.send(Message::Close(None)).await.unwrap();
        let rest = async {
            loop {
                match socket.0.next().await {
                    Some(Ok(Message::Text(_))) => received += 1,
                    Some(Ok(Message::Close(_))) => return,
                    Some(Ok(_)) => {}
                    other => panic!("the Close was not answered: {other:?}"),
                }
            }
        };
        timeout(Duration::from_secs(5), rest).await.unwrap();
    }
    simulator.stop().await;
    let lines = std::fs::read_to_string(&ledger).unwrap().lines().count();
    assert_eq!(lines, received, "ledger and client disagree");
}
