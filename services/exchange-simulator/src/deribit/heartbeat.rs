//! When a socket must hear something and must say something (`public/set_heartbeat`). Pure: the caller brings the time.
//!
//! Every interval comes `{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}`, and before it, on a
//! socket that had nothing else to carry, the same with `"heartbeat"`. A `test_request` that is not answered with
//! `public/test` until the next one is due ends the socket with 4000 "heartbeat close".

use std::time::Duration;

use tokio::time::Instant;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// `test_request`, after `heartbeat` when the socket was idle.
    TestRequest {
        /// Whether `heartbeat` goes first.
        idle: bool,
    },
    /// The last `test_request` was not answered.
    Unanswered,
}

/// One socket's heartbeat.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    interval: Duration,
    next_at: Instant,
    answered: bool,
}

impl Heartbeat {
    pub(crate) fn every(interval: Duration, now: Instant) -> Self {
        Self { interval, next_at: now + interval, answered: true }
    }

    pub(crate) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// To be called at `next_at`; `active_at` is when anything was last sent or received. The exchange of the last
    /// `test_request` itself does not make a socket busy, hence half the interval.
    pub(crate) fn due(&mut self, now: Instant, active_at: Instant) -> Due {
        if !self.answered {
            return Due::Unanswered;
        }
        self.answered = false;
        self.next_at = now + self.interval;
        Due::TestRequest { idle: now.saturating_duration_since(active_at) >= self.interval / 2 }
    }

    /// `public/test` came.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Heartbeat};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn an_answer_within_the_interval_keeps_the_socket() {
        let interval = Duration::from_secs(10);
        let start = Instant::now();
        let mut heartbeat = Heartbeat::every(interval, start);
        assert_eq!(heartbeat.next_at(), start + interval);
        assert_eq!(heartbeat.due(start + interval, start), Due::TestRequest { idle: true });
        heartbeat.answered();
        let busy_until = start + interval * 2;
        assert_eq!(heartbeat.due(start + interval * 2, busy_until), Due::TestRequest { idle: false });
        assert_eq!(heartbeat.next_at(), start + interval * 3);
        assert_eq!(heartbeat.due(start + interval * 3, busy_until), Due::Unanswered);
    }
}
