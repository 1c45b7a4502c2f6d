//! Where messages go that can never be processed: `dead_letter.{stream}`, with the reason and the original bytes; and how
//! they come back: published again, confirmed, receipted on `dead_letter.{stream}.replayed`, and only then removed.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use bytes::Bytes;
use marketprism_core::subject::DEAD_LETTER_PREFIX;
use marketprism_core::topology::DEAD_LETTER;

use crate::connect::Bus;
use crate::delivery::Delivery;
use crate::error::BusError;
use crate::metrics::DeadLetterMetrics;
use crate::reader::{Reader, Selection, Start};
use crate::stream::StoredMessage;

/// Header: why it could not be processed.
pub const HEADER_REASON: &str = "MarketPrism-Reason";
/// Header: its original subject.
pub const HEADER_SUBJECT: &str = "MarketPrism-Subject";
/// Header: the stream it was in.
pub const HEADER_STREAM: &str = "MarketPrism-Stream";
/// Header: its sequence there.
pub const HEADER_SEQUENCE: &str = "MarketPrism-Sequence";
/// Header: when the broker stored it there, µs since the Unix epoch. A sequence alone names another message after the stream
/// was made anew.
pub const HEADER_PUBLISHED: &str = "MarketPrism-Published";
/// Header: how many times it had been delivered.
pub const HEADER_DELIVERED: &str = "MarketPrism-Delivered";
/// Header: how many bytes it had, where only the first of them fit beside these headers.
pub const HEADER_TRUNCATED: &str = "MarketPrism-Truncated-From";

/// Header of a receipt: the sequence under which the message is in its stream now.
pub const HEADER_REPLAYED_AS: &str = "MarketPrism-Replayed-As";

/// A reason is one line for a person; the bytes are beside it.
const REASON_BYTES_MAX: usize = 1024;
/// Where message and headers together are too large, the reason is shortened first; to no less than this.
const REASON_BYTES_MIN: usize = 100;
/// Subjects that a search for replayed messages is narrowed to; beyond it the whole stream is searched.
const SUBJECTS_MAX: usize = 100;

/// A message that could not be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Sequence of the letter in its own stream: its name for commands.
    pub sequence: u64,
    /// When it became one, µs since the Unix epoch.
    pub stored_us: i64,
    /// Why.
    pub reason: String,
    /// Its original subject.
    pub subject: String,
    /// The stream it was in.
    pub stream: String,
    /// Its sequence there.
    pub stream_sequence: u64,
    /// When the broker stored it there, µs since the Unix epoch.
    pub published_us: i64,
    /// How many times it had been delivered.
    pub delivered: u64,
    /// Its original bytes.
    pub payload: Bytes,
    /// How many they were, where only the first of them fit into the letter.
    pub truncated_from: Option<usize>,
}

/// The dead letters, oldest first.
#[derive(Debug)]
pub struct DeadLetters(Reader);

/// The subject of a stream's dead letters.
#[must_use]
pub fn subject(stream: &str) -> String {
    format!("{DEAD_LETTER_PREFIX}.{stream}")
}

/// The subject of the receipts of a stream's letters that were replayed.
fn receipt_subject(stream: &str) -> String {
    format!("{DEAD_LETTER_PREFIX}.{stream}.replayed")
}

impl DeadLetter {
    /// A message of the dead letters' stream; what is missing in it is empty or 0, so that it can still be shown.
    fn of(message: StoredMessage) -> Self {
        let text = |name| message.header(name).unwrap_or_default().to_owned();
        let number = |name| message.header(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        let truncated_from = message.header(HEADER_TRUNCATED).and_then(|bytes| bytes.parse().ok());
        Self {
            sequence: message.sequence,
            stored_us: message.stored_us,
            reason: text(HEADER_REASON),
            subject: text(HEADER_SUBJECT),
            stream: text(HEADER_STREAM),
            stream_sequence: number(HEADER_SEQUENCE),
            published_us: published_us(&message),
            delivered: number(HEADER_DELIVERED),
            payload: message.payload,
            truncated_from,
        }
    }

    /// The `Nats-Msg-Id` of the message when it is published again: not that of the first attempt, which the stream still
    /// knows, and the same one however often it is tried.
    fn replay_id(&self) -> String {
        format!("{}:replay", letter_id(&self.stream, self.published_us, self.stream_sequence))
    }
}

impl DeadLetters {
    /// The next one; `None` behind the last.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker goes away.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, BusError> {
        Ok(self.0.next().await?.map(DeadLetter::of))
    }
}

impl Bus {
    /// The dead letters, of one stream or of all.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], or [`BusError::Request`] when the broker does not answer.
    pub async fn dead_letters(&self, stream: Option<&str>) -> Result<DeadLetters, BusError> {
        // One token: receipts have one more.
        let subjects = vec![subject(stream.unwrap_or("*"))];
        let selection = Selection { subjects, from: Start::Sequence(1), headers_only: false };
        Ok(DeadLetters(self.read(DEAD_LETTER, selection).await?))
    }

