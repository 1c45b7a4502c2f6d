//! REST requests of a session: which are open, when the next may be made, when one is given up.

use std::collections::BTreeMap;

use marketprism_core::Timestamp;

use super::SECOND;
use crate::session::RequestId;

/// Open requests at most; the others wait their turn. More would only queue at the collector's weight budget.
const OPEN_MAX: usize = 8;
/// An answer that has not come by then never will; the collector's own timeout is shorter.
const ANSWER_MICROS_MAX: i64 = 30 * SECOND;
/// The first retry waits this long, each further one twice as long as the one before …
const RETRY_MICROS_MIN: i64 = SECOND;
/// … up to this.
const RETRY_MICROS_MAX: i64 = 30 * SECOND;
/// Of a minute's weight, what may be spent at once: a reconnect asks for many snapshots together.
const BURST_DIVISOR: u32 = 10;
/// Of a minute's weight, what a session spends in the long run: polled data and other sessions need the rest.
const SHARE_DIVISOR: u32 = 2;

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A depth snapshot.
    Snapshot,
    /// Missing trades.
    Backfill,
}

/// An open request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) feed: usize,
    pub(super) purpose: Purpose,
    deadline: Timestamp,
}

/// The open requests and the weight left.
#[derive(Debug)]
pub(super) struct Requests {
    next_id: u64,
    open: BTreeMap<RequestId, Open>,
    weight_per_minute: i64,
    /// Weight that may be spent now, in weight × µs of a minute.
    credit: i64,
    credited: Option<Timestamp>,
}

const MINUTE: i64 = 60 * SECOND;

impl Requests {
    pub(super) fn new(weight_per_minute: u32) -> Self {
        Self {
            next_id: 0,
            open: BTreeMap::new(),
            weight_per_minute: i64::from(weight_per_minute / SHARE_DIVISOR),
            credit: i64::from(weight_per_minute / BURST_DIVISOR) * MINUTE,
            credited: None,
        }
    }

    /// Opens a request if there is a free place and weight for it.
    pub(super) fn open(
        &mut self,
        feed: usize,
        purpose: Purpose,
        weight: u32,
        now: Timestamp,
    ) -> Option<RequestId> {
        self.refill(now);
        let cost = i64::from(weight) * MINUTE;
        if self.open.len() >= OPEN_MAX || self.credit < cost {
            return None;
        }
        self.credit -= cost;
        self.next_id += 1;
        let id = RequestId(self.next_id);
        let deadline = now.saturating_add_micros(ANSWER_MICROS_MAX);
        self.open.insert(id, Open { feed, purpose, deadline });
        Some(id)
    }

    fn refill(&mut self, now: Timestamp) {
        let burst = self.weight_per_minute * i64::from(SHARE_DIVISOR) / i64::from(BURST_DIVISOR) * MINUTE;
        let elapsed = self.credited.map_or(0, |then| now.micros_since(then)).clamp(0, MINUTE);
        self.credit = (self.credit + elapsed * self.weight_per_minute).min(burst);
        self.credited = Some(now);
    }

    /// The request an answer belongs to; `None` when it was given up.
    pub(super) fn close(&mut self, id: RequestId) -> Option<Open> {
        self.open.remove(&id)
    }

    /// Gives up what has not been answered in time.
    pub(super) fn expired(&mut self, now: Timestamp) -> Vec<Open> {
        self.open.extract_if(.., |_, open| open.deadline <= now).map(|(_, open)| open).collect()
    }

    /// Gives up snapshots: they are of no use to the next connection.
    pub(super) fn forget_snapshots(&mut self) {
        self.open.retain(|_, open| open.purpose != Purpose::Snapshot);
    }
}

/// Whether something is wanted of REST, and since when it may be asked for.
#[derive(Debug, Default)]
pub(super) struct Ask {
    state: AskState,
    failures: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum AskState {
    #[default]
    Idle,
    Wanted(Timestamp),
    Open,
}

impl Ask {
    /// Asks, unless that is under way.
    pub(super) fn want(&mut self, now: Timestamp) {
        if self.state == AskState::Idle {
            self.state = AskState::Wanted(now);
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        matches!(self.state, AskState::Wanted(at) if at <= now)
    }

    pub(super) fn opened(&mut self) {
        self.state = AskState::Open;
    }

    /// It brought what was wanted.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// An answer came, and more is wanted.
    pub(super) fn want_more(&mut self, now: Timestamp) {
        *self = Self { state: AskState::Wanted(now), failures: 0 };
    }

    /// It did not: asks again later, and says how many times in a row that happened.
    pub(super) fn failed(&mut self, now: Timestamp, retry_after_seconds: Option<u64>) -> u32 {
        let backoff = RETRY_MICROS_MIN.saturating_mul(1 << self.failures.min(16)).min(RETRY_MICROS_MAX);
        let asked = retry_after_seconds.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
        let wait = backoff.max(asked.saturating_mul(SECOND));
        self.state = AskState::Wanted(now.saturating_add_micros(wait));
        self.failures = self.failures.saturating_add(1);
        self.failures
    }
}
