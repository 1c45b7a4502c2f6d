//! What waits in a stream, for how long the stream will keep it, and what it dropped before it was stored.
//!
//! JetStream is the buffer while ClickHouse is away: it keeps messages up to its limits and then drops the oldest.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use marketprism_bus::{Bus, BusError, StreamLimits, StreamState};
use marketprism_core::{DataType, topology};
use marketprism_service::{CancellationToken, Check, Report};
use marketprism_store::epoch::Epoch;
use marketprism_store::{Store, StoreError};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::metrics::BacklogMetrics;

/// How often a stream is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// So near to a loss somebody has to act now.
const LOSS_NEAR: Duration = Duration::from_secs(600);
/// A backlog this old is told, whatever the reason.
const LAG_TOLD: Duration = Duration::from_secs(60);
/// How long a loss stays in health; it stays in `stream_losses` for ever.
const LOSS_TOLD: Duration = Duration::from_secs(3_600);
/// Sequences looked at in one question: sorting them takes the server a second.
const SEARCH_MAX: u64 = 5_000_000;

/// What of a stream is not stored yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Waiting {
    messages: u64,
    /// Sequences from the oldest one waiting to the newest of the stream.
    span: u64,
    lag: Duration,
    /// When the stream will drop the oldest, as things go; `None` when it never will.
    until_loss: Option<Duration>,
}

/// Why a stream could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks after one stream.
pub(crate) struct Backlog {
    bus: Bus,
    store: Store,
    stream: &'static str,
    /// A batch that was pulled is stored or given up within it.
    patience: Duration,
    check: Check,
    metrics: BacklogMetrics,
    /// The newest sequence, and when it was.
    before: Option<(Instant, u64)>,
    search: Search,
}

/// How far a stream was searched for losses.
#[derive(Debug, Default)]
struct Search {
    /// Up to this sequence of this epoch.
    done: Option<(u32, u64)>,
    /// What the stream had dropped at a moment; searched once whoever holds some of it had time to store it.
    dropped: Option<(Instant, u64)>,
    told: Option<(Instant, u64)>,
}

impl Backlog {
    pub(crate) fn new(
        bus: Bus,
        store: Store,
        stream: &'static str,
        patience: Duration,
        check: Check,
    ) -> Self {
        let metrics = BacklogMetrics::new_with_labels(&[("stream", stream)]);
        metrics.messages_lost_total.increment(0);
        Self { bus, store, stream, patience, check, metrics, before: None, search: Search::default() }
    }