    /// One dead letter; `None` when there is none of this sequence.
    ///
    /// # Errors
    /// As [`Bus::dead_letters`].
    pub async fn dead_letter_at(&self, sequence: u64) -> Result<Option<DeadLetter>, BusError> {
        let found = self.message(DEAD_LETTER, sequence).await?;
        Ok(found.filter(|message| !is_receipt(message)).map(DeadLetter::of))
    }

    /// The sequences of a stream whose messages became dead letters, of those that were stored in it since a time; including
    /// those that were replayed.
    ///
    /// # Errors
    /// As [`Bus::dead_letters`].
    pub async fn dead_sequences(&self, stream: &str, since_us: i64) -> Result<HashSet<u64>, BusError> {
        let subjects = vec![subject(stream), receipt_subject(stream)];
        let selection = Selection { subjects, from: Start::Sequence(1), headers_only: true };
        let mut reader = self.read(DEAD_LETTER, selection).await?;
        let mut sequences = HashSet::new();
        while let Some(message) = reader.next().await? {
            let sequence = message.header(HEADER_SEQUENCE).and_then(|text| text.parse().ok());
            sequences.extend(sequence.filter(|_: &u64| published_us(&message) >= since_us));
        }
        Ok(sequences)
    }

    /// Which of these letters are in their streams again already, and as which sequence: left by a replay that was
    /// interrupted before it removed the letter, however long ago.
    ///
    /// # Errors
    /// As [`Bus::dead_letters`].
    pub async fn replayed_before(&self, letters: &[DeadLetter]) -> Result<HashMap<u64, u64>, BusError> {
        let mut found = HashMap::new();
        let streams: BTreeSet<&str> = letters.iter().map(|letter| letter.stream.as_str()).collect();
        for stream in streams {
            let of_it = || letters.iter().filter(|letter| letter.stream == stream);
            let ids: HashMap<String, u64> =
                of_it().map(|letter| (letter.replay_id(), letter.sequence)).collect();
            let subjects: BTreeSet<&str> = of_it().map(|letter| letter.subject.as_str()).collect();
            let narrowed = subjects.len() <= SUBJECTS_MAX;
            let subjects = subjects.into_iter().filter(|_| narrowed).map(str::to_owned).collect();
            // From the beginning: the stream may be another one than the letter's sequence tells of.
            let selection = Selection { subjects, from: Start::Sequence(1), headers_only: true };
            let mut reader = self.read(stream, selection).await?;
            while let Some(message) = reader.next().await? {
                if let Some(letter) = message.message_id().and_then(|id| ids.get(id)) {
                    found.insert(*letter, message.sequence);
                }
            }
        }
        Ok(found)
    }

    /// Publishes a letter's original bytes under its original subject, waits for the confirmation, leaves a receipt, and
    /// removes the letter; returns the sequence of the message in its stream. `already` is what
    /// [`Bus::replayed_before`] found of it.
    ///
    /// # Errors
    /// [`BusError::Subject`] when the subject cannot be published on; [`BusError::Request`] when the broker does not
    /// confirm a step: then the letter is still there, and replaying it again is safe.
    pub async fn replay_dead_letter(
        &self,
        letter: &DeadLetter,
        already: Option<u64>,
    ) -> Result<u64, BusError> {
        if !crate::publisher::is_publishable(&letter.subject) {
            return Err(BusError::Subject(letter.subject.clone()));
        }
        let DeadLetter { sequence, stream, stream_sequence, published_us, .. } = letter;
        let replayed_as = match already {
            Some(found) => found,
            None => {
                let headers = header_map([(NATS_MESSAGE_ID.as_ref(), letter.replay_id())]);
                let operation = format!("replay dead letter {sequence}");
                self.publish_confirmed(&letter.subject, headers, letter.payload.clone(), operation).await?
            }
        };
        let receipt = header_map([
            (NATS_MESSAGE_ID.as_ref(), format!("{}:receipt", letter.replay_id())),
            (HEADER_SUBJECT, letter.subject.clone()),
            (HEADER_STREAM, stream.clone()),
            (HEADER_SEQUENCE, stream_sequence.to_string()),
            (HEADER_PUBLISHED, published_us.to_string()),
            (HEADER_REPLAYED_AS, replayed_as.to_string()),
        ]);
        let operation = format!("leave the receipt of dead letter {sequence}");
        self.publish_confirmed(&receipt_subject(stream), receipt, Bytes::new(), operation).await?;
        let letters = self
            .stream_handle(DEAD_LETTER)
            .await?
            .ok_or_else(|| BusError::StreamMissing(DEAD_LETTER.to_owned()))?;
        letters
            .delete_message(*sequence)
            .await
            .map_err(|error| BusError::request(format!("remove dead letter {sequence}"), error))?;
        Ok(replayed_as)
    }

