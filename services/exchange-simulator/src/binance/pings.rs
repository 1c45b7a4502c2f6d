//! Keep-alive bookkeeping of one connection: which pings are unanswered and by when they must be. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Pings sent and not answered. Holds at most timeout / interval + 1 entries: the first one overdue ends it.
#[derive(Debug)]
pub(crate) struct Pings {
    interval: Duration,
    timeout: Duration,
    next_at: Instant,
    sent: u64,
    unanswered: VecDeque<(u64, Instant)>,
}

impl Pings {
    pub(crate) fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self { interval, timeout, next_at: now + interval, sent: 0, unanswered: VecDeque::new() }
    }

    /// When something is to be done: a ping sent, or the connection given up.
    pub(crate) fn next_at(&self) -> Instant {
        self.unanswered.front().map_or(self.next_at, |(_, deadline)| self.next_at.min(*deadline))
    }

    /// The payload to ping with at `now`, or `None` when an answer is overdue.
    pub(crate) fn due(&mut self, now: Instant) -> Option<String> {
        if self.unanswered.front().is_some_and(|(_, deadline)| *deadline <= now) {
            return None;
        }
        self.sent += 1;
        self.next_at = now + self.interval;
        self.unanswered.push_back((self.sent, now + self.timeout));
        Some(self.sent.to_string())
    }

    /// A pong came. Only the payload of a ping counts; it answers the earlier ones, too.
    pub(crate) fn answered(&mut self, payload: &[u8]) {
        let number = std::str::from_utf8(payload).ok().and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number.filter(|number| *number <= self.sent) {
            self.unanswered.retain(|(sent, _)| *sent > number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pings;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn unsolicited_pongs_do_not_count() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut pings = Pings::new(second, second * 3, start);
        assert_eq!(pings.due(start + second), Some("1".to_owned()));
        pings.answered(b"99");
        pings.answered(b"");
        assert_eq!(pings.due(start + second * 4), None);
        pings.answered(b"1");
        assert_eq!(pings.due(start + second * 4), Some("2".to_owned()));
    }
}