    /// Looks until it is told to stop.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), Report> {
        loop {
            match self.look().await {
                Ok(waiting) => self.tell(waiting),
                // The check of the broker says why.
                Err(error) => self.check.degraded(Report::from(error).to_string()),
            }
            if timeout(LOOK_INTERVAL, token.cancelled()).await.is_ok() {
                return Ok(());
            }
        }
    }

    async fn look(&mut self) -> Result<Waiting, LookError> {
        let state = self.bus.stream_state(self.stream).await?;
        let limits = self.bus.stream_limits(self.stream).await?;
        let waiting = self.waiting(&state, &limits).await?;
        if let Err(error) = self.search(&state, &limits).await {
            tracing::debug!(stream = self.stream, error = %Report::from(error), "not searched for losses");
        }
        Ok(waiting)
    }

    async fn waiting(&mut self, state: &StreamState, limits: &StreamLimits) -> Result<Waiting, LookError> {
        let mut waiting = Waiting::default();
        let mut oldest = u64::MAX;
        for data_type in DataType::ALL.iter().filter(|one| topology::stream_of(**one) == self.stream) {
            let consumer = topology::hot_consumer(*data_type);
            let Some(consumer) = self.bus.consumer_state(self.stream, &consumer).await? else { continue };
            let messages = consumer.pending + consumer.unanswered;
            if messages > 0 {
                waiting.messages += messages;
                oldest = oldest.min(consumer.ack_floor + 1);
            }
        }
        let now = Instant::now();
        let before = self.before.replace((now, state.last_sequence)).unwrap_or((now, state.last_sequence));
        if waiting.messages == 0 {
            return Ok(waiting);
        }
        let oldest = oldest.max(state.first_sequence);
        waiting.span = (state.last_sequence + 1).saturating_sub(oldest);
        if let Some(message) = self.bus.message(self.stream, oldest).await? {
            let then = UNIX_EPOCH + Duration::from_micros(message.stored_us.unsigned_abs());
            waiting.lag = SystemTime::now().duration_since(then).unwrap_or_default();
        }
        let pace = Pace {
            messages: state.last_sequence.saturating_sub(before.1),
            elapsed: now.duration_since(before.0),
        };
        waiting.until_loss = until_loss(limits, state, &waiting, pace);
        Ok(waiting)
    }

    /// Looks for messages that were dropped before they were stored.
    async fn search(&mut self, state: &StreamState, limits: &StreamLimits) -> Result<(), LookError> {
        let now = Instant::now();
        let (since, dropped) =
            *self.search.dropped.get_or_insert((now, state.first_sequence.saturating_sub(1)));
        if now.duration_since(since) < self.patience {
            return Ok(());
        }
        let Some(epoch) = self.store.epochs(self.stream).await?.pop() else { return Ok(()) };
        let done = match self.search.done {
            Some((number, done)) if number == epoch.number => done,
            _ => self.store.searched_up_to(self.stream, &epoch).await?,
        };
        let to_seq = dropped.min(done.saturating_add(SEARCH_MAX));
        if to_seq > done {
            self.search_range(&epoch, done + 1, to_seq, reason(state, limits)).await?;
        }
        self.search.done = Some((epoch.number, to_seq.max(done)));
        if to_seq >= dropped {
            self.search.dropped = None;
        }
        Ok(())
    }

    async fn search_range(
        &mut self,
        epoch: &Epoch,
        from_seq: u64,
        to_seq: u64,
        reason: &str,
    ) -> Result<(), LookError> {
        let nothing_dead = std::collections::HashSet::new();
        if self.store.missing(self.stream, epoch, from_seq, to_seq, &nothing_dead).await?.is_none() {
            return Ok(());
        }
        let dead = self.bus.dead_sequences(self.stream, epoch.stream_created_us).await?;
        // Another instance may have recorded it in between.
        let from_seq = from_seq.max(self.store.last_loss(self.stream, epoch).await? + 1);
        if from_seq > to_seq {
            return Ok(());
        }
        let Some(missing) = self.store.missing(self.stream, epoch, from_seq, to_seq, &dead).await? else {
            return Ok(());
        };
        self.store.enter_loss(self.stream, epoch, &missing, reason).await?;
        tracing::error!(
            stream = self.stream,
            epoch = epoch.number,
            from = missing.from_seq,
            to = missing.to_seq,
            messages = missing.messages,
            reason,
            "LOST: the stream dropped messages before they were stored"
        );
        self.metrics.messages_lost_total.increment(missing.messages);
        let lost = self.search.told.map_or(0, |(_, lost)| lost) + missing.messages;
        self.search.told = Some((Instant::now(), lost));
        Ok(())
    }

    fn tell(&self, waiting: Waiting) {
        let until_loss = waiting.until_loss.map(|left| left.as_secs());
        self.metrics.backlog_messages.set(waiting.messages as f64);
        self.metrics.backlog_lag_seconds.set(waiting.lag.as_secs_f64());
        self.metrics
            .seconds_until_loss
            .set(waiting.until_loss.map_or(f64::INFINITY, |left| left.as_secs_f64()));
        let told = self.search.told.filter(|(at, _)| at.elapsed() < LOSS_TOLD).map_or(0, |(_, lost)| lost);
        self.check.details(json!({
            "messages_waiting": waiting.messages,
            "lag_seconds": waiting.lag.as_secs(),
            "seconds_until_loss": until_loss,
            "messages_lost": told,
        }));
        let left = waiting.until_loss.unwrap_or(Duration::MAX);
        let behind = || {
            let left = until_loss.map_or("never".to_owned(), |seconds| format!("in {seconds}s"));
            let (messages, lag) = (waiting.messages, waiting.lag.as_secs());
            format!("{messages} messages wait, the oldest for {lag}s; the stream drops it {left}")
        };
        if waiting.messages > 0 && left < LOSS_NEAR {
            self.check.unhealthy(behind());
        } else if told > 0 {
            self.check
                .degraded(format!("{told} messages were dropped before they were stored: see stream_losses"));
        } else if waiting.lag > LAG_TOLD {
            self.check.degraded(behind());
        } else {
            self.check.healthy();
        }
    }
}

