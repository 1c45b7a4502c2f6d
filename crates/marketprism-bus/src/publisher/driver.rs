//! The one task that sends, collects confirmations and repeats. It sleeps only for its next retry.
//!
//! The broker's confirmations come to one inbox of the publisher whose last token is the message's ordinal, so one
//! subscription and one map replace a future, a timer and a reply channel per message.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use async_nats::{StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::lookup::stored_ids;
use super::{LossReason, Lost, Outgoing, PublisherConfig, Stopwatch, is_identity};
use crate::connect::{Bus, Status};
use crate::error::BusError;
use crate::metrics::{PublishErrorMetrics, PublisherMetrics};
use crate::window::{InFlight, Window, doubled};

/// How often the window is looked through for messages that are due: a tenth of the shortest useful retry delay.
const TICK: Duration = Duration::from_millis(20);

/// Messages taken from the queue, or confirmations from the inbox, before the other side gets its turn.
const TURN_LEN: usize = 64;

/// Broker error codes after which the same message can never be stored (nats-server `errors.json`); any other is
/// taken for passing.
const MESSAGE_TOO_LARGE: u64 = 10_054;
const HEADER_TOO_LARGE: u64 = 10_097;
const WRONG_STREAM: u64 = 10_060;
const STREAM_SEALED: u64 = 10_109;

pub(super) enum Command {
    Publish(Outgoing, Option<Stopwatch>),
    Settle(oneshot::Sender<()>),
}

/// The broker's answer to a published message: stored, or refused.
#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default, rename = "seq")]
    sequence: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

