//! One batch into its table, each message once, however often it is tried.
//!
//! The one mechanism for every doubt: the sequences that are stored are read, and only what is missing is inserted.
//! A message is in doubt when it was delivered before, when its sequence is not above the highest one stored, or when
//! an insert that contained it failed. And nothing is sent that is not certainly ours (`claim.rs`).

use std::collections::HashSet;
use std::time::Instant;

use marketprism_core::DataType;
use marketprism_service::{Backoff, CancellationToken, Check, Report, now_seconds};
use marketprism_store::{Entry, Store, StoreError};
use tokio::time::timeout;

use crate::claim::Claim;
use crate::metrics::LaneMetrics;

/// Why not everything of a batch was stored. What was not is delivered again, to whoever comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Told to stop.
    Stopped,
    /// The batch may be somebody else's by now.
    NotOurs,
}

/// Why an attempt failed.
enum Failed {
    Store(StoreError),
    NotOurs,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The writing of one batch.
pub(crate) struct Insertion<'a> {
    store: &'a Store,
    data_type: DataType,
    claim: &'a Claim,
    metrics: &'a LaneMetrics,
    check: &'a Check,
    backoff: Backoff,
}

/// Rows of one day: one insert.
struct Part<'a> {
    entries: Vec<Entry<'a>>,
    /// Sequences that may be stored already.
    doubtful: HashSet<u64>,
}

impl<'a> Insertion<'a> {
    pub(crate) fn new(
        store: &'a Store,
        data_type: DataType,
        claim: &'a Claim,
        metrics: &'a LaneMetrics,
        check: &'a Check,
        backoff: Backoff,
    ) -> Self {
        Self { store, data_type, claim, metrics, check, backoff }
    }

    /// Stores every entry, whatever it takes, and returns those whose values ClickHouse refuses, with its words.
    /// `true` beside an entry means that it may be stored already.
    pub(crate) async fn run(
        &mut self,
        entries: Vec<(Entry<'_>, bool)>,
        token: &CancellationToken,
    ) -> Result<Vec<(u64, String)>, GivenUp> {
        let mut refused = Vec::new();
        let mut parts = by_day(entries);
        while let Some(mut part) = parts.pop() {
            match self.insert(&mut part).await {
                Ok(()) => {}
                Err(Failed::NotOurs) => return Err(GivenUp::NotOurs),
                // The server refuses a value: halve the rows until the one is found.
                Err(Failed::Store(error)) if error.is_refusal_of_data() => match part.halves() {
                    Ok(halves) => parts.extend(halves),
                    Err(entry) => refused.push((entry.stream_seq, Report::from(error).to_string())),
                },
                Err(Failed::Store(error)) => {
                    self.failed(error);
                    let delay = self.backoff.next_delay(std::time::Duration::ZERO);
                    if timeout(delay, token.cancelled()).await.is_ok() {
                        return Err(GivenUp::Stopped);
                    }
                    parts.push(part);
                }
            }
        }
        Ok(refused)
    }

    /// Inserts what of the part is not stored. After a failure all that is left of it is in doubt; of what is refused, it is known
    /// not to be stored.
    async fn insert(&self, part: &mut Part<'_>) -> Result<(), Failed> {
        self.drop_stored(part).await?;
        if part.entries.is_empty() {
            return Ok(());
        }
        // The server takes what arrives soon after this; later than that the batch may not be ours any more.
        self.store.admit(self.data_type).await?;
        // Last, so that what was asked before is still true.
        if !self.claim.holds().await {
            return Err(Failed::NotOurs);
        }
        let rows = part.entries.len() as u64;
        let began = Instant::now();
        part.doubtful = part.entries.iter().map(|entry| entry.stream_seq).collect();
        if let Err(error) = self.store.insert(&part.entries).await {
            if error.is_refusal_of_data() {
                // Where a materialized view refuses, the rows may be in the table nevertheless.
                self.drop_stored(part).await?;
            }
            return if part.entries.is_empty() { Ok(()) } else { Err(error.into()) };
        }
        self.metrics.insert_duration_seconds.record(began.elapsed());
        self.metrics.batch_rows.record(rows as f64);
        self.metrics.batch_inserts_total.increment(1);
        self.metrics.batch_size_total.increment(rows);
        Ok(())
    }

    async fn drop_stored(&self, part: &mut Part<'_>) -> Result<(), StoreError> {
        if part.doubtful.is_empty() {
            return Ok(());
        }
        self.store.settled(self.data_type).await?;
        let in_doubt: Vec<_> =
            part.entries.iter().filter(|entry| part.doubtful.contains(&entry.stream_seq)).copied().collect();
        let stored = self.store.stored_sequences(&in_doubt).await?;
        self.metrics.messages_doubtful_total.increment(in_doubt.len() as u64);
        self.metrics.messages_already_stored_total.increment(stored.len() as u64);
        part.entries.retain(|entry| !stored.contains(&entry.stream_seq));
        part.doubtful.clear();
        Ok(())
    }

    fn failed(&self, error: StoreError) {
        let transient = error.is_transient();
        let error = Report::from(error).to_string();
        let failures = self.backoff.failures().saturating_add(1);
        tracing::warn!(data_type = %self.data_type, failures, error, "batch not stored yet");
        self.metrics.clickhouse_insert_errors_total.increment(1);
        self.metrics.last_error_timestamp_seconds.set(now_seconds());
        // What waits is kept by the stream; for how long, the check of the stream says.
        if transient {
            self.check.degraded(error);
        } else {
            self.check.unhealthy(error);
        }
    }
}

impl<'a> Part<'a> {
    /// Two parts of half the rows, or the one row there is.
    fn halves(mut self) -> Result<[Self; 2], Entry<'a>> {
        if let [only] = self.entries.as_slice() {
            return Err(*only);
        }
        let second = self.entries.split_off(self.entries.len() / 2);
        // The refused insert was stored nowhere: refusing is an answer.
        Ok([second, self.entries].map(|entries| Part { entries, doubtful: HashSet::new() }))
    }
}

/// One part a day, each in order of sequence, a sequence once.
fn by_day(mut entries: Vec<(Entry<'_>, bool)>) -> Vec<Part<'_>> {
    entries.sort_by_key(|(entry, _)| (entry.day(), entry.stream_seq));
    entries.dedup_by_key(|(entry, _)| entry.stream_seq);
    entries
        .chunk_by(|(one, _), (next, _)| one.day() == next.day())
        .map(|day| Part {
            entries: day.iter().map(|(entry, _)| *entry).collect(),
            doubtful: day
                .iter()
                .filter(|(_, doubtful)| *doubtful)
                .map(|(entry, _)| entry.stream_seq)
                .collect(),
        })
        .collect()
}
