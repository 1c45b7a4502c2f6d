//! How long the messages of a batch are certainly ours. The broker hands a message to somebody else when it has heard nothing
//! of it for `ack_wait`, or when it was restarted and has forgotten us; what is not certainly ours is not inserted.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use marketprism_bus::{BusError, Delivery, Status};
use marketprism_store::Store;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Our claim on the messages of one batch.
#[derive(Debug)]
pub(crate) struct Claim {
    batch: Vec<Delivery>,
    /// Seen as it was when the batch was asked for.
    status: watch::Receiver<Status>,
    ack_wait: Duration,
    until: Mutex<Instant>,
}

impl Claim {
    /// `pulled_at` is before the broker was asked for the batch, so that it counts the time from later than we do.
    pub(crate) fn new(
        batch: Vec<Delivery>,
        status: watch::Receiver<Status>,
        pulled_at: Instant,
        ack_wait: Duration,
    ) -> Self {
        Self { batch, status, ack_wait, until: Mutex::new(pulled_at + ack_wait) }
    }

    pub(crate) fn batch(&self) -> &[Delivery] {
        &self.batch
    }

    /// Whether an insert may be sent: the broker, asked just now over the connection that the batch came by, knows that
    /// we are at work, and gives the batch to nobody while the insert can still arrive.
    pub(crate) async fn holds(&self) -> bool {
        if self.left() < (self.ack_wait / 2).max(Store::ADMITTED_AT_MOST) {
            self.extend().await;
        }
        let Some(last) = self.batch.last() else { return false };
        last.in_progress_confirmed().await.is_ok()
            && !self.connection_changed()
            && self.left() >= Store::ADMITTED_AT_MOST
    }

    /// Keeps telling the broker that the batch is being worked on.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            // Twice before the broker would deliver it again, so that one lost word does no harm.
            sleep(self.ack_wait / 3).await;
            self.extend().await;
        }
    }

    async fn extend(&self) {
        if self.connection_changed() {
            return;
        }
        let told_at = Instant::now();
        let told: Result<(), BusError> = async {
            for delivery in &self.batch {
                delivery.in_progress().await?;
            }
            // One connection keeps their order: when the last one is confirmed, all are.
            if let Some(last) = self.batch.last() { last.in_progress_confirmed().await } else { Ok(()) }
        }
        .await;
        match told {
            // Told too late, the broker may have handed it on before.
            Ok(()) if !self.left().is_zero() => *self.until() = told_at + self.ack_wait,
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "could not keep a batch"),
        }
    }

    fn left(&self) -> Duration {
        self.until().saturating_duration_since(Instant::now())
    }

    /// Whether the connection was lost since the batch was asked for.
    pub(crate) fn connection_changed(&self) -> bool {
        self.status.has_changed().unwrap_or(true)
    }

    fn until(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
