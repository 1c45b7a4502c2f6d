//! The second pass over a capture: frames to their subscribers in recorded order, at the pace asked for.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::entries::{Entries, Happening};
use super::frame::{self, Captured, Told};
use super::gate::Gate;
use super::scan::{Replay, ReplayError};
use crate::config::Speed;
use crate::hub::Hub;
use crate::record::{Frame, Record};
use crate::streams::{Feed, Stream};

/// Diffs of one moment's unfetched books that may wait aside: about 100 MB. At it the whole replay waits.
const HELD_MAX: usize = 100_000;
/// Happenings between two chances for others on the same thread, when nobody subscribed and nothing waits.
const HAPPENINGS_PER_TURN: u64 = 256;
/// Malformed lines that are logged; all are counted.
const MALFORMED_LOGGED_MAX: u64 = 5;

/// Serves the whole capture once.
///
/// # Errors
/// When a file cannot be read any further.
pub(crate) async fn run(hub: &Hub, gate: &Gate, replay: Replay) -> Result<(), ReplayError> {
    wait_for_subscribers(hub, gate, &replay).await;
    gate.set_started();
    tracing::info!(speed = %replay.config.speed, "replay starts");
    let mut serving = Serving { hub, gate, held: VecDeque::new(), pace: Pace::new(replay.config.speed) };
    let mut paused = hub.paused.subscribe();
    let mut entries = Entries::new(&replay.config, replay.beside.clone());
    let mut happenings = 0_u64;
    while let Some((at_ns, happening)) = entries.next()? {
        if *paused.borrow_and_update() {
            let since = Instant::now();
            if paused.wait_for(|paused| !paused).await.is_err() {
                return Ok(());
            }
            serving.pace.shift(since.elapsed());
        }
        serving.wait_until(at_ns).await;
        serving.happen(happening).await;
        happenings += 1;
        if happenings.is_multiple_of(HAPPENINGS_PER_TURN) {
            yield_now().await;
        }
    }
    serving.release_down_to(0).await;
    gate.set_read();
    tracing::info!(happenings, malformed_lines = gate.malformed_lines(), "replay is through");
    Ok(())
}

/// Waits until every required stream has a taker, or `start_wait` after the first one has, or a control request.
async fn wait_for_subscribers(hub: &Hub, gate: &Gate, replay: &Replay) {
    let required = replay.required();
    let taken = |streams: &Vec<Stream>| streams.iter().any(|&one| hub.subscriptions.of(one).is_some());
    let all_taken = async {
        while !required.iter().all(taken) {
            hub.subscriptions.added().await;
        }
    };
    let first_taken_long_ago = async {
        // Polled, not notified: the notification belongs to the other arm, and a tenth of a second is nothing here.
        while !required.iter().any(taken) {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(replay.config.start_wait.get()).await;
    };
    tokio::select! {
        () = all_taken => {}
        () = first_taken_long_ago => tracing::warn!("replay starts although not every stream is subscribed"),
        () = gate.start_requested() => {}
    }
}

struct Serving<'a> {
    hub: &'a Hub,
    gate: &'a Gate,
    /// Diffs behind a book that nobody fetched yet, in recorded order.
    held: VecDeque<(usize, String)>,
    pace: Pace,
}

