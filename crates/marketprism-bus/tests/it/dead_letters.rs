//! A dead letter is published again once, whatever was interrupted and however long ago; a stream is read as it is.

use std::time::Duration;

use marketprism_bus::topology::{Allow, apply, defaults, plan};
use marketprism_bus::{PublisherConfig, Selection, Start, dead_letter_subject};
use marketprism_core::topology::{DEAD_LETTER, MARKET_DATA};
use marketprism_testkit::{NatsServer, poll_until};

use crate::{PATIENCE, connect, consumer, pull, started, trade};

#[tokio::test]
async fn an_interrupted_replay_is_found_after_the_duplicate_window() {
    let server = NatsServer::start();
    let bus = connect(&server).await;
    // The shortest window the broker takes.
    let short = defaults().into_iter().map(|stream| marketprism_bus::topology::DesiredStream {
        duplicate_window: Duration::from_millis(100),
        ..stream
    });
    let steps = plan(&bus, &short.collect::<Vec<_>>(), Allow::default()).await.unwrap();
    apply(&bus, &steps).await.unwrap();
    let publisher = bus.publisher(PublisherConfig::default());
    publisher.publish(trade(1)).await.unwrap();
    publisher.drain().await.unwrap();
    let reader = consumer(&bus, "reader", PATIENCE).await;
    let delivery = pull(&reader, 1).await.remove(0);
    bus.dead_letter(&delivery, "no good").await.unwrap();
    let letter = bus.dead_letter_at(1).await.unwrap().unwrap();
    assert_eq!((letter.reason.as_str(), letter.stream_sequence), ("no good", 1));
    assert_eq!(letter.payload, delivery.payload);
    assert!(bus.replayed_before(std::slice::from_ref(&letter)).await.unwrap().is_empty());
    let sequence = bus.replay_dead_letter(&letter, None).await.unwrap();
    assert_eq!(sequence, 2);
    assert_eq!(bus.dead_letter_at(1).await.unwrap(), None, "removed");
    assert_eq!(bus.dead_letter_at(2).await.unwrap(), None, "a receipt is no letter");
    assert!(bus.dead_letters(None).await.unwrap().next().await.unwrap().is_none());
    let dead = bus.dead_sequences(MARKET_DATA, 0).await.unwrap();
    assert_eq!(
        dead.into_iter().collect::<Vec<_>>(),
        [1],
        "what was replayed is still known to have been dead"
    );
    assert!(bus.dead_sequences(MARKET_DATA, i64::MAX).await.unwrap().is_empty());

    // The same letter, as if the replay had died before it removed it; the broker has forgotten its ids by now.
    poll_until(PATIENCE, "the duplicate window is over", async || {
        bus.dead_letter(&delivery, "no good").await.unwrap();
        bus.stream_state(DEAD_LETTER).await.unwrap().messages == 2
    })
    .await;
    let mut letters = bus.dead_letters(Some(MARKET_DATA)).await.unwrap();
    let letter = letters.next().await.unwrap().unwrap();
    let before = bus.replayed_before(std::slice::from_ref(&letter)).await.unwrap();
    assert_eq!(before.get(&letter.sequence), Some(&2));
    assert_eq!(bus.replay_dead_letter(&letter, Some(2)).await.unwrap(), 2);
    assert_eq!(bus.stream_state(MARKET_DATA).await.unwrap().messages, 2, "not published a second time");
    assert_eq!(bus.last_message(DEAD_LETTER, &dead_letter_subject(MARKET_DATA)).await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_is_read_from_anywhere_to_its_end() {
    let (_server, bus) = started().await;
    let selection = |from, subject: &str, headers_only| Selection {
        subjects: vec![subject.to_owned()],
        from,
        headers_only,
    };
    let mut empty = bus.read(MARKET_DATA, selection(Start::Sequence(1), "trade.>", false)).await.unwrap();
    assert!(empty.next().await.unwrap().is_none());
    let publisher = bus.publisher(PublisherConfig::default());
    for number in 1..=1_000 {
        publisher.publish(trade(number)).await.unwrap();
    }
    publisher.drain().await.unwrap();
    let mut reader =
        bus.read(MARKET_DATA, selection(Start::Sequence(501), "trade.*.*.S0", false)).await.unwrap();
    let mut sequences = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        assert_eq!(message.payload, message.sequence.to_string());
        assert_eq!(message.message_id(), Some(format!("trade:{}", message.sequence).as_str()));
        sequences.push(message.sequence);
    }
    assert_eq!(sequences, (101..=200).map(|fifth| fifth * 5).collect::<Vec<u64>>());
    let mut reader = bus.read(MARKET_DATA, selection(Start::Sequence(1_000), "trade.>", true)).await.unwrap();
    assert!(reader.next().await.unwrap().unwrap().payload.is_empty());
    assert!(reader.next().await.unwrap().is_none());
    let stored_us = bus.message(MARKET_DATA, 300).await.unwrap().unwrap().stored_us;
    let mut reader = bus.read(MARKET_DATA, selection(Start::Time(stored_us), "trade.>", true)).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    assert!(
        first.sequence <= 300 && first.stored_us == stored_us,
        "the first one stored in that microsecond"
    );
    assert_eq!(bus.message(MARKET_DATA, 7).await.unwrap().unwrap().payload, "7");
    assert_eq!(bus.message(MARKET_DATA, 1_001).await.unwrap(), None);
}
