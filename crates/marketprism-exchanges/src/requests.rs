//! REST requests of a session: which are open, when the next may be made, when one is given up.

use std::collections::BTreeMap;

use marketprism_core::Timestamp;

use crate::context::SECOND;
use crate::session::{Effects, FetchFailed, Note, RequestId};

/// Open requests at most; the others wait their turn. More would only queue at the collector's weight budget.
const OPEN_MAX: usize = 8;
/// An answer that has not come by then never will. The collector holds requests back where the exchange's limit asks for
/// it, a minute at most, and has a timeout of its own.
const ANSWER_MICROS_MAX: i64 = 120 * SECOND;
/// The first retry waits this long, each further one twice as long as the one before …
const RETRY_MICROS_MIN: i64 = SECOND;
/// … up to this.
const RETRY_MICROS_MAX: i64 = 30 * SECOND;
/// An open request, and what its answer is for: the exchange's own words for that.
#[derive(Debug, Clone, Copy)]
struct Open<P> {
    purpose: P,
    deadline: Timestamp,
}

/// The open requests.
#[derive(Debug)]
pub(crate) struct Requests<P> {
    next_id: u64,
    open: BTreeMap<RequestId, Open<P>>,
}

impl<P> Default for Requests<P> {
    fn default() -> Self {
        Self { next_id: 0, open: BTreeMap::new() }
    }
}

impl<P> Requests<P> {
    /// Whether there is a free place.
    pub(crate) fn has_place(&self) -> bool {
        self.open.len() < OPEN_MAX
    }

    /// Opens a request. Ask [`Self::has_place`] first.
    pub(crate) fn open(&mut self, purpose: P, now: Timestamp) -> RequestId {
        self.next_id += 1;
        let id = RequestId(self.next_id);
        let deadline = now.saturating_add_micros(ANSWER_MICROS_MAX);
        self.open.insert(id, Open { purpose, deadline });
        id
    }

    /// What an answer is for; `None`, and counted, when the request was given up.
    pub(crate) fn close(&mut self, id: RequestId, out: &mut dyn Effects) -> Option<P> {
        let open = self.open.remove(&id);
        if open.is_none() {
            out.note(Note::Ignored { what: "late_answer" });
        }
        open.map(|open| open.purpose)
    }

    /// Gives up what has not been answered in time.
    pub(crate) fn expired(&mut self, now: Timestamp, out: &mut dyn Effects) -> Vec<P> {
        self.remove(|open| open.deadline <= now, out)
    }

    /// Gives up requests whose answers are of no use any more.
    pub(crate) fn forget(&mut self, is_useless: impl Fn(&P) -> bool, out: &mut dyn Effects) {
        self.remove(|open| is_useless(&open.purpose), out);
    }

    fn remove(&mut self, is_useless: impl Fn(&Open<P>) -> bool, out: &mut dyn Effects) -> Vec<P> {
        let useless = self.open.extract_if(.., |_, open| is_useless(open));
        useless
            .map(|(id, open)| {
                out.forget(id);
                open.purpose
            })
            .collect()
    }
}

/// Whether something is wanted of REST, and since when it may be asked for.
#[derive(Debug, Default)]
pub(crate) struct Ask {
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
    /// Asks from this time on, unless that is under way.
    pub(crate) fn want(&mut self, from: Timestamp) {
        if self.state == AskState::Idle {
            self.state = AskState::Wanted(from);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == AskState::Open
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        matches!(self.state, AskState::Wanted(at) if at <= now)
    }

    pub(crate) fn opened(&mut self) {
        self.state = AskState::Open;
    }

    /// It brought what was wanted.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// An answer came, and more is wanted.
    pub(crate) fn want_more(&mut self, now: Timestamp) {
        *self = Self { state: AskState::Wanted(now), failures: 0 };
    }

    /// It did not: asks again later, and says how many times in a row that happened. `failure` is `None` where an
    /// answer came and did not help, or none ever came.
    pub(crate) fn failed(&mut self, now: Timestamp, failure: Option<&FetchFailed>) -> u32 {
        let retry_after_seconds = match failure {
            Some(FetchFailed::Status { retry_after_seconds, .. }) => *retry_after_seconds,
            Some(FetchFailed::TimedOut(_) | FetchFailed::Transport(_)) | None => None,
        };
        let backoff = RETRY_MICROS_MIN.saturating_mul(1 << self.failures.min(16)).min(RETRY_MICROS_MAX);
        let asked = retry_after_seconds.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
        let wait = backoff.max(asked.saturating_mul(SECOND));
        self.state = AskState::Wanted(now.saturating_add_micros(wait));
        self.failures = self.failures.saturating_add(1);
        self.failures
    }
}
