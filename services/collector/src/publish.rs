//! The stage between the sources' queue and the broker: publishes in order, drains at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use marketprism_bus::{Bus, BusError, Lost, Publisher};
use marketprism_service::{Check, Context, Report};
use tokio::sync::mpsc;

use crate::metrics::PublishMetrics;
use crate::queue::{Queued, Timed};

/// Messages taken from the queue at once: saves wake-ups, adds no delay.
const TAKE_MAX: usize = 256;

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

/// Publishes until every source is gone, then waits for the acknowledgements and leaves the broker.
pub(crate) async fn run(
    mut messages: mpsc::Receiver<Queued>,
    publisher: Publisher,
    lag: PublishLag,
    check: Check,
    bus: Bus,
) -> Result<(), Report> {
    let metrics = PublishMetrics::default();
    let losses = publisher.take_losses();
    let mut taken = Vec::with_capacity(TAKE_MAX);
    let publish = async {
        while messages.recv_many(&mut taken, TAKE_MAX).await > 0 {
            metrics.queue_messages.set(u32::try_from(messages.len()).unwrap_or(u32::MAX));
            for queued in taken.drain(..) {
                lag.of(&queued.message);
                one(&publisher, &metrics, queued.message).await?;
            }
            lag.none();
        }
        publisher.drain().await.context("failed to collect the last acknowledgements")
    };
    tokio::select! {
        done = publish => done?,
        // Counted by the publisher; here they are named, so that nobody has to guess what was lost.
        () = name_losses(losses, check) => {}
    }
    bus.drain().await.context("failed to leave the broker")
}

async fn one(publisher: &Publisher, metrics: &PublishMetrics, message: Timed) -> Result<(), Report> {
    let Timed { outgoing, received, handed, confirmed } = message;
    match publisher.publish_timed(outgoing, confirmed).await {
        Ok(()) => {
            handed.record(received.elapsed());
            Ok(())
        }
        // One message that can never be sent is no reason to lose the others.
        Err(error @ (BusError::PayloadTooLarge { .. } | BusError::Subject(_))) => {
            metrics.refused_total.increment(1);
            tracing::error!(%error, "message refused");
            Ok(())
        }
        Err(error) => Err(Report::from(error).context("failed to publish")),
    }
}

async fn name_losses(losses: Option<mpsc::Receiver<Lost>>, check: Check) {
    let Some(mut losses) = losses else { return std::future::pending().await };
    let mut lost_count = 0_u64;
    check.healthy();
    loop {
        match tokio::time::timeout(LOSS_SHOWN, losses.recv()).await {
            Ok(Some(Lost { subject, message_id, detail, .. })) => {
                lost_count += 1;
                tracing::error!(subject, id = message_id, detail, "message lost");
                check.degraded(format!("{lost_count} messages lost, the last one on {subject}: {detail}"));
            }
            // The publisher is gone; whoever waits for its drain hears why.
            Ok(None) => return std::future::pending().await,
            Err(_) => {
                lost_count = 0;
                check.healthy();
            }
        }
    }
}
