//! One message of a consumer, and the answers to it. Not answering in time means it is delivered again.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::AckKind;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;

use crate::connect::Bus;
use crate::error::BusError;
use crate::stream::microseconds;

/// A message delivered by a [`crate::Consumer`].
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its subject.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Its sequence in the stream: its identity.
    pub stream_sequence: u64,
    /// How many times it was delivered, this one included. Beyond 1 somebody may have stored it already.
    pub delivered: u64,
    /// When the broker stored it, µs since the Unix epoch.
    pub published_us: i64,
    /// Messages of the consumer still waiting behind it.
    pub pending: u64,
    stream: String,
    reply: Subject,
    headers: Option<HeaderMap>,
    client: async_nats::Client,
}

impl Delivery {
    /// `None` for a message that does not come from a consumer.
    pub(crate) fn new(bus: &Bus, message: async_nats::Message) -> Option<Self> {
        let message = async_nats::jetstream::Message { message, context: bus.jetstream.clone() };
        let info = message.info().ok()?;
        let (stream_sequence, pending) = (info.stream_sequence, info.pending);
        let delivered = u64::try_from(info.delivered).ok()?;
        let published_us = microseconds(info.published.unix_timestamp_nanos());
        let stream = info.stream.to_owned();
        let message = message.message;
        Some(Self {
            subject: message.subject.to_string(),
            payload: message.payload,
            stream_sequence,
            delivered,
            published_us,
            pending,
            stream,
            reply: message.reply?,
            headers: message.headers,
            client: bus.client.clone(),
        })
    }

    /// The stream it is in.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Its `Nats-Msg-Id`, if it has one.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.header(NATS_MESSAGE_ID.as_ref())
    }

    /// One of its headers.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// Done with it. Not confirmed: if the word is lost, the message is delivered again.
    ///
    /// # Errors
    /// [`BusError::Closed`].
    pub async fn ack(&self) -> Result<(), BusError> {
        self.answer(AckKind::Ack).await
    }

    /// Done with it, and the broker has confirmed that it knows.
    ///
    /// # Errors
    /// [`BusError::Request`] when no confirmation came within the request timeout.
    pub async fn ack_confirmed(&self) -> Result<(), BusError> {
        self.confirmed(AckKind::Ack, "acknowledge").await
    }

    /// Still at it: the time until redelivery starts anew.
    ///
    /// # Errors
    /// [`BusError::Closed`].
    pub async fn in_progress(&self) -> Result<(), BusError> {
        self.answer(AckKind::Progress).await
    }

    /// Still at it, and the broker has confirmed that it knows.
    ///
    /// # Errors
    /// [`BusError::Request`] when no confirmation came within the request timeout.
    pub async fn in_progress_confirmed(&self) -> Result<(), BusError> {
        self.confirmed(AckKind::Progress, "keep").await
    }

    /// Not now: deliver it again after `delay`.
    ///
    /// # Errors
    /// [`BusError::Closed`].
    pub async fn retry_in(&self, delay: Duration) -> Result<(), BusError> {
        self.answer(AckKind::Nak(Some(delay))).await
    }

    /// Never again: it cannot be processed. Write a dead letter first ([`Bus::dead_letter`]).
    ///
    /// # Errors
    /// [`BusError::Closed`].
    pub async fn reject(&self) -> Result<(), BusError> {
        self.answer(AckKind::Term).await
    }

    async fn confirmed(&self, kind: AckKind, verb: &str) -> Result<(), BusError> {
        match self.client.request(self.reply.clone(), kind.into()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(BusError::request(
                format!("{verb} message {} of {}", self.stream_sequence, self.stream),
                error,
            )),
        }
    }

    async fn answer(&self, kind: AckKind) -> Result<(), BusError> {
        self.client.publish(self.reply.clone(), kind.into()).await.map_err(|_| BusError::Closed)
    }
}
