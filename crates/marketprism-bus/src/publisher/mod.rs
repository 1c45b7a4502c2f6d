//! Publishing through JetStream: sent at once, confirmed in the background, sent again until confirmed.
//!
//! [`Publisher::publish`] hands a message to one task (`driver.rs`) which alone sends, collects the confirmations and
//! repeats what stays unconfirmed, under the same `Nats-Msg-Id`, for ever while the broker is away. Messages are
//! sent in the order of `publish`, repeated in that order too, and nothing new is sent while the connection is down;
//! so the order within a subject holds except around a message that the broker refused for a passing reason.

mod driver;
mod lookup;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::config::InvalidField;
use crate::connect::Bus;
use crate::error::BusError;
use crate::metrics::PublisherMetrics;
use driver::{Command, Driver};

/// Messages handed over and not yet sent. They only bridge the moments in which the task reads confirmations; when
/// the queue is full, `publish` waits.
const QUEUE_LEN: usize = 256;

/// Losses beyond one whole window that are kept for [`Publisher::take_losses`]' receiver; further ones are counted only.
const LOSSES_MAX: usize = 1024;

/// How to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublisherConfig {
    /// Most messages sent and not confirmed. 256 to 1024 is the sweet spot: more adds delay, not speed.
    pub in_flight_max: usize,
    /// A message not confirmed after this is sent again; doubles with each attempt up to `retry_delay_max`.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// Pause before a message that the broker refused for a passing reason is sent again; doubles likewise.
    #[serde(with = "humantime_serde")]
    pub retry_delay: Duration,
    /// Bound of both.
    #[serde(with = "humantime_serde")]
    pub retry_delay_max: Duration,
    /// How long "no stream takes this subject" is believed to pass: a cluster says so while it elects a leader.
    /// After that the message is lost, and reported as such.
    #[serde(with = "humantime_serde")]
    pub no_stream_patience: Duration,
    /// The streams' duplicate window, at most. What is unconfirmed for more than half of it after a reconnect is looked
    /// for in the stream before it is sent again.
    #[serde(with = "humantime_serde")]
    pub duplicate_window: Duration,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            in_flight_max: 1024,
            ack_timeout: Duration::from_secs(5),
            retry_delay: Duration::from_millis(100),
            retry_delay_max: Duration::from_secs(10),
            no_stream_patience: Duration::from_secs(10),
            duplicate_window: Duration::from_secs(120),
        }
    }
}

impl PublisherConfig {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the field and its value.
    pub fn validate(&self) -> Result<(), InvalidField> {
        // Beyond it the confirmations of one window no longer fit the client's queue of a subscription (65 536).
        if !(1..=32_768).contains(&self.in_flight_max) {
            return Err(InvalidField::new("in_flight_max", self.in_flight_max, "must be 1 to 32768"));
        }
        for (field, value) in [("ack_timeout", self.ack_timeout), ("retry_delay", self.retry_delay)] {
            if value.is_zero() || value > self.retry_delay_max {
                let value = format!("{value:?}");
                return Err(InvalidField::new(
                    field,
                    value,
                    "must be longer than nothing, at most retry_delay_max",
                ));
            }
        }
        Ok(())
    }
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to: a full subject, no wildcards.
    pub subject: String,
    /// Who it is, whoever sends it and how often: the `Nats-Msg-Id`. See `marketprism_core::message_id`.
    pub message_id: String,
    /// What it says.
    pub payload: Bytes,
}

/// Measures how long it takes until a message is confirmed.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    seconds: Histogram,
    started: Instant,
}

impl Stopwatch {
    /// One that runs since `started`; `seconds` is recorded when it stops.
    #[must_use]
    pub const fn running_since(started: Instant, seconds: Histogram) -> Self {
        Self { seconds, started }
    }

    fn stop(&self) {
        self.seconds.record(self.started.elapsed());
    }
}

/// Why a message will never be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossReason {
    /// No stream takes its subject.
    NoStream,
    /// It is larger than its stream takes.
    TooLarge,
    /// The broker refused it for a reason that does not pass.
    Refused,
    /// NATS cannot carry it: a line break in the id, for instance.
    Malformed,
}

impl LossReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::NoStream, Self::TooLarge, Self::Refused, Self::Malformed];

    /// The value of the metrics' label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoStream => "no_stream",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }
}

/// A message that will never be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its subject.
    pub subject: String,
    /// Its id.
    pub message_id: String,
    /// Why, as a closed set.
    pub reason: LossReason,
    /// Why, in the broker's words.
    pub detail: String,
    /// What it said.
    pub payload: Bytes,
}

/// Publishes through JetStream. Clones share one window; when the last one is dropped without
/// [`Publisher::drain`], what is unconfirmed is abandoned.
#[derive(Debug, Clone)]
pub struct Publisher {
    commands: mpsc::Sender<Command>,
    client: async_nats::Client,
    metrics: PublisherMetrics,
    losses: Arc<Mutex<Option<mpsc::Receiver<Lost>>>>,
    /// Ends the task when the last clone goes.
    _driver: Arc<JoinSet<()>>,
}