    /// Publishes at once and waits until a stream has it; returns its sequence there.
    async fn publish_confirmed(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
        operation: String,
    ) -> Result<u64, BusError> {
        let (bytes, bytes_max) = (payload.len() + header_bytes(&headers), self.client.max_payload());
        if bytes > bytes_max {
            // The broker would end the connection.
            return Err(BusError::PayloadTooLarge { subject: subject.to_owned(), bytes, bytes_max });
        }
        let sent = self.jetstream.publish_with_headers(subject.to_owned(), headers, payload).await;
        match sent {
            Ok(confirmation) => match confirmation.await {
                Ok(confirmed) => Ok(confirmed.sequence),
                Err(error) => Err(BusError::request(operation, error)),
            },
            Err(error) => Err(BusError::request(operation, error)),
        }
    }

    /// Stores a message that can never be processed, and waits until the broker confirms it. The caller then rejects
    /// the delivery; done in this order, a crash in between leads to a second attempt, which the dead letter's id
    /// (stream, time and sequence) makes harmless. Of a message so large that its letter would exceed the broker's `max_payload`
    /// the end is left out, and the letter says so.
    ///
    /// # Errors
    /// [`BusError::Request`] when it is not confirmed: leave the delivery unanswered.
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), BusError> {
        let stream = delivery.stream();
        let Delivery { stream_sequence: sequence, published_us, delivered, .. } = *delivery;
        let mut headers = header_map([
            (NATS_MESSAGE_ID.as_ref(), letter_id(stream, published_us, sequence)),
            (HEADER_SUBJECT, delivery.subject.clone()),
            (HEADER_STREAM, stream.to_owned()),
            (HEADER_SEQUENCE, sequence.to_string()),
            (HEADER_PUBLISHED, published_us.to_string()),
            (HEADER_DELIVERED, delivered.to_string()),
            (HEADER_REASON, String::new()),
        ]);
        let mut payload = delivery.payload.clone();
        let room = self.client.max_payload().saturating_sub(header_bytes(&headers));
        let for_reason = room.saturating_sub(payload.len()).clamp(REASON_BYTES_MIN, REASON_BYTES_MAX);
        headers.insert(HEADER_REASON, one_line(reason, for_reason).as_str());
        if payload.len() + header_bytes(&headers) > self.client.max_payload() {
            headers.insert(HEADER_TRUNCATED, payload.len().to_string().as_str());
            payload.truncate(self.client.max_payload().saturating_sub(header_bytes(&headers)));
        }
        let operation = format!("store the dead letter of message {sequence} of {stream}");
        self.publish_confirmed(&subject(stream), headers, payload, operation).await?;
        DeadLetterMetrics::new_with_labels(&[("stream", stream.to_owned())]).dead_letters_total.increment(1);
        tracing::warn!(stream, sequence, subject = delivery.subject, reason, "dead letter");
        Ok(())
    }
}

fn is_receipt(message: &StoredMessage) -> bool {
    message.header(HEADER_REPLAYED_AS).is_some()
}

/// The `Nats-Msg-Id` of a message's letter.
fn letter_id(stream: &str, published_us: i64, sequence: u64) -> String {
    format!("{DEAD_LETTER_PREFIX}:{stream}:{published_us}:{sequence}")
}

/// When the message of a letter, or of a receipt, was stored in its stream. One of a release that did not say so was stored
/// before its letter was.
fn published_us(letter: &StoredMessage) -> i64 {
    letter.header(HEADER_PUBLISHED).and_then(|text| text.parse().ok()).unwrap_or(letter.stored_us)
}

/// Size of a header block: version line, a line for each, empty line.
fn header_bytes(headers: &HeaderMap) -> usize {
    let lines = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let name_bytes = |name: &str| name.len() + ": ".len();
    let lines = lines.map(|(name, value)| name_bytes(name.as_ref()) + value.as_str().len() + "\r\n".len());
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}

fn header_map<const N: usize>(values: [(&str, String); N]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        headers.insert(name, value.as_str());
    }
    headers
}

/// A header's value is one line; the client panics on others.
fn one_line(reason: &str, bytes_max: usize) -> String {
    let fits = |(at, char): &(usize, char)| at + char.len_utf8() <= bytes_max;
    reason.char_indices().take_while(fits).map(|(_, c)| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_a_header() {
        assert_eq!(one_line("bad\r\njson: é", REASON_BYTES_MAX), "bad  json: é");
        assert_eq!(one_line(&"é".repeat(5_000), 101).len(), 100);
    }
}
