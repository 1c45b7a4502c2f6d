//! Everything that reaches the streams, read while it happens, and what each instrument's part of it says.

use std::collections::BTreeMap;
use std::time::Duration;

use marketprism_bus::{Bus, Consumer, ConsumerConfig};
use marketprism_core::topology::{MARKET_DATA, ORDERBOOK_SNAP};
use serde_json::Value;

use crate::rig::place;

/// All messages so far, each stream's in its order.
pub(crate) struct Tape {
    consumers: Vec<Consumer>,
    messages: Vec<Value>,
}

/// What one instrument brought in a part of the tape.
#[derive(Debug, Default)]
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
}

impl Tape {
    pub(crate) async fn of(bus: &Bus) -> Self {
        let mut consumers = Vec::new();
        for stream in [MARKET_DATA, ORDERBOOK_SNAP] {
            let config = ConsumerConfig { durable: format!("tape-{stream}"), ..ConsumerConfig::default() };
            consumers.push(bus.consumer(stream, config).await.unwrap());
        }
        Self { consumers, messages: Vec::new() }
    }

    /// Reads on to the present; how many messages there are now.
    pub(crate) async fn read(&mut self) -> usize {
        for consumer in &self.consumers {
            loop {
                let batch = consumer.next_batch(1_000, 64 << 20, Duration::from_millis(20)).await.unwrap();
                for delivery in &batch {
                    delivery.ack().await.unwrap();
                    self.messages.push(serde_json::from_slice(&delivery.payload).unwrap());
                }
                if batch.len() < 1_000 {
                    break;
                }
            }
        }
        self.messages.len()
    }

    /// By instrument, what came after the first `from` messages.
    pub(crate) fn since(&self, from: usize) -> BTreeMap<String, Part> {
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for message in &self.messages[from..] {
            let part = parts.entry(place(message)).or_default();
            match message["data_type"].as_str().unwrap() {
                "trade" => {
                    part.trades += 1;
                    part.backfilled += usize::from(message["source"] == "backfill");
                }
                "orderbook" => {
                    part.books += 1;
                    part.first_books += usize::from(message.get("previous_update_id").is_none());
                }
                "gap" => part.gaps.push(message.clone()),
                _ => {}
            }
        }
        parts
    }
}
