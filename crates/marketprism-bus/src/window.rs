//! The publisher's window: what was sent and not yet confirmed, in the order of sending. No I/O and no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::publisher::Stopwatch;

/// A message that is sent and not yet confirmed.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) subject: async_nats::Subject,
    pub(crate) message_id: String,
    pub(crate) payload: Bytes,
    pub(crate) stopwatch: Option<Stopwatch>,
    pub(crate) first_sent: Instant,
    /// Times sent.
    pub(crate) attempts: u32,
    /// When it is sent again.
    pub(crate) due: Instant,
}

/// Unconfirmed messages by their ordinal, which counts the messages of one publisher and is told back by the broker
/// as the last token of the reply subject.
#[derive(Debug, Default)]
pub(crate) struct Window {
    messages: BTreeMap<u64, InFlight>,
    next: u64,
}

impl Window {
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The ordinal that the next message will get.
    pub(crate) fn next_ordinal(&self) -> u64 {
        self.next
    }

    /// Whether everything before `ordinal` is out of the window.
    pub(crate) fn is_settled_before(&self, ordinal: u64) -> bool {
        self.messages.first_key_value().is_none_or(|(oldest, _)| *oldest >= ordinal)
    }

    pub(crate) fn push(&mut self, message: InFlight) -> u64 {
        let ordinal = self.next;
        self.next += 1;
        self.messages.insert(ordinal, message);
        ordinal
    }

    pub(crate) fn get_mut(&mut self, ordinal: u64) -> Option<&mut InFlight> {
        self.messages.get_mut(&ordinal)
    }

    pub(crate) fn remove(&mut self, ordinal: u64) -> Option<InFlight> {
        self.messages.remove(&ordinal)
    }

    /// Makes every message due at once: after a reconnect nobody knows which of them arrived.
    pub(crate) fn doubt_all(&mut self, now: Instant) {
        for message in self.messages.values_mut() {
            message.due = now;
        }
    }

    /// Messages first sent more than `age` ago, by subject: ordinals in the order of sending.
    pub(crate) fn older_than(&self, age: Duration) -> BTreeMap<String, Vec<u64>> {
        let mut old = BTreeMap::<String, Vec<u64>>::new();
        for (ordinal, message) in &self.messages {
            if message.first_sent.elapsed() > age {
                old.entry(message.subject.to_string()).or_default().push(*ordinal);
            }
        }
        old
    }

    /// Ordinals of the messages to send again now, oldest first, so that retries keep the order of sending.
    pub(crate) fn due(&self, now: Instant) -> Vec<u64> {
        self.messages.iter().filter(|(_, message)| message.due <= now).map(|(ordinal, _)| *ordinal).collect()
    }
}

/// `base` doubled with every attempt, at most `max`.
pub(crate) fn doubled(base: Duration, attempts: u32, max: Duration) -> Duration {
    base.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(due: Instant) -> InFlight {
        InFlight {
            subject: "trade.a.spot.B".into(),
            message_id: "1".to_owned(),
            payload: Bytes::new(),
            stopwatch: None,
            first_sent: due,
            attempts: 1,
            due,
        }
    }

    #[test]
    fn retries_keep_the_order_of_sending() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut window = Window::default();
        for lag in [3, 1, 2] {
            window.push(message(start + second * lag));
        }
        assert_eq!(window.due(start), Vec::<u64>::new());
        assert_eq!(window.due(start + second * 2), [1, 2]);
        window.doubt_all(start);
        assert_eq!(window.due(start), [0, 1, 2]);
    }

    #[test]
    fn settled_means_everything_older_is_out() {
        let mut window = Window::default();
        let first = window.push(message(Instant::now()));
        let barrier = window.next_ordinal();
        let later = window.push(message(Instant::now()));
        assert!(!window.is_settled_before(barrier));
        window.remove(first);
        assert!(window.is_settled_before(barrier));
        window.remove(later);
        assert!(window.is_empty());
    }

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let base = Duration::from_millis(100);
        let max = Duration::from_secs(1);
        assert_eq!([1, 2, 3, 40].map(|n| doubled(base, n, max).as_millis()), [100, 200, 400, 1000]);
    }
}