impl Serving<'_> {
    /// Waits for the time of the next happening; meanwhile releases what is no longer held.
    async fn wait_until(&mut self, at_ns: i64) {
        let Some(due) = self.pace.due(at_ns) else {
            self.release().await;
            return;
        };
        loop {
            self.release().await;
            tokio::select! {
                () = sleep_until(due) => return,
                () = self.gate.fetched(), if !self.held.is_empty() => {}
            }
        }
    }

    async fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Frame { instrument_id, feed, data } => self.frame(&instrument_id, feed, data).await,
            Happening::Snapshot { instrument_id, body } => {
                if let Some(instrument) = self.find(&instrument_id) {
                    self.gate.reach(instrument, body);
                }
            }
            // The first pass has it.
            Happening::ExchangeInfo(_) => {}
            Happening::Malformed(path) => {
                self.gate.count_malformed();
                if self.gate.malformed_lines() <= MALFORMED_LOGGED_MAX {
                    tracing::warn!(path = %path.display(), "a line of the capture is none of its format's: skipped");
                }
            }
        }
    }

    async fn frame(&mut self, instrument_id: &str, feed: Feed, data: String) {
        let Some(instrument) = self.find(instrument_id) else { return };
        let stream = Stream { instrument, feed };
        let is_held = feed == Feed::Depth
            && self.hub.subscriptions.of(stream).is_some()
            && (self.gate.holds(instrument) || self.held.iter().any(|(held, _)| *held == instrument));
        if is_held {
            self.release_down_to(HELD_MAX - 1).await;
            self.held.push_back((instrument, data));
        } else {
            self.publish(stream, data).await;
        }
    }

    async fn publish(&self, stream: Stream, data: String) {
        let Ok(told) = frame::read(Captured { feed: stream.feed, data: &data }) else {
            // Sent all the same: a client must cope with what the exchange sent.
            self.gate.count_malformed();
            self.hub.publish(stream, || Frame::unrecorded(data)).await;
            return;
        };
        let history = &self.hub.history;
        let record = match told {
            Told::Trade(trade) => {
                let record = Record::from(&trade);
                history.add_trade(stream.instrument, trade);
                record
            }
            Told::Aggregate(trade) => {
                let record = Record::from(&trade);
                history.add_aggregate(stream.instrument, trade);
                record
            }
            Told::Book(record) => record,
        };
        let unsent = (stream.feed == Feed::BookTicker).then(|| record.clone());
        let has_taker = self.hub.publish(stream, || Frame::new(data, stream.instrument, record)).await;
        // Best prices are the yardstick for whoever checks a book built from the diffs, subscribed or not.
        if let Some(record) = unsent.filter(|_| !has_taker) {
            self.hub.ledger.note_unsent(stream.instrument, &record);
        }
    }

    /// Publishes the held diffs whose books were fetched.
    async fn release(&mut self) {
        // Decided once: a book fetched while others are published would have its later diffs overtake its earlier ones.
        let free: HashSet<usize> =
            self.held.iter().map(|(held, _)| *held).filter(|held| !self.is_still_held(*held)).collect();
        if free.is_empty() {
            return;
        }
        let (now, still) =
            std::mem::take(&mut self.held).into_iter().partition(|(held, _)| free.contains(held));
        self.held = still;
        let now: VecDeque<_> = now;
        for (instrument, data) in now {
            self.publish(Stream { instrument, feed: Feed::Depth }, data).await;
        }
    }

    /// A book nobody fetched and whose diffs nobody takes any more holds nothing up.
    fn is_still_held(&self, instrument: usize) -> bool {
        let stream = Stream { instrument, feed: Feed::Depth };
        self.gate.holds(instrument) && self.hub.subscriptions.of(stream).is_some()
    }

    /// Waits until no more than `count` diffs are held.
    async fn release_down_to(&mut self, count: usize) {
        loop {
            self.release().await;
            if self.held.len() <= count {
                return;
            }
            // The timer is for subscribers that leave, of which nobody tells.
            tokio::select! {
                () = self.gate.fetched() => {}
                () = sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    fn find(&self, instrument_id: &str) -> Option<usize> {
        let all = self.hub.catalogue.all();
        all.iter().position(|instrument| instrument.instrument_id == instrument_id)
    }
}

/// Recorded time to our time.
struct Pace {
    speed: Speed,
    /// Recorded time of the first timed happening, and our time then.
    origin: Option<(i64, Instant)>,
}

impl Pace {
    fn new(speed: Speed) -> Self {
        Self { speed, origin: None }
    }

    /// When a happening recorded at `at_ns` is due; `None` is at once.
    fn due(&mut self, at_ns: i64) -> Option<Instant> {
        let Speed::Times(times) = self.speed else { return None };
        if at_ns == i64::MIN {
            return None;
        }
        let (first_ns, start) = *self.origin.get_or_insert_with(|| (at_ns, Instant::now()));
        // Receive times may go back a little between files: then it is due at once.
        let elapsed = u64::try_from(at_ns.saturating_sub(first_ns)).unwrap_or(0);
        Some(start + Duration::from_nanos(elapsed) / times)
    }

    /// Time spent paused is not made up for.
    fn shift(&mut self, paused: Duration) {
        if let Some((_, start)) = &mut self.origin {
            *start += paused;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::config::Speed;
    use std::time::Duration;

    #[test]
    fn recorded_distances_shrink_with_the_speed() {
        let mut pace = Pace::new(Speed::Times(20));
        let first = pace.due(5_000_000_000).unwrap();
        assert_eq!(pace.due(7_000_000_000).unwrap() - first, Duration::from_millis(100));
        assert_eq!(pace.due(4_000_000_000).unwrap(), first);
        pace.shift(Duration::from_secs(1));
        assert_eq!(pace.due(5_000_000_000).unwrap() - first, Duration::from_secs(1));
        assert_eq!(Pace::new(Speed::Max).due(1), None);
    }
}