pub(super) struct Driver {
    bus: Bus,
    inbox: String,
    config: PublisherConfig,
    commands: mpsc::Receiver<Command>,
    status: watch::Receiver<Status>,
    window: Window,
    /// Highest confirmed sequence of each stream; as many entries as there are streams.
    confirmed: BTreeMap<String, u64>,
    /// A reconnect has happened, and what is unconfirmed may be older than the duplicate window.
    in_doubt: bool,
    settling: VecDeque<(u64, oneshot::Sender<()>)>,
    report: mpsc::Sender<Lost>,
    metrics: PublisherMetrics,
    transient_errors: PublishErrorMetrics,
    losses: [(LossReason, PublishErrorMetrics); LossReason::ALL.len()],
    loss_logged: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        bus: &Bus,
        config: PublisherConfig,
        metrics: PublisherMetrics,
        commands: mpsc::Receiver<Command>,
        report: mpsc::Sender<Lost>,
    ) -> Self {
        let errors = |reason: &'static str| PublishErrorMetrics::new_with_labels(&[("error_type", reason)]);
        Self {
            bus: bus.clone(),
            inbox: bus.client.new_inbox(),
            config,
            commands,
            status: bus.status(),
            window: Window::default(),
            confirmed: BTreeMap::new(),
            in_doubt: false,
            settling: VecDeque::new(),
            report,
            metrics,
            transient_errors: errors("transient"),
            losses: LossReason::ALL.map(|reason| (reason, errors(reason.as_str()))),
            loss_logged: None,
        }
    }

    /// Runs until every [`super::Publisher`] is gone or the bus is closed.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.drive().await {
            if self.window.is_empty() {
                // The bus was left after the last acknowledgement: nothing is lost.
                tracing::debug!(error, "publisher ended");
            } else {
                tracing::error!(error, unconfirmed = self.window.len(), "publisher stopped");
            }
        }
        self.metrics.publish_in_flight.set(0.0);
    }

    async fn drive(&mut self) -> Result<(), &'static str> {
        let mut answers = self
            .bus
            .client
            .subscribe(format!("{}.*", self.inbox))
            .await
            .map_err(|_| "the connection is closed: no inbox for confirmations")?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = Vec::with_capacity(TURN_LEN);
        // What was sent on a connection is in doubt only after a later one is made.
        let mut connected = *self.status.borrow_and_update() == Status::Connected;
        loop {
            let places = self.config.in_flight_max.saturating_sub(self.window.len()).min(TURN_LEN);
            tokio::select! {
                answer = answers.next() => {
                    let first = answer.ok_or("the connection is closed: the inbox ended")?;
                    self.settle(&first);
                    self.settle_ready(&mut answers);
                }
                changed = self.status.changed() => {
                    let status = *self.status.borrow_and_update();
                    if changed.is_err() || status == Status::Closed {
                        return Err("the connection is closed");
                    }
                    connected = status == Status::Connected;
                    if connected {
                        self.in_doubt = true;
                        self.window.doubt_all(Instant::now());
                        self.send_due().await?;
                    }
                }
                _ = tick.tick(), if connected && !self.window.is_empty() => self.send_due().await?,
                taken = self.commands.recv_many(&mut turn, places), if connected && places > 0 => {
                    if taken == 0 {
                        return Ok(());
                    }
                    for command in turn.drain(..) {
                        self.obey(command).await?;
                    }
                }
            }
            self.finish_settling();
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; the window is small")]
            self.metrics.publish_in_flight.set(self.window.len() as f64);
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), &'static str> {
        match command {
            Command::Settle(done) => self.settling.push_back((self.window.next_ordinal(), done)),
            Command::Publish(message, stopwatch) => {
                let now = Instant::now();
                let ordinal = self.window.push(InFlight {
                    subject: message.subject.into(),
                    message_id: message.message_id,
                    payload: message.payload,
                    stopwatch,
                    first_sent: now,
                    attempts: 0,
                    due: now,
                });
                self.send(ordinal).await?;
            }
        }
        Ok(())
    }

    async fn send_due(&mut self) -> Result<(), &'static str> {
        if self.in_doubt
            && let Err(error) = self.settle_stored().await
        {
            tracing::warn!(%error, "cannot tell yet which unconfirmed messages are stored");
            return Ok(());
        }
        self.in_doubt = false;
        for ordinal in self.window.due(Instant::now()) {
            self.metrics.publish_retries_total.increment(1);
            self.send(ordinal).await?;
        }
        Ok(())
    }

    async fn send(&mut self, ordinal: u64) -> Result<(), &'static str> {
        use async_nats::client::PublishErrorKind;
        let Some(message) = self.window.get_mut(ordinal) else { return Ok(()) };
        message.attempts = message.attempts.saturating_add(1);
        message.due =
            Instant::now() + doubled(self.config.ack_timeout, message.attempts, self.config.retry_delay_max);
        let id = Some(&message.message_id).filter(|id| is_identity(id)).and_then(|id| id.parse().ok());
        let Some(id) = id else {
            self.lose(ordinal, LossReason::Malformed, "its id is empty or cannot be a header's value");
            return Ok(());
        };
        let id: async_nats::HeaderValue = id;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        let (subject, payload) = (message.subject.clone(), message.payload.clone());
        let reply = format!("{}.{ordinal}", self.inbox);
        match self.bus.client.publish_with_reply_and_headers(subject, reply, headers, payload).await {
            Ok(()) => Ok(()),
            Err(error) => match error.kind() {
                PublishErrorKind::Send => Err("the connection is closed"),
                PublishErrorKind::MaxPayloadExceeded => {
                    self.lose(ordinal, LossReason::TooLarge, &error.to_string());
                    Ok(())
                }
                PublishErrorKind::InvalidSubject => {
                    self.lose(ordinal, LossReason::Malformed, &error.to_string());
                    Ok(())
                }
            },
        }
    }

    /// The duplicate window protects only young messages. After a longer outage the older ones are looked for in the
    /// stream, and those found are confirmed instead of being sent again.
    async fn settle_stored(&mut self) -> Result<(), BusError> {
        // Half of it: the broker counts from the moment of storing, by its own clock.
        let old = self.window.older_than(self.config.duplicate_window / 2);
        for (subject, ordinals) in old {
            let ids = stored_ids(&self.bus, &subject, &self.confirmed, self.config.in_flight_max).await?;
            for ordinal in ordinals {
                if self.window.get_mut(ordinal).is_some_and(|message| ids.contains(&message.message_id)) {
                    self.metrics.messages_acked_total.increment(1);
                    self.metrics.messages_duplicate_total.increment(1);
                    self.window.remove(ordinal);
                }
            }
        }
        Ok(())
    }

    /// Takes the confirmations that are already here, so that a turn costs one wake-up instead of one each.
    fn settle_ready(&mut self, answers: &mut Subscriber) {
        for _ in 1..TURN_LEN {
            match answers.next().now_or_never() {
                Some(Some(answer)) => self.settle(&answer),
                // The end of the inbox is met again, and reported, by the loop.
                Some(None) | None => return,
            }
        }
    }

    /// One confirmation or refusal. An ordinal that is no longer in the window was confirmed by an earlier copy.
    fn settle(&mut self, answer: &async_nats::Message) {
        let ordinal = answer.subject.rsplit('.').next().and_then(|token| token.parse().ok());
        let Some((ordinal, message)) =
            ordinal.and_then(|it| self.window.get_mut(it).map(|message| (it, message)))
        else {
            return;
        };
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            if message.first_sent.elapsed() < self.config.no_stream_patience {
                self.retry_later(ordinal, "no stream takes this subject");
            } else {
                self.lose(ordinal, LossReason::NoStream, "no stream takes this subject");
            }
            return;
        }
        match serde_json::from_slice::<Answer>(&answer.payload) {
            Ok(Answer { error: None, duplicate, stream, sequence }) => {
                match self.confirmed.get_mut(stream.as_ref()) {
                    Some(highest) => *highest = sequence.max(*highest),
                    None => drop(self.confirmed.insert(stream.into_owned(), sequence)),
                }
                self.metrics.publish_duration_seconds.record(message.first_sent.elapsed());
                if let Some(stopwatch) = &message.stopwatch {
                    stopwatch.stop();
                }
                self.metrics.messages_acked_total.increment(1);
                if duplicate {
                    self.metrics.messages_duplicate_total.increment(1);
                }
                self.window.remove(ordinal);
            }
            Ok(Answer { error: Some(refusal), .. }) => match refusal.err_code {
                MESSAGE_TOO_LARGE | HEADER_TOO_LARGE => {
                    self.lose(ordinal, LossReason::TooLarge, &refusal.description);
                }
                WRONG_STREAM | STREAM_SEALED => self.lose(ordinal, LossReason::Refused, &refusal.description),
                _ => self.retry_later(ordinal, &refusal.description),
            },
            Err(_) => self.retry_later(ordinal, "the broker's answer cannot be read"),
        }
    }

    fn retry_later(&mut self, ordinal: u64, why: &str) {
        let Some(message) = self.window.get_mut(ordinal) else { return };
        message.due =
            Instant::now() + doubled(self.config.retry_delay, message.attempts, self.config.retry_delay_max);
        tracing::debug!(subject = %message.subject, attempts = message.attempts, why, "not stored yet");
        self.transient_errors.publish_errors_total.increment(1);
    }

    fn lose(&mut self, ordinal: u64, reason: LossReason, detail: &str) {
        let Some(message) = self.window.remove(ordinal) else { return };
        if let Some((_, metrics)) = self.losses.iter().find(|(each, _)| *each == reason) {
            metrics.publish_errors_total.increment(1);
        }
        // A missing stream loses every message: one line a second tells it, the metric counts them.
        if self.loss_logged.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
            self.loss_logged = Some(Instant::now());
            tracing::error!(subject = %message.subject, reason = reason.as_str(), detail, "message lost");
        }
        let lost = Lost {
            subject: message.subject.to_string(),
            message_id: message.message_id,
            reason,
            detail: detail.to_owned(),
            payload: message.payload,
        };
        if let Err(error) = self.report.try_send(lost) {
            tracing::trace!(%error, "nobody reads the losses; they are counted");
        }
    }

    fn finish_settling(&mut self) {
        while self.settling.front().is_some_and(|(before, _)| self.window.is_settled_before(*before)) {
            if let Some((_, done)) = self.settling.pop_front() {
                // The one who waited may have given up.
                done.send(()).ok();
            }
        }
    }
}
