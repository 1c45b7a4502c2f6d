//! What reaches the streams, counted by instrument while it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use marketprism_bus::{Bus, Consumer, ConsumerConfig};
use marketprism_core::topology::{MARKET_DATA, ORDERBOOK_SNAP};
use serde_json::Value;

use crate::rig::place;

/// Every message so far, by instrument.
pub(crate) struct Tape {
    consumers: Vec<Consumer>,
    parts: Parts,
}

/// By exchange, market type and instrument id.
pub(crate) type Parts = BTreeMap<String, Part>;

/// What one instrument brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) trades: usize,
    /// Trades fetched afterwards.
    pub(crate) backfilled: usize,
    pub(crate) books: usize,
    /// Books that begin a chain: the first after a (re)synchronisation.
    pub(crate) first_books: usize,
    pub(crate) gaps: Vec<Value>,
}

impl Part {
    /// Nothing is missing and no book had to begin again.
    pub(crate) fn is_untouched(&self) -> bool {
        self.gaps.is_empty() && self.first_books == 0 && self.backfilled == 0
    }

    fn add(&mut self, message: Value) {
        match message["data_type"].as_str().unwrap() {
            "trade" => {
                self.trades += 1;
                self.backfilled += usize::from(message["source"] == "backfill");
            }
            "orderbook" => {
                self.books += 1;
                self.first_books += usize::from(message.get("previous_update_id").is_none());
            }
            "gap" => self.gaps.push(message),
            _ => {}
        }
    }

    fn without(&self, earlier: &Self) -> Self {
        Self {
            trades: self.trades - earlier.trades,
            backfilled: self.backfilled - earlier.backfilled,
            books: self.books - earlier.books,
            first_books: self.first_books - earlier.first_books,
            gaps: self.gaps[earlier.gaps.len()..].to_vec(),
        }
    }
}

impl Tape {
    pub(crate) async fn of(bus: &Bus) -> Self {
        let mut consumers = Vec::new();
        for stream in [MARKET_DATA, ORDERBOOK_SNAP] {
            let config = ConsumerConfig { durable: format!("tape-{stream}"), ..ConsumerConfig::default() };
            consumers.push(bus.consumer(stream, config).await.unwrap());
        }
        Self { consumers, parts: Parts::new() }
    }

    /// Reads on to the present; all there is now.
    pub(crate) async fn read(&mut self) -> Parts {
        for consumer in &self.consumers {
            loop {
                let batch = consumer.next_batch(1_000, 64 << 20, Duration::from_millis(20)).await.unwrap();
                for delivery in &batch {
                    delivery.ack().await.unwrap();
                    let message: Value = serde_json::from_slice(&delivery.payload).unwrap();
                    self.parts.entry(place(&message)).or_default().add(message);
                }
                if batch.len() < 1_000 {
                    break;
                }
            }
        }
        self.parts.clone()
    }

    /// Reads on to the present; what came after `earlier`, of those that brought anything ever.
    pub(crate) async fn read_since(&mut self, earlier: &Parts) -> Parts {
        let none = Part::default();
        let now = self.read().await;
        now.into_iter()
            .map(|(place, part)| {
                let part = part.without(earlier.get(&place).unwrap_or(&none));
                (place, part)
            })
            .collect()
    }
}
