//! Somebody looks at what is published.

use marketprism_bus::{Outgoing, PublisherConfig};

use crate::{started, trade};

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_sees_what_is_published_on_the_subject_and_nothing_else() {
    let (_server, bus) = started().await;
    let mut all = bus.subscribe("trade.binance.spot.*").await.unwrap();
    let mut one = bus.subscribe("trade.binance.spot.S2").await.unwrap();
    let publisher = bus.publisher(PublisherConfig::default());
    for number in 1..=3 {
        publisher.publish(trade(number)).await.unwrap();
    }
    let Outgoing { subject, payload, .. } = trade(2);
    let seen = one.next().await.unwrap();
    assert_eq!((seen.subject, seen.payload), (subject, payload));
    for number in 1..=3 {
        assert_eq!(all.next().await.unwrap().payload, number.to_string());
    }
    bus.drain().await.unwrap();
    assert_eq!(one.next().await, None, "closed");
}
