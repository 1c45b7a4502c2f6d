//! One message of a consumer, and the answers to it. Not answering in time means it is delivered again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::AckKind;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;

use crate::error::BusError;

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
    reply: Subject,
    headers: Option<HeaderMap>,
    origin: Arc<Origin>,
}

/// What all deliveries of a consumer share: a client of their own would be the most expensive part of each.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) stream: String,
    pub(crate) client: async_nats::Client,
}

/// What the broker says about a delivery in the subject that takes its answer.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    delivered: u64,
    stream_sequence: u64,
    published_us: i64,
    pending: u64,
}

impl Told {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<ns since 1970>.<pending>`; brokers
    /// with domains put domain and account in front of the stream and may add more behind. The client's own reading of
    /// it wants a clone of the client for each message.
    fn parse(reply: &str) -> Option<Self> {
        let tokens = reply.strip_prefix("$JS.ACK.")?.as_bytes();
        let with_domain = tokens.iter().filter(|byte| **byte == b'.').count() >= 8;
        let mut tokens = tokens.split(|byte| *byte == b'.').skip(if with_domain { 4 } else { 2 }).map(number);
        let (delivered, stream_sequence) = (tokens.next()??, tokens.next()??);
        let published_us = i64::try_from(tokens.nth(1)?? / 1_000).ok()?;
        Some(Self { delivered, stream_sequence, published_us, pending: tokens.next()?? })
    }
}

/// A number of digits only.
fn number(token: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let push = |number: u64, byte| number.checked_mul(10)?.checked_add(digit(byte)?);
    token.iter().try_fold(0, push).filter(|_| !token.is_empty())
}

impl Delivery {
    /// `None` for a message that does not come from a consumer.
    pub(crate) fn new(origin: &Arc<Origin>, message: async_nats::Message) -> Option<Self> {
        let reply = message.reply?;
        let Told { delivered, stream_sequence, published_us, pending } = Told::parse(&reply)?;
        Some(Self {
            subject: message.subject.to_string(),
            payload: message.payload,
            stream_sequence,
            delivered,
            published_us,
            pending,
            reply,
            headers: message.headers,
            origin: Arc::clone(origin),
        })
    }

    /// The stream it is in.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.origin.stream
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

    /// Never again: it cannot be processed. Write a dead letter first ([`crate::Bus::dead_letter`]).
    ///
    /// # Errors
    /// [`BusError::Closed`].
    pub async fn reject(&self) -> Result<(), BusError> {
        self.answer(AckKind::Term).await
    }

    async fn confirmed(&self, kind: AckKind, verb: &str) -> Result<(), BusError> {
        match self.origin.client.request(self.reply.clone(), kind.into()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(BusError::request(
                format!("{verb} message {} of {}", self.stream_sequence, self.origin.stream),
                error,
            )),
        }
    }

    async fn answer(&self, kind: AckKind) -> Result<(), BusError> {
        self.origin.client.publish(self.reply.clone(), kind.into()).await.map_err(|_| BusError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_of_the_answer_tells_about_the_delivery() {
        let told =
            Told { delivered: 2, stream_sequence: 1_234, published_us: 1_791_417_600_000_001, pending: 7 };
        let rest = "MARKET_DATA.hot-trade.2.1234.1200.1791417600000001999.7";
        assert_eq!(Told::parse(&format!("$JS.ACK.{rest}")), Some(told));
        let told = Told::parse(&format!("$JS.ACK.hub.ACCOUNT.{rest}.token")).unwrap();
        assert_eq!((told.stream_sequence, told.pending), (1_234, 7));
        assert_eq!(Told::parse("_INBOX.abc"), None);
        for broken in ["$JS.ACK.S.c.1.x.1.1.0", "$JS.ACK.S.c.1..1.1.0", "$JS.ACK.S.c.1.1.1.1"] {
            assert_eq!(Told::parse(broken), None, "{broken}");
        }
    }
}
