//! The stage between the sources' queue and the broker: publishes in order, declares what the broker refuses, drains at the
//! end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use marketprism_bus::{Bus, BusError, Lost, Outgoing, Publisher};
use marketprism_core::Message;
use marketprism_core::message_id::message_id;
use marketprism_service::{Check, Context, Report};
use tokio::sync::mpsc;

use crate::clock;
use crate::metrics::PublishMetrics;
use crate::missed::{Abandoned, Missed};
use crate::overflow::WHY_SHED;
use crate::queue::{Queued, Timed};

/// Messages taken from the queue at once: saves wake-ups, adds no delay.
const TAKE_MAX: usize = 256;

/// Bytes of a usual trade; books grow their buffer once.
const PAYLOAD_BYTES_USUAL: usize = 384;

/// How often what was refused is declared: one gap of each stream, whatever comes.
const DECLARE_INTERVAL: Duration = Duration::from_secs(1);

/// Why what was refused is missing.
const WHY_REFUSED: &str = "refused by the broker";

/// How long health shows a loss.
const LOSS_SHOWN: Duration = Duration::from_secs(600);

/// How long the message that is being handed to the publisher has been on its way. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct PublishLag {
    began: Instant,
    /// µs from `began` to its receipt, plus one; 0 while nothing waits.
    received: Arc<AtomicU64>,
}

impl Default for PublishLag {
    fn default() -> Self {
        Self { began: Instant::now(), received: Arc::default() }
    }
}

impl PublishLag {
    fn of(&self, message: &Timed) {
        let micros = message.received.saturating_duration_since(self.began).as_micros();
        self.received.store(u64::try_from(micros).unwrap_or(u64::MAX).saturating_add(1), Ordering::Relaxed);
    }

    fn none(&self) {
        self.received.store(0, Ordering::Relaxed);
    }

    /// Zero while nothing waits.
    pub(crate) fn get(&self) -> Duration {
        match self.received.load(Ordering::Relaxed).checked_sub(1) {
            Some(micros) => self.began.elapsed().saturating_sub(Duration::from_micros(micros)),
            None => Duration::ZERO,
        }
    }
}

/// A message as the broker gets it.
///
/// # Errors
/// Names what cannot be in a subject.
pub(crate) fn outgoing(message: &Message<'_>) -> Result<Outgoing, String> {
    let subject = message.subject().map_err(|error| error.to_string())?;
    let mut payload = Vec::with_capacity(PAYLOAD_BYTES_USUAL);
    message.encode(&mut payload).map_err(|error| error.to_string())?;
    let message_id = message_id(&subject, message);
    Ok(Outgoing { subject: subject.as_str().to_owned(), message_id, payload: Bytes::from(payload) })
}

/// Publishes until every source is gone, then waits for the acknowledgements and leaves the broker.
pub(crate) async fn run(
    mut messages: mpsc::Receiver<Queued>,
    publisher: Publisher,
    lag: PublishLag,
    abandoned: Abandoned,
    check: Check,
    bus: Bus,
) -> Result<(), Report> {
    let metrics = PublishMetrics::default();
    let mut taken = Vec::with_capacity(TAKE_MAX);
    let mut refused = Refused::new(&publisher, abandoned, check);
    let mut ticks = tokio::time::interval(DECLARE_INTERVAL);
    loop {
        tokio::select! {
            count = messages.recv_many(&mut taken, TAKE_MAX) => {
                if count == 0 {
                    break;
                }
                metrics.queue_messages.set(u32::try_from(messages.len()).unwrap_or(u32::MAX));
                for queued in taken.drain(..) {
                    lag.of(&queued.message);
                    one(&publisher, &metrics, &mut refused, queued.message).await?;
                }
                lag.none();
            }
            _ = ticks.tick() => refused.declare(&publisher).await?,
        }
    }
    publisher.drain().await.context("failed to collect the last acknowledgements")?;
    refused.declare(&publisher).await?;
    publisher.drain().await.context("failed to collect the acknowledgements of the last gaps")?;
    bus.drain().await.context("failed to leave the broker")
}

async fn one(
    publisher: &Publisher,
    metrics: &PublishMetrics,
    refused: &mut Refused,
    message: Timed,
) -> Result<(), Report> {
    let Timed { outgoing, received, handed, confirmed } = message;
    let payload = outgoing.payload.clone();
    match publisher.publish_timed(outgoing, confirmed).await {
        Ok(()) => {
            handed.record(received.elapsed());
            Ok(())
        }
        // One message that can never be sent is no reason to lose the others.
        Err(error @ (BusError::PayloadTooLarge { .. } | BusError::Subject(_))) => {
            metrics.refused_total.increment(1);
            tracing::error!(%error, "message refused");
            if let BusError::PayloadTooLarge { subject, .. } = &error {
                refused.missed.add_encoded(subject, &payload);
            }
            Ok(())
        }
        Err(error) => Err(Report::from(error).context("failed to publish")),
    }
}

/// Messages that the broker, or its client, refuses for ever. Counted by the publisher; here they are named, and declared.
struct Refused {
    losses: Option<mpsc::Receiver<Lost>>,
    missed: Missed,
    abandoned: Abandoned,
    check: Check,
    /// Since health was last well.
    count: u64,
    shown_since: Option<Instant>,
}

impl Refused {
    fn new(publisher: &Publisher, abandoned: Abandoned, check: Check) -> Self {
        check.healthy();
        Self {
            losses: publisher.take_losses(),
            missed: Missed::default(),
            abandoned,
            check,
            count: 0,
            shown_since: None,
        }
    }

    /// Publishes one gap for each stream of which messages were refused, or abandoned by their connection. One that is
    /// refused itself is declared again.
    async fn declare(&mut self, publisher: &Publisher) -> Result<(), Report> {
        while let Some(lost) = self.losses.as_mut().and_then(|losses| losses.try_recv().ok()) {
            self.lost(&lost);
        }
        if self.shown_since.is_some_and(|since| since.elapsed() > LOSS_SHOWN) {
            (self.count, self.shown_since) = (0, None);
            self.check.healthy();
        }
        let refused = self.missed.take().map(|missed| (missed, WHY_REFUSED));
        let abandoned = self.abandoned.with(Missed::take).map(|missed| (missed, WHY_SHED));
        for (missed, why) in refused.chain(abandoned) {
            let gap = Message::from(missed.gap(why, clock::now()));
            // It was one once: its subject can be named.
            let Ok(outgoing) = outgoing(&gap) else { continue };
            tracing::warn!(subject = outgoing.subject, "gap");
            publisher.publish(outgoing).await.context("failed to declare what the broker refuses")?;
        }
        Ok(())
    }

    fn lost(&mut self, Lost { subject, message_id, detail, payload, .. }: &Lost) {
        tracing::error!(subject, id = message_id, detail, "message lost");
        self.count += 1;
        self.shown_since = Some(Instant::now());
        self.check.degraded(format!("{} messages lost, the last one on {subject}: {detail}", self.count));
        self.missed.add_encoded(subject, payload);
    }
}
