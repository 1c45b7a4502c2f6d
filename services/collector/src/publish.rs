//! The stage between the sources' queue and the broker: publishes in order, drains at the end.

use marketprism_bus::{Bus, BusError, Outgoing, Publisher};
use marketprism_service::{Context, Report};
use tokio::sync::mpsc;

use crate::metrics::PublishMetrics;

/// Messages taken from the queue at once: saves wake-ups, adds no delay.
const TAKE_MAX: usize = 256;

/// Publishes until every source is gone, then waits for the acknowledgements and leaves the broker.
pub(crate) async fn run(
    mut messages: mpsc::Receiver<Outgoing>,
    publisher: Publisher,
    bus: Bus,
) -> Result<(), Report> {
    let metrics = PublishMetrics::default();
    let losses = publisher.take_losses();
    let mut taken = Vec::with_capacity(TAKE_MAX);
    let publish = async {
        while messages.recv_many(&mut taken, TAKE_MAX).await > 0 {
            metrics.queue_messages.set(u32::try_from(messages.len()).unwrap_or(u32::MAX));
            for message in taken.drain(..) {
                one(&publisher, &metrics, message).await?;
            }
        }
        publisher.drain().await.context("failed to collect the last acknowledgements")
    };
    tokio::select! {
        done = publish => done?,
        // Counted by the publisher; here they are named, so that nobody has to guess what was lost.
        () = name_losses(losses) => {}
    }
    bus.drain().await.context("failed to leave the broker")
}

async fn one(publisher: &Publisher, metrics: &PublishMetrics, message: Outgoing) -> Result<(), Report> {
    match publisher.publish(message).await {
        Ok(()) => Ok(()),
        // One message that can never be sent is no reason to lose the others.
        Err(error @ (BusError::PayloadTooLarge { .. } | BusError::Subject(_))) => {
            metrics.refused_total.increment(1);
            tracing::error!(%error, "message refused");
            Ok(())
        }
        Err(error) => Err(Report::from(error).context("failed to publish")),
    }
}

async fn name_losses(losses: Option<mpsc::Receiver<marketprism_bus::Lost>>) {
    if let Some(mut losses) = losses {
        while let Some(lost) = losses.recv().await {
            tracing::error!(
                subject = lost.subject,
                id = lost.message_id,
                detail = lost.detail,
                "message lost"
            );
        }
    }
    std::future::pending::<()>().await;
}
