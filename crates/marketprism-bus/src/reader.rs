//! A stream read in order from a sequence on, by whoever compares or repairs: it acknowledges nothing and leaves nothing on
//! the broker. Not for storing: a [`crate::Consumer`] remembers how far it got.

use std::fmt;
use std::time::Duration;

use async_nats::datetime;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::connect::Bus;
use crate::error::BusError;
use crate::stream::StoredMessage;

/// How long the next message may take while the broker says there is one; longer than it takes the client to notice a
/// dead connection and to begin again.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this sequence.
    Sequence(u64),
    /// At what the broker stored at this time, µs since the Unix epoch.
    Time(i64),
}

/// Which messages of a stream to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Subjects, none for all of the stream.
    pub subjects: Vec<String>,
    /// Where to begin.
    pub from: Start,
    /// Leave the payloads at the broker.
    pub headers_only: bool,
}

/// Reads messages in the order of their sequences.
pub struct Reader {
    stream: String,
    messages: Ordered,
    /// Messages that the broker says are still to come.
    pending: u64,
}

impl Bus {
    /// Begins to read a stream.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], or [`BusError::Request`] when the broker does not answer.
    pub async fn read(&self, stream: &str, selection: Selection) -> Result<Reader, BusError> {
        let handle =
            self.stream_handle(stream).await?.ok_or_else(|| BusError::StreamMissing(stream.to_owned()))?;
        let operation = || format!("read stream {stream}");
        let deliver_policy = match selection.from {
            Start::Sequence(sequence) => DeliverPolicy::ByStartSequence { start_sequence: sequence.max(1) },
            Start::Time(micros) => DeliverPolicy::ByStartTime {
                start_time: datetime::from_nanos(i128::from(micros) * 1_000)
                    .map_err(|error| BusError::request(operation(), error))?,
            },
        };
        let config = OrderedConfig {
            filter_subjects: selection.subjects,
            deliver_policy,
            headers_only: selection.headers_only,
            ..OrderedConfig::default()
        };
        let consumer =
            handle.create_consumer(config).await.map_err(|error| BusError::request(operation(), error))?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer.messages().await.map_err(|error| BusError::request(operation(), error))?;
        Ok(Reader { stream: stream.to_owned(), messages, pending })
    }
}

impl Reader {
    /// The next message; `None` once the stream holds no further one.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker goes away for longer than a reconnect takes.
    pub async fn next(&mut self) -> Result<Option<StoredMessage>, BusError> {
        if self.pending == 0 {
            return Ok(None);
        }
        let operation = || format!("read the next message of stream {}", self.stream);
        let message = timeout(MESSAGE_TIMEOUT, self.messages.next())
            .await
            .map_err(|error| BusError::request(operation(), error))?
            .ok_or(BusError::Closed)?
            .map_err(|error| BusError::request(operation(), error))?;
        let (message, pending) = StoredMessage::delivered(message)
            .ok_or_else(|| BusError::request(operation(), "a message without its place in the stream"))?;
        self.pending = pending;
        Ok(Some(message))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, pending, .. } = self;
        f.debug_struct("Reader").field("stream", stream).field("pending", pending).finish_non_exhaustive()
    }
}
