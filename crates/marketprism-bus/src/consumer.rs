//! A durable pull consumer with explicit acknowledgement: batches bounded in count, bytes and time.
//!
//! The durable's state lives on the broker, so a restart of either side resumes by itself. A durable that vanished
//! (deleted, or a broker that lost its files) is created again and starts from the first message: the sequences tell
//! its reader what it knows already.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::{Message, StatusCode};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connect::{Bus, Status};
use crate::consumer_config::{ConsumerConfig, GROUP};
use crate::delivery::{Delivery, Origin};
use crate::error::{BoxError, BusError};
use crate::metrics::{ConsumerMetrics, DeadLetterMetrics};

/// How long after a pull request's end, and after each message that comes then, its last word is awaited. The broker ends it
/// by its own clock and always says so, behind the last message; whoever left earlier would get the messages that were
/// on their way only after `ack_wait`. A connection that died meanwhile is noticed by its status.
const END_SLACK: Duration = Duration::from_secs(2);

/// Messages read at once where so many are here.
const REPLIES_MAX: usize = 256;

/// Pause before a vanished consumer is created again, so that a stream that is gone is not asked for in a tight loop.
const REBIND_DELAY: Duration = Duration::from_millis(200);

/// On the messages of a pinned consumer: the id to name in the next pull request.
const HEADER_PIN_ID: &str = "Nats-Pin-Id";

/// A durable pull consumer.
#[derive(Debug)]
pub struct Consumer {
    bus: Bus,
    origin: Arc<Origin>,
    config: ConsumerConfig,
    metrics: ConsumerMetrics,
    /// What the broker calls us while we are the pinned reader.
    pin: Mutex<Option<String>>,
}

/// Why a pull request ended.
enum Ended {
    /// It was served, its time is over, or the connection went.
    Done,
    /// The next message alone is larger than the bytes asked for.
    NextTooLarge,
    /// The broker does not know the consumer.
    Unknown,
    /// Another reader is pinned, or nobody.
    PinLost,
}

#[derive(Debug, Serialize)]
struct PullRequest {
    batch: usize,
    #[serde(rename = "expires")]
    expires_nanoseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'static str>,
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pin_id: Option<String>,
}

impl Bus {
    /// Creates the durable consumer, or takes it over with this configuration.
    ///
    /// # Errors
    /// [`BusError::Config`], [`BusError::StreamMissing`], or [`BusError::Request`] when the broker refuses.
    pub async fn consumer(&self, stream: &str, config: ConsumerConfig) -> Result<Consumer, BusError> {
        config.validate()?;
        let metrics = ConsumerMetrics::new_with_labels(&[
            ("stream", stream.to_owned()),
            ("consumer", config.durable.clone()),
        ]);
        // At 0 from the beginning: a counter that begins at 1 has no increase, and the first dead letter would be no news.
        drop(DeadLetterMetrics::new_with_labels(&[("stream", stream.to_owned())]));
        let pin = Mutex::default();
        let origin = Arc::new(Origin { stream: stream.to_owned(), client: self.client.clone() });
        let consumer = Consumer { bus: self.clone(), origin, config, metrics, pin };
        consumer.bind().await?;
        Ok(consumer)
    }
}

impl Consumer {
    /// The durable's name.
    #[must_use]
    pub fn durable(&self) -> &str {
        &self.config.durable
    }

