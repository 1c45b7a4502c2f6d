//! What a stream holds: its sequences, its last message of a subject, and how far a consumer got. Reads only.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{ErrorCode, context::ConsumerInfoErrorKind};
use bytes::Bytes;

use crate::connect::Bus;
use crate::error::BusError;

/// What a stream holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// Sequence of the oldest message still there; one more than the last when there is none.
    pub first_sequence: u64,
    /// Sequence of the newest message ever stored, 0 before the first.
    pub last_sequence: u64,
    /// Messages held.
    pub messages: u64,
    /// Bytes held.
    pub bytes: u64,
    /// When the stream was created, µs since the Unix epoch: another time means another stream.
    pub created_us: i64,
}

/// Beyond which a stream drops its oldest messages; `None`: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Age of a message.
    pub max_age: Option<Duration>,
    /// Bytes of all messages.
    pub max_bytes: Option<u64>,
    /// Number of messages.
    pub max_messages: Option<u64>,
}

/// How far a durable consumer got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerState {
    /// Up to this sequence of the stream everything was acknowledged or rejected.
    pub ack_floor: u64,
    /// Messages of the stream not delivered yet.
    pub pending: u64,
    /// Messages delivered and not answered yet.
    pub unanswered: u64,
    /// What the broker calls the pinned reader; `None` where nobody is.
    pub pinned: Option<String>,
}

/// A message read from a stream, without a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
    /// When the broker stored it, µs since the Unix epoch.
    pub stored_us: i64,
    headers: HeaderMap,
}

impl StoredMessage {
    /// Its `Nats-Msg-Id`, if it has one.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.header(NATS_MESSAGE_ID.as_ref())
    }

    /// One of its headers.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// All of its headers, in the order of their names.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let values = self.headers.iter().flat_map(|(name, values)| values.iter().map(move |one| (name, one)));
        let mut all: Vec<_> = values.map(|(name, one)| (name.to_string(), one.as_str().to_owned())).collect();
        all.sort();
        all
    }

    /// A message of a consumer, and how many the consumer has behind it; `None` for one without a place in a stream.
    pub(crate) fn delivered(message: async_nats::jetstream::Message) -> Option<(Self, u64)> {
        let info = message.info().ok()?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let stored_us = microseconds(info.published.unix_timestamp_nanos());
        let message = message.message;
        let headers = message.headers.unwrap_or_default();
        let (subject, payload) = (message.subject.to_string(), message.payload);
        Some((Self { sequence, subject, payload, stored_us, headers }, pending))
    }
}

impl From<StreamMessage> for StoredMessage {
    fn from(message: StreamMessage) -> Self {
        Self {
            sequence: message.sequence,
            subject: message.subject.to_string(),
            payload: message.payload,
            stored_us: microseconds(message.time.unix_timestamp_nanos()),
            headers: message.headers,
        }
    }
}

impl Bus {
    /// What a stream holds now.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], or [`BusError::Request`] when the broker does not answer.
    pub async fn stream_state(&self, stream: &str) -> Result<StreamState, BusError> {
        let info =
            self.stream_info(stream).await?.ok_or_else(|| BusError::StreamMissing(stream.to_owned()))?;
        Ok(StreamState {
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
            messages: info.state.messages,
            bytes: info.state.bytes,
            created_us: microseconds(info.created.unix_timestamp_nanos()),
        })
    }

    /// What makes a stream drop messages.
    ///
    /// # Errors
    /// As [`Bus::stream_state`].
    pub async fn stream_limits(&self, stream: &str) -> Result<StreamLimits, BusError> {
        let info =
            self.stream_info(stream).await?.ok_or_else(|| BusError::StreamMissing(stream.to_owned()))?;
        // 0 and -1 both mean no limit.
        let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
        Ok(StreamLimits {
            max_age: Some(info.config.max_age).filter(|age| !age.is_zero()),
            max_bytes: limit(info.config.max_bytes),
            max_messages: limit(info.config.max_messages),
        })
    }

    /// The stream sequence up to which a consumer has acknowledged everything; `None` when it does not exist.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker does not answer.
    pub async fn ack_floor(&self, stream: &str, durable: &str) -> Result<Option<u64>, BusError> {
        Ok(self.consumer_state(stream, durable).await?.map(|state| state.ack_floor))
    }

    /// How far a consumer got; `None` when it does not exist.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker does not answer.
    pub async fn consumer_state(
        &self,
        stream: &str,
        durable: &str,
    ) -> Result<Option<ConsumerState>, BusError> {
        let operation = || format!("read consumer {durable} of stream {stream}");
        let handle = self
            .jetstream
            .get_stream_no_info(stream)
            .await
            .map_err(|error| BusError::request(operation(), error))?;
        match handle.consumer_info(durable).await {
            Ok(info) => Ok(Some(ConsumerState {
                ack_floor: info.ack_floor.stream_sequence,
                pending: info.num_pending,
                unanswered: info.num_ack_pending as u64,
                pinned: info.priority_groups.into_iter().find_map(|group| group.pinned_client_id),
            })),
            Err(error)
                if matches!(
                    error.kind(),
                    ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(BusError::request(operation(), error)),
        }
    }

    /// The newest message of a subject that the stream holds.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], or [`BusError::Request`] when the broker does not answer.
    pub async fn last_message(&self, stream: &str, subject: &str) -> Result<Option<StoredMessage>, BusError> {
        let handle =
            self.stream_handle(stream).await?.ok_or_else(|| BusError::StreamMissing(stream.to_owned()))?;
        match handle.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message.into())),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => {
                Err(BusError::request(format!("read the last message of {subject} in {stream}"), error))
            }
        }
    }

    /// One message of a stream; `None` when it is not there, or not any more.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], or [`BusError::Request`] when the broker does not answer.
    pub async fn message(&self, stream: &str, sequence: u64) -> Result<Option<StoredMessage>, BusError> {
        let handle =
            self.stream_handle(stream).await?.ok_or_else(|| BusError::StreamMissing(stream.to_owned()))?;
        match handle.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message.into())),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(BusError::request(format!("read message {sequence} of {stream}"), error)),
        }
    }

    pub(crate) async fn stream_info(&self, stream: &str) -> Result<Option<Info>, BusError> {
        Ok(self.stream_handle(stream).await?.map(|handle| handle.cached_info().clone()))
    }

    pub(crate) async fn stream_handle(&self, stream: &str) -> Result<Option<Stream>, BusError> {
        match self.jetstream.get_stream(stream).await {
            Ok(handle) => Ok(Some(handle)),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Ok(None)
                }
                GetStreamErrorKind::JetStream(_)
                | GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::Request
                | GetStreamErrorKind::InvalidStreamName => {
                    Err(BusError::request(format!("read stream {stream}"), error))
                }
            },
        }
    }
}

/// Nanoseconds since the epoch to microseconds; saturates 290 000 years away from it.
pub(crate) fn microseconds(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds / 1_000).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}
