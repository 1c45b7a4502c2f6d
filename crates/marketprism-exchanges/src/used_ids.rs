//! Keeps the ids of one book's messages unique where an exchange begins to count anew: a stream forgets ids only after
//! its duplicate window, and would drop a book under an id it remembers.

use std::collections::VecDeque;

use marketprism_core::Timestamp;

use crate::context::SECOND;

/// As long as the streams remember an id: their duplicate window of 120 s.
const REMEMBERED_MICROS: i64 = 120 * SECOND;

/// Restarts remembered; they are months apart.
const BARRED_MAX: usize = 8;

/// The ids published lately.
#[derive(Debug, Default)]
pub(crate) struct UsedIds {
    /// The lowest id of the present window and of the one before, each with the window's begin.
    windows: [Option<(u64, Timestamp)>; 2],
    last: Option<u64>,
    /// First and last of ids not to be used before a time, the oldest first.
    barred: VecDeque<(u64, u64, Timestamp)>,
}

impl UsedIds {
    pub(crate) fn publish(&mut self, id: u64, now: Timestamp) {
        let [present, _] = self.windows;
        match present {
            Some((_, begin)) if now.micros_since(begin) < REMEMBERED_MICROS => {}
            _ => self.windows = [Some((id, now)), present],
        }
        self.last = Some(id);
    }

    /// The next id may be lower than the last one.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        let lowest = self.windows.iter().flatten().map(|(id, _)| *id).min();
        if let (Some(lowest), Some(last)) = (lowest, self.last) {
            if self.barred.len() >= BARRED_MAX {
                self.barred.pop_front();
            }
            self.barred.push_back((lowest.min(last), last, now.saturating_add_micros(REMEMBERED_MICROS)));
        }
        self.windows = [None, None];
    }

    /// Whether a message under this id could be taken for another one.
    pub(crate) fn is_barred(&mut self, id: u64, now: Timestamp) -> bool {
        while self.barred.front().is_some_and(|(_, _, until)| *until <= now) {
            self.barred.pop_front();
        }
        self.barred.iter().any(|(from, to, _)| (*from..=*to).contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000 * SECOND + seconds * SECOND).unwrap()
    }

    #[test]
    fn an_id_is_not_used_again_while_it_is_remembered() {
        let mut ids = UsedIds::default();
        for second in 0..500_i64 {
            ids.publish(1_000 + second.unsigned_abs(), at(second));
        }
        assert!(!ids.is_barred(1_499, at(500)), "nothing began anew");
        ids.restart(at(500));
        assert!(!ids.is_barred(3, at(500)));
        assert!((1_380..=1_499).all(|id| ids.is_barred(id, at(500))), "the last two minutes");
        assert!(!ids.is_barred(1_100, at(500)), "long forgotten");
        assert!(!ids.is_barred(1_500, at(500)));
        assert!(ids.is_barred(1_450, at(619)));
        assert!(!ids.is_barred(1_450, at(620)));
    }

    #[test]
    fn two_restarts_bar_both_ranges() {
        let mut ids = UsedIds::default();
        ids.publish(1_000, at(0));
        ids.restart(at(1));
        ids.publish(3, at(2));
        ids.publish(5, at(3));
        ids.restart(at(4));
        assert!(ids.is_barred(4, at(5)) && ids.is_barred(1_000, at(5)));
        assert!(!ids.is_barred(2, at(5)) && !ids.is_barred(15, at(5)));
    }
}
