//! A batch as it comes from the broker, and the one that is pulled ahead of the one being written. Reads no message.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::MaybeDone;
use marketprism_bus::{BusError, Consumer, Status};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::claim::Claim;
use crate::config::{BatchConfig, Config};
use crate::metrics::LaneMetrics;

/// Asks for batches.
#[derive(Debug)]
pub(crate) struct Puller {
    consumer: Consumer,
    status: watch::Receiver<Status>,
    batch: BatchConfig,
    ack_wait: Duration,
    metrics: LaneMetrics,
}

/// The messages of one answer, possibly none.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) claim: Claim,
    /// Our pin then (the name that the broker has for the pinned reader).
    pub(crate) pin: Option<String>,
    bytes: usize,
    metrics: LaneMetrics,
}

impl Puller {
    pub(crate) fn new(
        consumer: Consumer,
        status: watch::Receiver<Status>,
        config: &Config,
        metrics: LaneMetrics,
    ) -> Self {
        Self { consumer, status, batch: config.batch, ack_wait: config.ack_wait.get(), metrics }
    }

    pub(crate) fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// The next batch, after as long as one may age.
    pub(crate) async fn pull(&self) -> Result<Pulled, BusError> {
        let BatchConfig { rows_max, bytes_max, age_max } = self.batch;
        let mut status = self.status.clone();
        status.mark_unchanged();
        let asked_at = Instant::now();
        let batch = self.consumer.next_batch(rows_max, bytes_max, age_max.get()).await?;
        let bytes = batch.iter().map(|delivery| delivery.payload.len()).sum();
        self.metrics.batch_queue_size.increment(batch.len() as f64);
        self.metrics.batch_queue_bytes.increment(bytes as f64);
        let claim = Claim::new(batch, status, asked_at, self.ack_wait);
        Ok(Pulled { claim, pin: self.consumer.pin(), bytes, metrics: self.metrics.clone() })
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        self.metrics.batch_queue_size.decrement(self.claim.batch().len() as f64);
        self.metrics.batch_queue_bytes.decrement(self.bytes as f64);
    }
}

/// Pulls the next batch, if one was asked for, and then keeps it.
pub(crate) async fn stay_ahead<F>(mut ahead: Pin<&mut MaybeDone<F>>) -> Infallible
where
    F: Future<Output = Result<Pulled, BusError>>,
{
    if matches!(*ahead, MaybeDone::Future(_)) {
        ahead.as_mut().await;
    }
    match &*ahead {
        MaybeDone::Done(Ok(pulled)) => pulled.claim.keep().await,
        MaybeDone::Done(Err(_)) | MaybeDone::Future(_) | MaybeDone::Gone => pending().await,
    }
}
