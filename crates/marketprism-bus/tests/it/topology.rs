//! Planning, applying and verifying the streams.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use marketprism_bus::topology::{Action, Allow, DesiredStream, apply, defaults, plan, verify};
use marketprism_bus::{BusError, PublisherConfig};
use marketprism_core::topology::{DEAD_LETTER, MARKET_DATA, ORDERBOOK_SNAP};
use marketprism_testkit::NatsServer;

use crate::{connect, started, trade};

const ALL: [&str; 3] = [MARKET_DATA, ORDERBOOK_SNAP, DEAD_LETTER];

fn market_data(change: impl FnOnce(&mut DesiredStream)) -> Vec<DesiredStream> {
    let mut desired = defaults();
    change(&mut desired[0]);
    desired
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_twice_is_applied_once() {
    let server = NatsServer::start();
    let bus = connect(&server).await;
    assert!(matches!(verify(&bus, &ALL).await, Err(BusError::StreamMissing(name)) if name == MARKET_DATA));
    let steps = plan(&bus, &defaults(), Allow::default()).await.unwrap();
    assert!(steps.iter().all(|step| step.action == Action::Create));
    assert!(bus.stream_state(MARKET_DATA).await.is_err(), "planning created a stream");
    apply(&bus, &steps).await.unwrap();
    verify(&bus, &ALL).await.unwrap();
    let steps = plan(&bus, &defaults(), Allow::default()).await.unwrap();
    assert!(steps.iter().all(|step| step.action == Action::Keep && step.changes.is_empty()), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn growing_is_applied_and_shrinking_is_refused_unless_allowed() {
    let (_server, bus) = started().await;
    let larger = market_data(|stream| stream.max_bytes *= 2);
    let steps = plan(&bus, &larger, Allow::default()).await.unwrap();
    assert_eq!(steps[0].action, Action::Update);
    apply(&bus, &steps).await.unwrap();

    let smaller = market_data(|stream| stream.max_age = Duration::from_secs(3_600));
    let steps = plan(&bus, &smaller, Allow::default()).await.unwrap();
    assert!(
        matches!(&steps[0].action, Action::Refuse { flag: Some("--allow-shrink"), .. }),
        "{:?}",
        steps[0].action
    );
    let error = apply(&bus, &steps).await.unwrap_err();
    assert!(error.to_string().contains("--allow-shrink"), "{error}");

    let steps = plan(&bus, &smaller, Allow { shrink: true, ..Allow::default() }).await.unwrap();
    apply(&bus, &steps).await.unwrap();
    assert!(
        plan(&bus, &smaller, Allow::default()).await.unwrap().iter().all(|step| step.action == Action::Keep)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_step_stops_the_whole_plan() {
    let (_server, bus) = started().await;
    let mut desired = market_data(|stream| stream.max_bytes *= 2);
    desired[1].max_age /= 2;
    let steps = plan(&bus, &desired, Allow::default()).await.unwrap();
    assert!(apply(&bus, &steps).await.is_err());
    assert_eq!(
        plan(&bus, &desired, Allow::default()).await.unwrap()[0].action,
        Action::Update,
        "it was applied"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_with_messages_are_not_given_up() {
    let (_server, bus) = started().await;
    let fewer = market_data(|stream| stream.subjects.retain(|subject| subject != "trade.>"));
    assert_eq!(
        plan(&bus, &fewer, Allow::default()).await.unwrap()[0].action,
        Action::Update,
        "it holds none"
    );
    let publisher = bus.publisher(PublisherConfig::default());
    publisher.publish(trade(1)).await.unwrap();
    publisher.drain().await.unwrap();
    let action = plan(&bus, &fewer, Allow::default()).await.unwrap().remove(0).action;
    assert!(matches!(&action, Action::Refuse { flag: Some("--allow-drop-subjects"), .. }), "{action}");
    let allow = Allow { drop_subjects: true, ..Allow::default() };
    apply(&bus, &plan(&bus, &fewer, allow).await.unwrap()).await.unwrap();
    assert_eq!(bus.stream_state(MARKET_DATA).await.unwrap().messages, 1, "the message is gone");
    let error = verify(&bus, &ALL).await.unwrap_err().to_string();
    assert!(error.contains("trade.>") && error.contains("broker-bootstrap"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_change_is_refused_without_a_flag() {
    let server = NatsServer::start();
    let bus = connect(&server).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let stream = |name: &str, subject: &str, storage| stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        storage,
        ..stream::Config::default()
    };
    context.create_stream(stream(MARKET_DATA, "trade.>", stream::StorageType::Memory)).await.unwrap();
    context.create_stream(stream("OTHER", "orderbook.binance.>", stream::StorageType::File)).await.unwrap();
    let allow = Allow { shrink: true, drop_subjects: true };
    let steps = plan(&bus, &defaults(), allow).await.unwrap();
    assert!(steps[0].action.to_string().starts_with("refuse: storage"), "{}", steps[0].action);
    assert!(matches!(&steps[1].action, Action::Refuse { reason, flag: None } if reason.contains("OTHER")));
    assert!(matches!(verify(&bus, &ALL).await, Err(BusError::StreamDiffers { .. })));
}
