//! What a stream holds: its sequences, its last message of a subject, and how far a consumer got. Reads only.

use async_nats::jetstream::context::GetStreamErrorKind;
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

/// A message read from a stream, without a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Its `Nats-Msg-Id`, if it has one.
    pub message_id: Option<String>,
    /// When the broker stored it, µs since the Unix epoch.
    pub stored_us: i64,
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

    /// The stream sequence up to which a consumer has acknowledged everything; `None` when it does not exist.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker does not answer.
    pub async fn ack_floor(&self, stream: &str, durable: &str) -> Result<Option<u64>, BusError> {
        let operation = || format!("read consumer {durable} of stream {stream}");
        let handle = self
            .jetstream
            .get_stream_no_info(stream)
            .await
            .map_err(|error| BusError::request(operation(), error))?;
        match handle.consumer_info(durable).await {
            Ok(info) => Ok(Some(info.ack_floor.stream_sequence)),
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
            Ok(message) => Ok(Some(StoredMessage {
                sequence: message.sequence,
                subject: message.subject.to_string(),
                payload: message.payload,
                message_id: message
                    .headers
                    .get(async_nats::header::NATS_MESSAGE_ID)
                    .map(|id| id.as_str().to_owned()),
                stored_us: microseconds(message.time.unix_timestamp_nanos()),
            })),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => {
                Err(BusError::request(format!("read the last message of {subject} in {stream}"), error))
            }
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
