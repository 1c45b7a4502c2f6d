//! The one queue between all connections and the publisher: bounded in messages and in bytes, never waited for by a
//! socket.

use std::sync::Arc;
use std::time::Instant;

use marketprism_bus::{Outgoing, Stopwatch};
use marketprism_service::ConfigError;
use metrics::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How much may wait for the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QueuesConfig {
    /// Messages between all connections and the publisher.
    pub(crate) publish_messages_max: usize,
    /// Bytes of those.
    pub(crate) publish_bytes_max: u32,
    /// Messages each connection holds besides, when that queue is full. Beyond them messages are shed, and declared in `gap`
    /// messages: trades and liquidations last, they alone have the last fifth.
    pub(crate) overflow_messages_max: usize,
    /// Bytes of those.
    pub(crate) overflow_bytes_max: usize,
}

impl Default for QueuesConfig {
    fn default() -> Self {
        Self {
            // A second of the busiest minute seen (about 10,000 messages/s over all exchanges).
            publish_messages_max: 10_000,
            // Those messages at 3 KB, a book of 50 levels a side.
            publish_bytes_max: 32 << 20,
            // A minute of trades of a busy connection.
            overflow_messages_max: 20_000,
            overflow_bytes_max: 8 << 20,
        }
    }
}

impl QueuesConfig {
    /// # Errors
    /// Names the field and its value.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let messages = [
            ("publish_messages_max", self.publish_messages_max),
            ("overflow_messages_max", self.overflow_messages_max),
        ];
        for (field, value) in messages {
            if !(1..=1_000_000).contains(&value) {
                return Err(ConfigError::invalid(format!("queues.{field}"), value, "must be 1 to 1000000"));
            }
        }
        let bytes = [
            ("publish_bytes_max", u64::from(self.publish_bytes_max)),
            ("overflow_bytes_max", u64::try_from(self.overflow_bytes_max).unwrap_or(u64::MAX)),
        ];
        for (field, value) in bytes {
            if !(65_536..=1 << 30).contains(&value) {
                let reason = "must be 65536 (the largest book) to 1073741824";
                return Err(ConfigError::invalid(format!("queues.{field}"), value, reason));
            }
        }
        Ok(())
    }
}

/// A message with what its way to the broker is measured by.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) outgoing: Outgoing,
    /// When the frame that brought it was received.
    pub(crate) received: Instant,
    /// Records how long it took from then until the message is handed to the publisher.
    pub(crate) handed: Histogram,
    /// The same until the broker has confirmed it.
    pub(crate) confirmed: Stopwatch,
}

impl Timed {
    fn bytes(&self) -> u32 {
        u32::try_from(self.outgoing.payload.len()).unwrap_or(u32::MAX)
    }
}

/// A message in the queue, with its place.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) message: Timed,
    _bytes: OwnedSemaphorePermit,
}

/// The sending end. Clones share the bounds.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    bytes_max: u32,
}

/// How full a queue is, without keeping it open.
#[derive(Debug, Clone)]
pub(crate) struct Fill {
    sender: mpsc::WeakSender<Queued>,
    bytes: Arc<Semaphore>,
    bytes_max: u32,
}

/// Both ends of a queue.
pub(crate) fn queue(config: &QueuesConfig) -> (Queue, mpsc::Receiver<Queued>) {
    let (sender, messages) = mpsc::channel(config.publish_messages_max);
    let bytes_max = config.publish_bytes_max;
    let bytes = Arc::new(Semaphore::new(usize::try_from(bytes_max).unwrap_or(Semaphore::MAX_PERMITS)));
    (Queue { sender, bytes, bytes_max }, messages)
}

impl Queue {
    /// Queues a message; gives it back when there is no room.
    pub(crate) fn offer(&self, message: Timed) -> Option<Timed> {
        let Ok(bytes) = self.bytes.clone().try_acquire_many_owned(self.places(&message)) else {
            return Some(message);
        };
        let sent = self.sender.try_send(Queued { message, _bytes: bytes });
        sent.err().map(|error| error.into_inner().message)
    }

    /// Waits until there was room for a message. False when the publisher is gone, which ends the process.
    pub(crate) async fn has_room(&self, message: &Timed) -> bool {
        let _bytes = self.bytes.acquire_many(self.places(message)).await;
        self.sender.reserve().await.is_ok()
    }

    /// How full it is.
    pub(crate) fn fill(&self) -> Fill {
        Fill { sender: self.sender.downgrade(), bytes: self.bytes.clone(), bytes_max: self.bytes_max }
    }

    /// A message larger than the whole queue takes all of it: it is the publisher's to refuse it.
    fn places(&self, message: &Timed) -> u32 {
        message.bytes().min(self.bytes_max)
    }
}

impl Fill {
    /// Percent of the messages or bytes there is room for, whichever is more.
    pub(crate) fn percent(&self) -> u64 {
        let Some(sender) = self.sender.upgrade() else { return 0 };
        let percent = |free: usize, max: usize| 100_usize.saturating_sub(free * 100 / max.max(1));
        let messages = percent(sender.capacity(), sender.max_capacity());
        let bytes = percent(self.bytes.available_permits(), usize::try_from(self.bytes_max).unwrap_or(1));
        u64::try_from(messages.max(bytes)).unwrap_or(100)
    }
}
