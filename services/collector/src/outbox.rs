//! What a session asks for, collected until the connection performs it.

use bytes::Bytes;
use marketprism_bus::Outgoing;
use marketprism_core::message_id::message_id;
use marketprism_core::{DataType, Message};
use marketprism_exchanges::{Effects, Link, Lost, Note, Request};

use crate::metrics::ConnectionMetrics;

/// Bytes of a usual trade; books grow their buffer once.
const PAYLOAD_BYTES_USUAL: usize = 384;

/// Effects waiting to be performed, in the order they were asked for. Emptied after every call of the session, so it
/// holds what one frame or tick brings.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) messages: Vec<Outgoing>,
    pub(crate) sends: Vec<String>,
    pub(crate) fetches: Vec<Request>,
    pub(crate) lost: Option<Lost>,
    pub(crate) metrics: ConnectionMetrics,
}

impl Outbox {
    pub(crate) const fn new(metrics: ConnectionMetrics) -> Self {
        Self { messages: Vec::new(), sends: Vec::new(), fetches: Vec::new(), lost: None, metrics }
    }
}

impl Effects for Outbox {
    fn emit(&mut self, message: Message<'_>) {
        let data_type = message.data_type();
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES_USUAL);
        let encoded = message.subject().map_err(|error| error.to_string()).and_then(|subject| {
            message.encode(&mut payload).map_err(|error| error.to_string())?;
            Ok((message_id(&subject, &message), subject))
        });
        match encoded {
            Ok((message_id, subject)) => {
                self.metrics.emitted(data_type);
                if let Message::Gap(gap) = &message {
                    self.metrics.gaps_total.increment(1);
                    tracing::warn!(
                        subject = subject.as_str(),
                        missing = %gap.missing_data_type,
                        reason = %gap.reason,
                        from = gap.from_sequence,
                        to = gap.to_sequence,
                        filled = gap.filled,
                        detail = gap.detail.as_deref(),
                        "gap"
                    );
                }
                let subject = subject.as_str().to_owned();
                self.messages.push(Outgoing { subject, message_id, payload: Bytes::from(payload) });
            }
            Err(error) => {
                self.metrics.rejected("invalid_field");
                tracing::error!(%data_type, error, "message cannot be published");
            }
        }
    }

    fn send(&mut self, _: Link, text: String) {
        self.sends.push(text);
    }

    fn fetch(&mut self, request: Request) {
        self.fetches.push(request);
    }

    fn reconnect(&mut self, _: Link, reason: Lost) {
        // The first reason is the cause, later ones its consequences.
        self.lost.get_or_insert(reason);
    }

    fn note(&mut self, note: Note<'_>) {
        match note {
            Note::Resync { symbol, reason } => {
                self.metrics.resyncs_total.increment(1);
                tracing::warn!(symbol, %reason, "order book resynchronises");
            }
            Note::Synced { symbol } => tracing::info!(symbol, "order book synchronised"),
            Note::BookUpdated { .. } => self.metrics.book_updates_total.increment(1),
            Note::Duplicate { data_type: DataType::Trade } => self.metrics.duplicates_total.increment(1),
            Note::Duplicate { .. } => {}
            Note::Ignored { .. } => self.metrics.ignored_total.increment(1),
            Note::Backfilled { symbol, count } => {
                self.metrics.backfilled_total.increment(count);
                tracing::info!(symbol, count, "trades backfilled");
            }
            Note::Subscribed { streams } => tracing::debug!(streams, "subscribed"),
        }
    }
}
