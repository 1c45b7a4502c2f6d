//! Turns what the tap passes into records and writes them, in a thread of its own: the disk may be slow, the data path may not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use marketprism_core::Instrument;
use marketprism_exchanges::registry::SessionConfig;
use marketprism_exchanges::{FetchFailed, RequestId};
use marketprism_recording::{Payload, Record, What};
use tokio::runtime::Handle;

use super::files::Files;
use super::metrics::RecordMetrics;
use crate::tap::{Recording, TapEvent, Tapped};

/// Events taken from the tap at once.
const BATCH_MAX: usize = 1_024;
/// Where nothing comes for so long, what is pending is written.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
/// Requests under way remembered per connection; sessions have at most eight open, older ones were given up.
const ASKED_MAX: usize = 64;

/// What was recorded so far; for progress and metrics.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) frames: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// Writes until the tap is closed.
#[derive(Debug)]
pub(super) struct Recorder {
    files: Files,
    /// Tells this run's sessions from those of others in the same file.
    run: u64,
    /// By integration and connection. Bounded by the plan.
    sessions: BTreeMap<(CompactString, CompactString), Playing>,
    /// Of what the tap could not pass on, how much is told in the recording.
    missed_told: u64,
    metrics: RecordMetrics,
}

/// A session that goes on: what a new file begins with.
#[derive(Debug, Default)]
struct Playing {
    config: String,
    links: BTreeSet<u64>,
    asked: BTreeMap<RequestId, String>,
}

impl Recorder {
    pub(super) fn new(files: Files, run: u64) -> Self {
        let metrics = RecordMetrics::default();
        Self { files, run, sessions: BTreeMap::new(), missed_told: 0, metrics }
    }

    /// Writes until the tap is closed. Blocks: not for a thread of the runtime.
    pub(super) fn run(
        mut self,
        mut recording: Recording,
        tally: &Tally,
        runtime: &Handle,
    ) -> std::io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let received = recording.events.recv_many(&mut batch, BATCH_MAX);
            match runtime.block_on(async { tokio::time::timeout(FLUSH_AFTER, received).await }) {
                Ok(0) => return self.files.finish(),
                Ok(_) => {}
                Err(_) => self.files.flush(),
            }
            self.note_missed(recording.missed.load(Ordering::Relaxed), tally);
            for tapped in batch.drain(..) {
                self.record(tapped, tally);
            }
            tally.bytes.store(self.files.bytes(), Ordering::Relaxed);
            self.metrics.recorded_bytes_total.absolute(self.files.bytes());
        }
    }

    fn note_missed(&mut self, missed: u64, tally: &Tally) {
        let lost = missed.saturating_sub(self.missed_told);
        self.missed_told = missed;
        self.files.lost(lost);
        self.count_lost(lost, tally);
    }

    fn count_lost(&self, lost: u64, tally: &Tally) {
        tally.lost.fetch_add(lost, Ordering::Relaxed);
        self.metrics.recorded_lost_total.increment(lost);
    }

    fn record(&mut self, tapped: Tapped, tally: &Tally) {
        let Tapped { integration, connection, received, event } = tapped;
        let place = (CompactString::from(integration), CompactString::from(connection.as_ref()));
        let what = self.sessions.entry(place.clone()).or_default().what(event, self.run);
        if matches!(what, What::Frame { .. }) {
            tally.frames.fetch_add(1, Ordering::Relaxed);
        }
        let (integration, connection) = place;
        let record = Record { at: received, integration, connection, what };
        let (sessions, run) = (&self.sessions, self.run);
        let lost = self.files.write(&record, || head(sessions, &record, run));
        self.metrics.recorded_records_total.increment(1);
        self.count_lost(lost, tally);
    }
}

/// The sessions that go on at `first`, the first record of a new file; those that begin with it are told by it.
fn head(
    sessions: &BTreeMap<(CompactString, CompactString), Playing>,
    first: &Record,
    run: u64,
) -> Vec<Record> {
    let mut records = Vec::new();
    for ((integration, connection), playing) in sessions {
        let is_told = matches!(first.what, What::Session { .. })
            && (&first.integration, &first.connection) == (integration, connection);
        if playing.config.is_empty() || is_told {
            continue;
        }
        let mut told = |what| {
            let (integration, connection) = (integration.clone(), connection.clone());
            records.push(Record { at: first.at, integration, connection, what });
        };
        told(What::Session { run, config: playing.config.clone() });
        for link in &playing.links {
            // Its opening may be the record that follows; twice is once.
            told(What::Opened { link: *link });
        }
    }
    records
}

impl Playing {
    /// What happened, as a record says it; remembers what later ones need.
    fn what(&mut self, event: TapEvent, run: u64) -> What {
        match event {
            TapEvent::Session(config) => {
                *self = Self { config: config.clone(), ..Self::default() };
                What::Session { run, config }
            }
            TapEvent::Instruments(list) => {
                self.set_instruments(&list);
                What::Instruments(list)
            }
            TapEvent::Opened(link) => {
                self.links.insert(link.0);
                What::Opened { link: link.0 }
            }
            TapEvent::Closed(link) => {
                self.links.remove(&link.0);
                What::Closed { link: link.0 }
            }
            TapEvent::Text(link, text) => {
                What::Frame { link: link.0, payload: Payload::Text(text.as_str().to_owned()) }
            }
            TapEvent::Binary(link, bytes) => {
                What::Frame { link: link.0, payload: Payload::Binary(bytes.into()) }
            }
            TapEvent::Sent(link, text) => What::Sent { link: link.0, text },
            TapEvent::Asked(request) => {
                if self.asked.len() >= ASKED_MAX {
                    self.asked.pop_first();
                }
                self.asked.insert(request.id, request.path.clone());
                What::Request { path: request.path }
            }
            TapEvent::Answered(id, answer) => {
                let path = self.asked.remove(&id).unwrap_or_default();
                match answer {
                    Ok(body) => What::Answer { path, body: body.into() },
                    Err(FetchFailed::Status { status, body, retry_after_seconds }) => {
                        What::Failed { path, status: Some(status), retry_after_seconds, reason: body }
                    }
                    Err(FetchFailed::TimedOut(reason) | FetchFailed::Transport(reason)) => {
                        What::Failed { path, status: None, retry_after_seconds: None, reason }
                    }
                }
            }
            TapEvent::Listed(path, body) => What::Answer { path: path.to_owned(), body: body.into() },
        }
    }

    /// A file that begins later begins with these.
    fn set_instruments(&mut self, list: &str) {
        let config = serde_json::from_str::<SessionConfig>(&self.config);
        let instruments = serde_json::from_str::<Vec<Instrument>>(list);
        if let (Ok(config), Ok(instruments)) = (config, instruments)
            && let Ok(config) = serde_json::to_string(&SessionConfig { instruments, ..config })
        {
            self.config = config;
        }
    }
}