/// How fast a stream grows.
#[derive(Debug, Clone, Copy)]
struct Pace {
    messages: u64,
    elapsed: Duration,
}

impl Pace {
    /// How long that many more messages take; `None` when none come.
    fn time_for(self, messages: u64) -> Option<Duration> {
        let millis = u128::from(messages) * self.elapsed.as_millis();
        let millis = millis.checked_div(u128::from(self.messages))?;
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// When the oldest message that waits will be dropped: at its age, or when the stream is full of what waits.
fn until_loss(limits: &StreamLimits, state: &StreamState, waiting: &Waiting, pace: Pace) -> Option<Duration> {
    let by_age = limits.max_age.map(|age| age.saturating_sub(waiting.lag));
    let message_bytes = (state.bytes / state.messages.max(1)).max(1);
    let fits = limits.max_bytes.map(|bytes| bytes / message_bytes);
    let room = |limit: Option<u64>| limit.map(|limit| limit.saturating_sub(waiting.span));
    let by_size = [room(fits), room(limits.max_messages)].into_iter().flatten().min();
    [by_age, by_size.and_then(|room| pace.time_for(room))].into_iter().flatten().min()
}

/// Which limit made the stream drop messages.
fn reason(state: &StreamState, limits: &StreamLimits) -> &'static str {
    let message_bytes = state.bytes / state.messages.max(1);
    if limits.max_messages.is_some_and(|limit| state.messages >= limit) {
        "max_messages"
    } else if limits.max_bytes.is_some_and(|limit| state.bytes + 2 * message_bytes >= limit) {
        "max_bytes"
    } else {
        "max_age"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn the_nearest_limit_decides() {
        let state = StreamState {
            first_sequence: 1,
            last_sequence: 1_000,
            messages: 1_000,
            bytes: 100_000,
            created_us: 0,
        };
        let waiting = Waiting { messages: 400, span: 500, lag: HOUR, until_loss: None };
        let pace = Pace { messages: 50, elapsed: Duration::from_secs(5) };
        let limits =
            |max_bytes, max_messages| StreamLimits { max_age: Some(HOUR * 3), max_bytes, max_messages };
        let left = |limits: &StreamLimits, pace| until_loss(limits, &state, &waiting, pace);
        assert_eq!(left(&limits(None, None), pace), Some(HOUR * 2));
        // 2,000 messages of 100 bytes fit, 500 wait: 1,500 more at 10 a second.
        assert_eq!(left(&limits(Some(200_000), None), pace), Some(Duration::from_secs(150)));
        assert_eq!(left(&limits(Some(200_000), Some(600)), pace), Some(Duration::from_secs(10)));
        assert_eq!(left(&limits(Some(200_000), Some(400)), pace), Some(Duration::ZERO), "full already");
        let still = Pace { messages: 0, elapsed: Duration::from_secs(5) };
        assert_eq!(left(&limits(Some(200_000), None), still), Some(HOUR * 2));
        let endless = StreamLimits { max_age: None, max_bytes: None, max_messages: None };
        assert_eq!(left(&endless, pace), None);
    }
}
