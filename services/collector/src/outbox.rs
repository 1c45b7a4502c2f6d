//! What a session asks for: messages go on at once, the rest is collected until the connection performs it.

use std::time::Instant;

use marketprism_bus::Stopwatch;
use marketprism_core::{DataType, Message, Source, Timestamp};
use marketprism_exchanges::{Effects, Link, Lost, Note, Request, RequestId};

use crate::board::Post;
use crate::metrics::ConnectionMetrics;
use crate::overflow::{Overflow, WHY_SHED};
use crate::publish::outgoing;
use crate::queue::Timed;

/// Effects, in the order they were asked for. Emptied after every call of the session, so it holds what one frame or tick
/// brings.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) overflow: Overflow,
    pub(crate) sends: Vec<(Link, String)>,
    pub(crate) fetches: Vec<Request>,
    pub(crate) forgotten: Vec<RequestId>,
    pub(crate) lost: Vec<(Link, Lost)>,
    /// When what the session looks at was received.
    received: Instant,
    pub(crate) post: Post,
    pub(crate) metrics: ConnectionMetrics,
}

impl Outbox {
    pub(crate) fn new(overflow: Overflow, post: Post, metrics: ConnectionMetrics) -> Self {
        Self {
            overflow,
            sends: Vec::new(),
            fetches: Vec::new(),
            forgotten: Vec::new(),
            lost: Vec::new(),
            received: Instant::now(),
            post,
            metrics,
        }
    }

    /// The session is about to look at something that was received just now.
    pub(crate) fn received(&mut self) -> &mut Self {
        self.received = Instant::now();
        self
    }

    /// Declares what was shed, once there is room for that.
    pub(crate) fn declare_shed(&mut self, now: Timestamp) {
        for shed in self.overflow.take_shed() {
            self.emit(shed.gap(WHY_SHED, now).into());
        }
    }

    fn count(&self, message: &Message<'_>, subject: &str) {
        let common = message.common();
        self.metrics.emitted(message.data_type());
        if common.source == Source::Ws
            && common.ts_event_source.is_none()
            && let Some(latency) = self.metrics.latency(message.data_type())
            && let Ok(micros) = u64::try_from(common.ts_recv_us.micros_since(common.ts_event_us))
        {
            latency.receive_latency_seconds.record(std::time::Duration::from_micros(micros));
        }
        if let Message::Gap(gap) = message {
            self.metrics.socket.gaps_total.increment(1);
            self.post.gap(common.market_type, common.symbol, gap.missing_data_type);
            tracing::warn!(
                subject,
                missing = %gap.missing_data_type,
                reason = %gap.reason,
                from = gap.from_sequence,
                to = gap.to_sequence,
                filled = gap.filled,
                detail = gap.detail.as_deref(),
                "gap"
            );
        }
    }
}

impl Effects for Outbox {
    fn emit(&mut self, message: Message<'_>) {
        let data_type = message.data_type();
        if !self.overflow.takes(&message) {
            self.metrics.socket.messages_shed_total.increment(1);
            return;
        }
        match (outgoing(&message), self.metrics.latency(data_type)) {
            (Ok(outgoing), Some(latency)) => {
                self.count(&message, &outgoing.subject);
                let handed = latency.publish_handover_seconds.clone();
                let confirmed =
                    Stopwatch::running_since(self.received, latency.publish_latency_seconds.clone());
                self.overflow.push(Timed { outgoing, received: self.received, handed, confirmed });
            }
            // Its subject cannot be named, so neither can that of a gap.
            (outgoing, _) => {
                self.metrics.rejected("invalid_field");
                tracing::error!(%data_type, error = outgoing.err(), "message cannot be published");
            }
        }
    }

    fn send(&mut self, link: Link, text: String) {
        self.sends.push((link, text));
    }

    fn fetch(&mut self, request: Request) {
        self.fetches.push(request);
    }

    fn forget(&mut self, id: RequestId) {
        self.forgotten.push(id);
    }

    fn reconnect(&mut self, link: Link, reason: Lost) {
        self.lost.push((link, reason));
    }

    fn note(&mut self, note: Note<'_>) {
        let socket = &self.metrics.socket;
        match note {
            Note::Resync { symbol, reason } => {
                socket.orderbook_resyncs_total.increment(1);
                self.post.resync(symbol);
                tracing::warn!(symbol, %reason, "order book resynchronises");
            }
            Note::Synced { symbol } => tracing::info!(symbol, "order book synchronised"),
            Note::BookUpdated { .. } => socket.orderbook_updates_total.increment(1),
            Note::Duplicate { data_type: DataType::Trade } => socket.trade_duplicates_total.increment(1),
            Note::Duplicate { .. } => {}
            Note::Ignored { .. } => socket.frames_ignored_total.increment(1),
            Note::Backfilled { symbol, count } => {
                socket.trades_backfilled_total.increment(count);
                tracing::info!(symbol, count, "trades backfilled");
            }
            Note::Subscribed { streams } => tracing::debug!(streams, "subscribed"),
        }
    }
}
