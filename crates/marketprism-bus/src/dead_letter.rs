//! Where messages go that can never be processed: `dead_letter.{stream}`, with the reason and the original bytes.

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use marketprism_core::subject::DEAD_LETTER_PREFIX;

use crate::connect::Bus;
use crate::delivery::Delivery;
use crate::error::BusError;
use crate::metrics::DeadLetterMetrics;

/// Header: why it could not be processed.
pub const HEADER_REASON: &str = "MarketPrism-Reason";
/// Header: its original subject.
pub const HEADER_SUBJECT: &str = "MarketPrism-Subject";
/// Header: the stream it was in.
pub const HEADER_STREAM: &str = "MarketPrism-Stream";
/// Header: its sequence there.
pub const HEADER_SEQUENCE: &str = "MarketPrism-Sequence";
/// Header: how many times it had been delivered.
pub const HEADER_DELIVERED: &str = "MarketPrism-Delivered";

/// A reason is one line for a person; the bytes are beside it.
const REASON_CHARS_MAX: usize = 1024;

/// The subject of a stream's dead letters.
#[must_use]
pub fn subject(stream: &str) -> String {
    format!("{DEAD_LETTER_PREFIX}.{stream}")
}

impl Bus {
    /// Stores a message that can never be processed, and waits until the broker confirms it. The caller then rejects
    /// the delivery; done in this order, a crash in between leads to a second attempt, which the dead letter's id
    /// (stream and sequence) makes harmless.
    ///
    /// # Errors
    /// [`BusError::Request`] when it is not confirmed: leave the delivery unanswered.
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), BusError> {
        let stream = delivery.stream();
        let mut headers = HeaderMap::new();
        let sequence = delivery.stream_sequence.to_string();
        for (name, value) in [
            (NATS_MESSAGE_ID.as_ref(), format!("{DEAD_LETTER_PREFIX}:{stream}:{sequence}")),
            (HEADER_REASON, one_line(reason)),
            (HEADER_SUBJECT, delivery.subject.clone()),
            (HEADER_STREAM, stream.to_owned()),
            (HEADER_SEQUENCE, sequence.clone()),
            (HEADER_DELIVERED, delivery.delivered.to_string()),
        ] {
            headers.insert(name, value.as_str());
        }
        let operation = || format!("store the dead letter of message {sequence} of {stream}");
        let confirmation = self
            .jetstream
            .publish_with_headers(subject(stream), headers, delivery.payload.clone())
            .await
            .map_err(|error| BusError::request(operation(), error))?;
        confirmation.await.map_err(|error| BusError::request(operation(), error))?;
        DeadLetterMetrics::new_with_labels(&[("stream", stream.to_owned())]).dead_letters_total.increment(1);
        tracing::warn!(stream, sequence, subject = delivery.subject, reason, "dead letter");
        Ok(())
    }
}

/// A header's value is one line; the client panics on others.
fn one_line(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_a_header() {
        assert_eq!(one_line("bad\r\njson: é"), "bad  json: é");
        assert_eq!(one_line(&"x".repeat(5_000)).len(), REASON_CHARS_MAX);
    }
}
