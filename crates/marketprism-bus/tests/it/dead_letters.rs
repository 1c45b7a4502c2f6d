//! A dead letter is published again once, whatever was interrupted and however long ago; a stream is read as it is.

use std::time::Duration;

use bytes::Bytes;
use marketprism_bus::topology::{Allow, apply, defaults, plan};
use marketprism_bus::{Outgoing, PublisherConfig, Selection, Start, dead_letter_subject};
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
async fn letters_of_a_stream_that_was_made_anew_are_others() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let mut created_us = 0;
    for (incarnation, payload) in [1, 2].into_iter().zip(["one", "two"]) {
        for number in [1, 2] {
            let payload = Bytes::from(format!("{payload} {number}"));
            let message_id = format!("{incarnation}:{number}");
            publisher.publish(Outgoing { payload, message_id, ..trade(1) }).await.unwrap();
        }
        publisher.drain().await.unwrap();
        let reader = consumer(&bus, "reader", PATIENCE).await;
        // Of the first incarnation both are poison.
        for delivery in pull(&reader, 2).await.iter().take(3 - incarnation) {
            bus.dead_letter(delivery, "no good").await.unwrap();
            // Delivered again, it does not become a second one.
            bus.dead_letter(delivery, "no good").await.unwrap();
        }
        created_us = bus.stream_state(MARKET_DATA).await.unwrap().created_us;
        if incarnation == 1 {
            let subject = format!("$JS.API.STREAM.DELETE.{MARKET_DATA}");
            bus.ask(&subject, Bytes::new()).await.unwrap();
            apply(&bus, &plan(&bus, &defaults(), Allow::default()).await.unwrap()).await.unwrap();
        }
    }
    let mut letters = Vec::new();
    let mut reader = bus.dead_letters(None).await.unwrap();
    while let Some(letter) = reader.next().await.unwrap() {
        letters.push(letter);
    }
    let payloads: Vec<_> = letters.iter().map(|letter| letter.payload.clone()).collect();
    assert_eq!(payloads, ["one 1", "one 2", "two 1"]);
    assert_eq!([letters[0].stream_sequence, letters[2].stream_sequence], [1, 1]);
    for letter in &letters {
        bus.replay_dead_letter(letter, None).await.unwrap();
    }
    assert_eq!(bus.stream_state(MARKET_DATA).await.unwrap().messages, 5, "each is published again");
    let before = bus.replayed_before(&letters).await.unwrap();
    assert_eq!(before.len(), 3, "{before:?}");
    // 2 was poison in the first incarnation only.
    let dead = bus.dead_sequences(MARKET_DATA, created_us).await.unwrap();
    assert_eq!(dead.into_iter().collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_message_that_fills_the_brokers_limit_becomes_a_letter_too() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let reader = consumer(&bus, "reader", PATIENCE).await;
    // Without headers of our own, with room for a short reason, and with room for none.
    for (room, number) in [(5_000, 1), (500, 2), (200, 3)] {
        let payload = Bytes::from(vec![b'x'; (1 << 20) - room]);
        publisher.publish(Outgoing { payload, ..trade(number) }).await.unwrap();
        publisher.drain().await.unwrap();
        let delivery = pull(&reader, 1).await.remove(0);
        bus.dead_letter(&delivery, &"no good ".repeat(500)).await.unwrap();
        let letter = bus.dead_letter_at(number).await.unwrap().unwrap();
        let bytes = delivery.payload.len();
        assert!(letter.reason.starts_with("no good no good") && letter.reason.len() <= 1_024);
        assert_eq!(letter.truncated_from, (room == 200).then_some(bytes));
        assert!(bytes - letter.payload.len() < 400 && delivery.payload.starts_with(&letter.payload));
    }
    let letters = bus.stream_state(DEAD_LETTER).await.unwrap();
    assert_eq!(letters.messages, 3);
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
