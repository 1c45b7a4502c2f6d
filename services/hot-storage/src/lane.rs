//! One data type from its consumer to its table: pull a batch, insert it, then acknowledge. Batches are written one after
//! the other, and the next one is pulled meanwhile.
//!
//! Nothing is acknowledged before its row is confirmed, so whatever ends this process ends it without loss: the broker
//! delivers again, and what was stored already is found by its sequence (`insertion.rs`). Memory is bounded by two
//! batches a lane; while ClickHouse is away both are held, kept alive at the broker, and nothing more is pulled.

use std::collections::hash_map::{self, HashMap};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{MaybeDone, maybe_done};
use marketprism_bus::{Bus, BusError, Consumer, Delivery, Status};
use marketprism_core::{DataType, Message, Subject};
use marketprism_service::{Backoff, BackoffConfig, CancellationToken, Check, Report, now_seconds};
use marketprism_store::{Entry, Store};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Config;
use crate::epochs::{Locator, Position};
use crate::insertion::{GivenUp, Insertion};
use crate::metrics::LaneMetrics;
use crate::pulled::{Pulled, Puller, stay_ahead};

/// The lane of one data type.
#[derive(Debug)]
pub(crate) struct Lane {
    data_type: DataType,
    bus: Bus,
    store: Store,
    locator: Locator,
    puller: Arc<Puller>,
    status: watch::Receiver<Status>,
    /// Our pin (the name that the broker has for the pinned reader) when the position was found.
    pin: Option<String>,
    retry: BackoffConfig,
    check: Check,
    metrics: LaneMetrics,
}

/// A message that was read, and its delivery.
struct Readable<'a> {
    delivery: &'a Delivery,
    message: Message<'a>,
}

impl Lane {
    pub(crate) fn new(
        bus: Bus,
        store: Store,
        locator: Locator,
        consumer: Consumer,
        check: Check,
        data_type: DataType,
        config: &Config,
    ) -> Self {
        let metrics = LaneMetrics::of(data_type);
        Self {
            data_type,
            status: bus.status(),
            store,
            locator,
            puller: Arc::new(Puller::new(consumer, bus.status(), config, metrics.clone())),
            bus,
            pin: None,
            retry: config.retry,
            check,
            metrics,
        }
    }

