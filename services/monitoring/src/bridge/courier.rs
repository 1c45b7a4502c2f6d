//! Carries one target's notifications to its robot: not faster than it may, what waits meanwhile as one message, and again
//! when it failed. Whoever waits hears what became of his notification; it is his until he has heard that it arrived.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use marketprism_service::{Backoff, BackoffConfig, Check, HumanDuration, Report};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::message::{Message, names};
use super::robot::{Robot, SendError};
use super::webhook::Notification;
use crate::metrics::TargetMetrics;

/// Sendings of one message before Alertmanager is told that it failed: with the pauses less than its shortest patience, 30 s.
const TRIES: u32 = 4;
/// Between two of them.
const PAUSES: BackoffConfig = BackoffConfig {
    first: HumanDuration::from_secs(1),
    max: HumanDuration::from_secs(8),
    stable_after: HumanDuration::from_secs(3600),
};
const MINUTE: Duration = Duration::from_secs(60);

/// One notification, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) notification: Notification,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The robot has it.
    Delivered,
    /// It may arrive later: send it again.
    Failed(String),
    /// It will not arrive before an operator changes something.
    Refused(String),
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One target's courier.
pub(super) struct Courier {
    name: String,
    robot: Robot,
    limiter: Limiter<DefaultClock>,
    check: Check,
    metrics: TargetMetrics,
}

impl Courier {
    pub(super) fn new(
        name: String,
        robot: Robot,
        per_minute: NonZeroU32,
        check: Check,
        metrics: TargetMetrics,
    ) -> Self {
        let limiter = limiter(per_minute, DefaultClock::default());
        check.healthy();
        Self { name, robot, limiter, check, metrics }
    }

    /// Until nobody can bring anything any more, and what waits is delivered.
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Waiting>) -> Result<(), Report> {
        while let Some(first) = waiting.recv().await {
            self.limiter.until_ready().await;
            let mut batch = vec![first];
            // Bounded by the queue: this is all that came while it was not its turn.
            while let Ok(next) = waiting.try_recv() {
                batch.push(next);
            }
            self.deliver(batch).await;
            self.metrics.notifications_waiting.set(count(waiting.len()));
        }
        Ok(())
    }

    async fn deliver(&self, mut batch: Vec<Waiting>) {
        let mut pauses = Backoff::new(PAUSES);
        let outcome = loop {
            // Alertmanager hung up and will send it again by itself: delivering it now would deliver it twice.
            let gone: Vec<_> = batch.extract_if(.., |waiting| waiting.answer.is_closed()).collect();
            if !gone.is_empty() {
                let alerts = self.names(&gone);
                tracing::warn!(
                    target = self.name,
                    alerts,
                    "nobody waits for these alerts any more: not sent"
                );
            }
            if batch.is_empty() {
                self.metrics.messages_abandoned_total.increment(1);
                return;
            }
            let error = match self.send(&batch).await {
                Ok(()) => break Outcome::Delivered,
                Err(error) => error,
            };
            if !error.is_transient() {
                break Outcome::Refused(Report::from(error).to_string());
            }
            if pauses.failures().saturating_add(1) >= TRIES {
                break Outcome::Failed(Report::from(error).to_string());
            }
            let pause = pauses.next_delay(Duration::ZERO);
            self.metrics.send_retries_total.increment(1);
            tracing::warn!(target = self.name, error = %Report::from(error), ?pause, "not sent; trying again");
            sleep(pause).await;
            self.limiter.until_ready().await;
        };
        self.tell(batch, &outcome);
    }

    async fn send(&self, batch: &[Waiting]) -> Result<(), SendError> {
        let message = Message::of(&notifications(batch), self.robot.markup());
        self.robot.send(&message, Timestamp::now()).await?;
        self.metrics.messages_sent_total.increment(1);
        tracing::info!(target = self.name, title = message.title, "sent");
        Ok(())
    }

    fn names(&self, batch: &[Waiting]) -> String {
        names(&notifications(batch), self.robot.markup()).join(", ")
    }

    fn tell(&self, batch: Vec<Waiting>, outcome: &Outcome) {
        let number = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Delivered => {
                self.check.healthy();
                self.metrics.notifications_delivered_total.increment(number);
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                self.metrics.last_delivery_timestamp_seconds.set(now.as_secs_f64());
            }
            Outcome::Failed(error) | Outcome::Refused(error) => {
                self.check.degraded(format!("the last message was not delivered: {error}"));
                self.metrics.notifications_failed_total.increment(number);
                // All in one line: of many lines some would only be counted.
                let alerts = self.names(&batch);
                tracing::error!(target = self.name, alerts, error, "these alerts were not delivered");
            }
        }
        for waiting in batch {
            // Whoever has hung up by now sends it again by himself.
            drop(waiting.answer.send(outcome.clone()));
        }
    }
}

fn notifications(batch: &[Waiting]) -> Vec<&Notification> {
    batch.iter().map(|waiting| &waiting.notification).collect()
}

fn count(messages: usize) -> f64 {
    f64::from(u32::try_from(messages).unwrap_or(u32::MAX))
}

/// At most `per_minute` in any 60 s, a quarter of them at once: an outage's first alerts leave without waiting.
fn limiter<C: Clock>(per_minute: NonZeroU32, clock: C) -> Limiter<C> {
    let burst = NonZeroU32::new(per_minute.get() / 4).unwrap_or(NonZeroU32::MIN);
    let steady = per_minute.get().saturating_sub(burst.get()).max(1);
    let quota = Quota::with_period(MINUTE / steady).unwrap_or(Quota::per_minute(per_minute));
    RateLimiter::direct_with_clock(quota.allow_burst(burst), clock)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_minute_sees_more_messages_than_it_may(per_minute in 1_u32..40, pauses in prop::collection::vec(0_u64..5_000, 1..400)) {
            let clock = FakeRelativeClock::default();
            let limiter = limiter(NonZeroU32::new(per_minute).unwrap(), clock.clone());
            let (mut now_ms, mut sent_ms) = (0, Vec::new());
            for pause in pauses {
                clock.advance(Duration::from_millis(pause));
                now_ms += pause;
                if limiter.check().is_ok() {
                    sent_ms.push(now_ms);
                }
            }
            for (index, first) in sent_ms.iter().enumerate() {
                let within = sent_ms[index..].iter().filter(|at| **at < first + 60_000).count();
                prop_assert!(within <= per_minute as usize, "{within} of {per_minute}");
            }
        }
    }
}