    /// The stream it reads.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.origin.stream
    }

    /// What the broker calls us while we are the pinned reader. Another id than before means that another reader may have
    /// been pinned meanwhile.
    #[must_use]
    pub fn pin(&self) -> Option<String> {
        self.pin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the pin up, so that another reader need not wait for its end. Without a pin it does nothing.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker does not confirm it.
    pub async fn unpin(&self) -> Result<(), BusError> {
        if self.pin().is_none() {
            return Ok(());
        }
        self.set_pin(None);
        let operation = || format!("unpin consumer {} of {}", self.config.durable, self.origin.stream);
        let handle = self.bus.jetstream.get_stream_no_info(&self.origin.stream).await;
        let handle = handle.map_err(|error| BusError::request(operation(), error))?;
        let unpinned = handle.unpin_consumer(&self.config.durable, GROUP).await;
        unpinned.map_err(|error| BusError::request(operation(), error))
    }

    fn set_pin(&self, pin: Option<String>) {
        *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = pin;
    }

    /// The next messages: returns when `max_messages` are here, when one more would exceed `max_bytes` (a single
    /// larger message still comes, alone), or after `max_wait` with what there is, possibly nothing. While the
    /// connection is down it waits for it, within `max_wait` too. Dropping the future leaves what was on its way to
    /// be delivered again after `ack_wait`.
    ///
    /// # Errors
    /// [`BusError::Closed`]; [`BusError::Pull`] when the broker refuses the request; the errors of [`Bus::consumer`]
    /// when the durable has vanished and cannot be created.
    pub async fn next_batch(
        &self,
        max_messages: usize,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Vec<Delivery>, BusError> {
        let deadline = Instant::now() + max_wait;
        let mut status = self.bus.status();
        let (mut batch, mut bytes) = (max_messages.max(1), Some(max_bytes.max(1)));
        let mut deliveries = Vec::new();
        while Instant::now() < deadline && deliveries.is_empty() {
            if !connected_by(&mut status, deadline).await? {
                break;
            }
            match self.pull(batch, bytes, deadline, &mut status, &mut deliveries).await? {
                Ended::Done => {}
                Ended::NextTooLarge if deliveries.is_empty() => (batch, bytes) = (1, None),
                Ended::NextTooLarge => break,
                Ended::PinLost => {
                    tracing::info!(
                        stream = self.origin.stream,
                        consumer = self.config.durable,
                        "no longer the pinned reader"
                    );
                    self.set_pin(None);
                }
                Ended::Unknown => {
                    // The one that is made next has not pinned anybody.
                    self.set_pin(None);
                    tokio::time::sleep(REBIND_DELAY).await;
                    tracing::warn!(
                        stream = self.origin.stream,
                        consumer = self.config.durable,
                        "consumer gone; creating it"
                    );
                    self.bind().await?;
                    self.metrics.consumer_rebinds_total.increment(1);
                }
            }
        }
        self.count(&deliveries);
        Ok(deliveries)
    }

    /// One pull request, read to its end.
    async fn pull(
        &self,
        batch: usize,
        max_bytes: Option<usize>,
        deadline: Instant,
        status: &mut watch::Receiver<Status>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Ended, BusError> {
        let expires = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let request = PullRequest {
            batch,
            expires_nanoseconds: u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX),
            max_bytes,
            group: self.config.pin_ttl.map(|_| GROUP),
            pin_id: self.pin(),
        };
        let request =
            serde_json::to_vec(&request).map_err(|error| BusError::request("write a pull request", error))?;
        let client = &self.bus.client;
        let inbox = client.new_inbox();
        let replies = client.subscribe(inbox.clone()).await.map_err(|_| BusError::Closed)?;
        // Waiting for each alone costs more than reading it.
        let mut replies = replies.ready_chunks(REPLIES_MAX);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.origin.stream, self.config.durable);
        client.publish_with_reply(subject, inbox, request.into()).await.map_err(|_| BusError::Closed)?;
        let end = tokio::time::sleep_until(deadline + END_SLACK);
        tokio::pin!(end);
        while deliveries.len() < batch {
            let some = tokio::select! {
                biased;
                some = replies.next() => some.ok_or(BusError::Closed)?,
                // The request died with the connection; what came of it is good.
                _ = status.changed() => return Ok(Ended::Done),
                () = &mut end => return Ok(Ended::Done),
            };
            // Bounded by the number of messages asked for.
            end.as_mut().reset(deadline.max(Instant::now()) + END_SLACK);
            for reply in some {
                if reply.status.is_some_and(|status| status != StatusCode::OK) {
                    match self.read_status(&reply, deliveries.is_empty())? {
                        Some(ended) => return Ok(ended),
                        None => continue,
                    }
                }
                let delivery = Delivery::new(&self.origin, reply);
                // The same for all messages of one request.
                if deliveries.is_empty()
                    && let Some(pin) = delivery.as_ref().and_then(|delivery| delivery.header(HEADER_PIN_ID))
                {
                    self.set_pin(Some(pin.to_owned()));
                }
                deliveries.extend(delivery);
            }
        }
        Ok(Ended::Done)
    }

    /// What a status message means; `None` to go on reading.
    fn read_status(&self, reply: &Message, nothing_yet: bool) -> Result<Option<Ended>, BusError> {
        let status = reply.status.unwrap_or(StatusCode::OK);
        let description = reply.description.as_deref().unwrap_or_default();
        let says = |words: &str| description.to_ascii_lowercase().contains(words);
        Ok(Some(match status {
            StatusCode::IDLE_HEARTBEAT => return Ok(None),
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => Ended::Done,
            StatusCode::NO_RESPONDERS => Ended::Unknown,
            StatusCode::PIN_ID_MISMATCH => Ended::PinLost,
            StatusCode::REQUEST_TERMINATED if says("exceeds maxbytes") => Ended::NextTooLarge,
            StatusCode::REQUEST_TERMINATED if says("consumer deleted") => Ended::Unknown,
            StatusCode::REQUEST_TERMINATED
                if says("batch completed") || says("server shutdown") || says("leadership change") =>
            {
                Ended::Done
            }
            // What was delivered before the refusal counts; the next call meets the refusal again.
            _ if !nothing_yet => Ended::Done,
            _ => {
                return Err(BusError::Pull {
                    stream: self.origin.stream.clone(),
                    durable: self.config.durable.clone(),
                    status: status.as_u16(),
                    description: description.to_owned(),
                });
            }
        }))
    }

    /// Creates the durable, or takes it over. A broker changes everything of it but where it starts and whether it is
    /// pinned: where that differs it is made anew, from its acknowledgement floor on.
    async fn bind(&self) -> Result<(), BusError> {
        let Some(stream) = self.bus.stream_handle(&self.origin.stream).await? else {
            return Err(BusError::StreamMissing(self.origin.stream.clone()));
        };
        let durable = &self.config.durable;
        let failed = |what: &str, error: BoxError| {
            BusError::request(format!("{what} consumer {durable} of {}", self.origin.stream), error)
        };
        let mut wanted = self.config.to_pull();
        match stream.consumer_info(durable).await {
            Ok(found) if found.config.priority_policy == wanted.priority_policy => {
                wanted.deliver_policy = found.config.deliver_policy;
            }
            Ok(found) => {
                let start_sequence = found.ack_floor.stream_sequence.saturating_add(1);
                wanted.deliver_policy = DeliverPolicy::ByStartSequence { start_sequence };
                stream.delete_consumer(durable).await.map_err(|error| failed("replace", error.into()))?;
                tracing::warn!(
                    stream = self.origin.stream,
                    durable,
                    start_sequence,
                    "consumer made anew: its readers are pinned"
                );
            }
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", error.into())),
        }
        let made = self.bus.jetstream.create_consumer_on_stream(wanted, &self.origin.stream).await;
        made.map(drop).map_err(|error| failed("create", error.into()))
    }

    fn count(&self, deliveries: &[Delivery]) {
        let count = |filter: fn(&Delivery) -> bool| {
            u64::try_from(deliveries.iter().filter(|delivery| filter(delivery)).count()).unwrap_or(u64::MAX)
        };
        self.metrics.messages_delivered_total.increment(count(|_| true));
        self.metrics.messages_redelivered_total.increment(count(|delivery| delivery.delivered > 1));
        if let Some(last) = deliveries.last() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge is a float; nobody counts 2^53 messages"
            )]
            self.metrics.consumer_pending.set(last.pending as f64);
        }
    }
}

/// Waits for the connection; false when the deadline comes first.
async fn connected_by(status: &mut watch::Receiver<Status>, deadline: Instant) -> Result<bool, BusError> {
    let up = status.wait_for(|status| *status != Status::Disconnected);
    match tokio::time::timeout_at(deadline, up).await {
        Ok(Ok(status)) if *status == Status::Connected => Ok(true),
        Ok(_) => Err(BusError::Closed),
        Err(_) => Ok(false),
    }
}