    /// Works until it is told to stop; then what was asked for is finished, acknowledged, and no more pulled.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), Report> {
        let Some(mut position) = self.locate(&token).await else { return Ok(()) };
        let mut backoff = Backoff::new(self.retry);
        let puller = Arc::clone(&self.puller);
        let mut ahead = pin!(maybe_done(puller.pull()));
        while !matches!(*ahead, MaybeDone::Gone) {
            // Not given up in the middle when the token is cancelled: what is on its way would come again only after
            // `ack_wait`. It lasts no longer than a batch may age.
            ahead.as_mut().await;
            let Some(pulled) = ahead.as_mut().take_output() else { break };
            if !token.is_cancelled() {
                ahead.set(maybe_done(puller.pull()));
            }
            let pulled = match pulled {
                Ok(pulled) => pulled,
                Err(BusError::Closed) if token.is_cancelled() => return Ok(()),
                Err(BusError::Closed) => return Err(BusError::Closed.into()),
                Err(error) => {
                    self.failed(&Report::from(error));
                    // Cancelled meanwhile: the next pull is the last.
                    drop(timeout(backoff.next_delay(Duration::ZERO), token.cancelled()).await);
                    continue;
                }
            };
            backoff = Backoff::new(self.retry);
            let messages = pulled.claim.batch().len();
            match self.process(&pulled, ahead.as_mut(), &mut position, &token).await {
                Ok(()) => {}
                Err(GivenUp::NotOurs) => {
                    self.metrics.batches_given_up_total.increment(1);
                    tracing::warn!(data_type = %self.data_type, messages, "no longer ours; left to be delivered again");
                }
                Err(GivenUp::Stopped) => {
                    tracing::warn!(data_type = %self.data_type, messages, "stopped before they were stored");
                    break;
                }
            }
        }
        if let Err(error) = puller.consumer().unpin().await {
            tracing::debug!(data_type = %self.data_type, %error, "the next instance has to wait for the end of our pin");
        }
        Ok(())
    }

    /// Stores and acknowledges one batch, while the next one is pulled.
    async fn process<F: Future<Output = Result<Pulled, BusError>>>(
        &mut self,
        pulled: &Pulled,
        ahead: Pin<&mut MaybeDone<F>>,
        position: &mut Position,
        token: &CancellationToken,
    ) -> Result<(), GivenUp> {
        let (batch, epoch) = (pulled.claim.batch(), position.epoch);
        self.metrics.pinned.set(f64::from(u8::from(pulled.pin.is_some())));
        if self.connection_changed() || pulled.pin != self.pin {
            // Another instance may have stored what we know nothing of.
            *position = self.locate(token).await.ok_or(GivenUp::Stopped)?;
            self.pin.clone_from(&pulled.pin);
        }
        self.check.healthy();
        if batch.is_empty() {
            return Ok(());
        }
        if pulled.claim.connection_changed() || position.epoch != epoch {
            // The broker may have forgotten that these are ours, or they are of a stream that is gone.
            // Unanswered, they are delivered again.
            tracing::warn!(data_type = %self.data_type, messages = batch.len(), "left to be delivered again");
            return Ok(());
        }
        let stored = tokio::select! {
            // First what comes ahead: it tells when this batch's stream is gone.
            biased;
            never = stay_ahead(ahead) => match never {},
            never = pulled.claim.keep() => match never {},
            stored = self.store_batch(pulled, *position, token) => stored?,
        };
        self.settle(pulled, &stored, position, token).await;
        Ok(())
    }

    /// Inserts what can be read and buries the rest; returns what is stored.
    async fn store_batch<'a>(
        &self,
        pulled: &'a Pulled,
        position: Position,
        token: &CancellationToken,
    ) -> Result<Vec<&'a Delivery>, GivenUp> {
        let (claim, batch) = (&pulled.claim, pulled.claim.batch());
        self.metrics.messages_received_total.increment(batch.len() as u64);
        let mut readable = Vec::with_capacity(batch.len());
        let mut subjects = HashMap::new();
        for delivery in batch {
            match read_delivery(delivery, &mut subjects) {
                Ok(message) => readable.push(Readable { delivery, message }),
                Err(error) => {
                    self.metrics.validation_errors_total.increment(1);
                    self.bury(pulled, delivery, &error.to_string()).await;
                }
            }
        }
        let entries = readable.iter().map(|one| {
            let stream_seq = one.delivery.stream_sequence;
            let doubtful =
                one.delivery.delivered > 1 || position.highest.is_some_and(|highest| stream_seq <= highest);
            (Entry { message: &one.message, stream_epoch: position.epoch, stream_seq }, doubtful)
        });
        let backoff = Backoff::new(self.retry);
        let mut insertion =
            Insertion::new(&self.store, self.data_type, claim, &self.metrics, &self.check, backoff);
        let refused = insertion.run(entries.collect(), token).await?;
        let mut stored: Vec<_> = readable.iter().map(|one| one.delivery).collect();
        for (stream_seq, reason) in refused {
            if let Some(at) = stored.iter().position(|delivery| delivery.stream_sequence == stream_seq) {
                self.bury(pulled, stored.remove(at), &reason).await;
            }
        }
        Ok(stored)
    }

    /// Acknowledges what is stored, unless the stream may be another one by now.
    async fn settle(
        &mut self,
        pulled: &Pulled,
        stored: &[&Delivery],
        position: &mut Position,
        token: &CancellationToken,
    ) {
        let highest = stored.iter().map(|delivery| delivery.stream_sequence).max();
        position.highest = position.highest.max(highest);
        if self.connection_changed() {
            let Some(now) = self.locate(token).await else { return };
            let before = std::mem::replace(position, now);
            if before.epoch != now.epoch {
                // The old stream is gone; an answer would be taken for one to the new stream's message.
                return;
            }
        }
        if !self.is_same_consumer(pulled) {
            // Delivered again, and then found stored, unless it was of a stream that is gone.
            return;
        }
        let Some((last, others)) = stored.split_last() else { return };
        let acknowledged = async {
            for delivery in others {
                delivery.ack().await?;
            }
            // One connection keeps their order: when the last one is confirmed, all are.
            last.ack_confirmed().await
        };
        if let Err(error) = acknowledged.await {
            // Delivered again, and then found stored.
            tracing::warn!(data_type = %self.data_type, error = %Report::from(error), "acknowledgement not confirmed");
        }
        let oldest_us = stored.iter().map(|delivery| delivery.published_us).min().unwrap_or_default();
        self.metrics.messages_processed_total.increment(stored.len() as u64);
        self.metrics.messages_pending.set(last.pending as f64);
        self.metrics.lag_seconds.set(seconds_since(oldest_us));
        self.metrics.last_message_timestamp_seconds.set(now_seconds());
    }

    /// Moves a message that can never be stored to the dead letters. Where that fails it stays unanswered and comes again.
    async fn bury(&self, pulled: &Pulled, delivery: &Delivery, reason: &str) {
        let buried = async {
            self.bus.dead_letter(delivery, reason).await?;
            if self.is_same_consumer(pulled) && !pulled.claim.connection_changed() {
                delivery.reject().await?;
            }
            Ok::<_, BusError>(())
        };
        match buried.await {
            Ok(()) => self.metrics.messages_failed_total.increment(1),
            Err(error) => {
                self.failed(&Report::from(error).context("a message that can never be stored waits"));
            }
        }
    }

    /// Whether the broker knows us as it did when it gave us the batch. If not, the consumer may be one of a stream that was made
    /// anew meanwhile, and an answer would be taken for one to the new stream's message.
    fn is_same_consumer(&self, pulled: &Pulled) -> bool {
        self.puller.consumer().pin() == pulled.pin
    }

    /// Where we are in the stream, however long it takes to learn; `None` when told to stop.
    async fn locate(&mut self, token: &CancellationToken) -> Option<Position> {
        let mut backoff = Backoff::new(self.retry);
        loop {
            let located = async {
                // Ends with the connection, too: then the question below fails, and tells why.
                drop(self.status.wait_for(|status| *status != Status::Disconnected).await);
                self.status.mark_unchanged();
                self.locator.locate(self.data_type).await
            };
            let error = tokio::select! {
                () = token.cancelled() => return None,
                located = located => match located {
                    Ok(position) => {
                        self.metrics.stream_epoch.set(f64::from(position.epoch));
                        self.check.healthy();
                        return Some(position);
                    }
                    Err(error) => error,
                },
            };
            let outage = error.is_outage();
            let error = Report::from(error).context("failed to find the position in the stream");
            self.failed(&error);
            if outage {
                self.check.degraded(error.to_string());
            }
            if timeout(backoff.next_delay(Duration::ZERO), token.cancelled()).await.is_ok() {
                return None;
            }
        }
    }

    /// Whether the connection was lost since [`Lane::locate`]: then the broker may have forgotten acknowledgements.
    fn connection_changed(&self) -> bool {
        self.status.has_changed().unwrap_or(true)
    }

    fn failed(&self, error: &Report) {
        let error = error.to_string();
        tracing::warn!(data_type = %self.data_type, error, "lane is held up");
        self.metrics.last_error_timestamp_seconds.set(now_seconds());
        self.check.unhealthy(error);
    }
}

/// Why a delivery is no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Subject(#[from] marketprism_core::SubjectError),
    #[error(transparent)]
    Payload(#[from] marketprism_core::DecodeError),
}

/// The message of a delivery. Subjects repeat, and are read once.
fn read_delivery<'a>(
    delivery: &'a Delivery,
    subjects: &mut HashMap<&'a str, Subject>,
) -> Result<Message<'a>, Unreadable> {
    let subject = match subjects.entry(&delivery.subject) {
        hash_map::Entry::Occupied(known) => known.into_mut(),
        hash_map::Entry::Vacant(new) => new.insert(Subject::parse(&delivery.subject)?),
    };
    Ok(Message::decode(subject, &delivery.payload)?)
}

/// The message in a payload, as its subject says.
pub(crate) fn read<'a>(subject: &str, payload: &'a [u8]) -> Result<Message<'a>, Unreadable> {
    let subject = Subject::parse(subject)?;
    Ok(Message::decode(&subject, payload)?)
}

fn seconds_since(micros: i64) -> f64 {
    let then = UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs());
    SystemTime::now().duration_since(then).unwrap_or_default().as_secs_f64()
}