impl Bus {
    /// Starts a publisher. Must be called inside a tokio runtime.
    #[must_use]
    pub fn publisher(&self, config: PublisherConfig) -> Publisher {
        let (commands, queue) = mpsc::channel(QUEUE_LEN);
        let (report, losses) = mpsc::channel(config.in_flight_max.saturating_add(LOSSES_MAX));
        let metrics = PublisherMetrics::default();
        let mut driver = JoinSet::new();
        driver.spawn(Driver::new(self, config, metrics.clone(), queue, report).run());
        Publisher {
            commands,
            client: self.client.clone(),
            metrics,
            losses: Arc::new(Mutex::new(Some(losses))),
            _driver: Arc::new(driver),
        }
    }
}

impl Publisher {
    /// Publishes a message, waiting only for a place in the window. `Ok` means that it will be stored, or reported by
    /// [`Publisher::take_losses`] and counted.
    ///
    /// # Errors
    /// [`BusError::PayloadTooLarge`] and [`BusError::Subject`] for a message that was not sent and never can be;
    /// [`BusError::PublisherStopped`] when the task behind has ended.
    pub async fn publish(&self, message: Outgoing) -> Result<(), BusError> {
        self.hand_over(message, None).await
    }

    /// The same, and `stopwatch` stops when the broker has confirmed the message; never, when it is lost.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_timed(&self, message: Outgoing, stopwatch: Stopwatch) -> Result<(), BusError> {
        self.hand_over(message, Some(stopwatch)).await
    }

    async fn hand_over(&self, message: Outgoing, stopwatch: Option<Stopwatch>) -> Result<(), BusError> {
        if !is_publishable(&message.subject) {
            return Err(BusError::Subject(message.subject));
        }
        let bytes = message.payload.len() + header_bytes(&message.message_id);
        let bytes_max = self.client.max_payload();
        if bytes > bytes_max {
            return Err(BusError::PayloadTooLarge { subject: message.subject, bytes, bytes_max });
        }
        self.commands
            .send(Command::Publish(message, stopwatch))
            .await
            .map_err(|_| BusError::PublisherStopped)?;
        self.metrics.messages_published_total.increment(1);
        Ok(())
    }

    /// Waits until everything published so far is confirmed or lost: for ever while the broker is away, so bound it
    /// with the time there is.
    ///
    /// # Errors
    /// [`BusError::PublisherStopped`] when the task behind has ended.
    pub async fn drain(&self) -> Result<(), BusError> {
        let (done, settled) = oneshot::channel();
        self.commands.send(Command::Settle(done)).await.map_err(|_| BusError::PublisherStopped)?;
        settled.await.map_err(|_| BusError::PublisherStopped)
    }

    /// Returns once the task behind has ended, which it does only when the bus is closed or by a defect. A service
    /// watches it, so that a dead publisher ends the process instead of filling its queues.
    pub async fn stopped(&self) -> BusError {
        self.commands.closed().await;
        BusError::PublisherStopped
    }

    /// The messages that will never be stored, as they are found; the first caller gets them. Bounded: a reader that
    /// is a window and 1024 behind misses further ones, which are then counted only.
    #[must_use]
    pub fn take_losses(&self) -> Option<mpsc::Receiver<Lost>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Size of the header block that carries a message id: version line, one header, empty line.
const fn header_bytes(message_id: &str) -> usize {
    "NATS/1.0\r\n".len() + "Nats-Msg-Id: ".len() + message_id.len() + "\r\n\r\n".len()
}

/// Whether the broker would take it as it is: it trims white space, and an empty id would switch the check for
/// duplicates off without a word.
fn is_identity(message_id: &str) -> bool {
    !message_id.is_empty() && message_id.trim() == message_id && !message_id.contains(char::is_control)
}

pub(crate) fn is_publishable(subject: &str) -> bool {
    let bad = |token: &str| {
        token.is_empty()
            || token == "*"
            || token == ">"
            || token.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    !subject.split('.').any(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_nats_cannot_carry_are_refused() {
        for good in ["trade.binance.spot.BTC-USDT", "trade.a.spot.币安人生-USDT", "a"] {
            assert!(is_publishable(good), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "a b", "a.*", "a.>", "a\r\nPUB x", "a\u{1}"] {
            assert!(!is_publishable(bad), "{bad}");
        }
    }

    #[test]
    fn a_configuration_that_cannot_work_names_the_field() {
        assert!(PublisherConfig::default().validate().is_ok());
        let config = PublisherConfig { in_flight_max: 0, ..PublisherConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, "in_flight_max");
        let config = PublisherConfig { ack_timeout: Duration::ZERO, ..PublisherConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, "ack_timeout");
    }
}
