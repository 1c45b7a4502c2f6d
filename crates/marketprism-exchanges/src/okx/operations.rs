//! How many subscribe and unsubscribe requests one socket may still make: 480 an hour.

use marketprism_core::Timestamp;

use crate::context::SECOND;

/// One operation each so often, …
const REGAINED_MICROS: i64 = 9 * SECOND;
/// … after so many at once: together 460 in the first hour, below the exchange's 480.
const AT_ONCE_MAX: i64 = 60;
/// Two operations are at least this far apart; faster ones are answered 60014 (too frequent).
const PAUSE_MICROS: i64 = SECOND / 4;

/// The budget of one socket.
#[derive(Debug, Default)]
pub(super) struct Operations {
    last: Option<Timestamp>,
    /// When everything spent will have been regained.
    whole: Option<Timestamp>,
}

impl Operations {
    /// Spends one operation, if it may be made now.
    pub(super) fn spend(&mut self, now: Timestamp) -> bool {
        let whole = self.whole.map_or(now, |whole| whole.max(now));
        let is_paused = self.last.is_some_and(|last| now.micros_since(last) < PAUSE_MICROS);
        if is_paused || whole.micros_since(now) >= AT_ONCE_MAX * REGAINED_MICROS {
            return false;
        }
        self.last = Some(now);
        self.whole = Some(whole.saturating_add_micros(REGAINED_MICROS));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_stays_below_the_exchanges_limit() {
        let mut operations = Operations::default();
        let begin = Timestamp::from_micros(1_700_000_000 * SECOND).unwrap();
        let spent = |operations: &mut Operations, hour: i64| {
            let ticks = hour * 36_000..(hour + 1) * 36_000;
            ticks.filter(|tick| operations.spend(begin.saturating_add_micros(tick * SECOND / 10))).count()
        };
        let first = spent(&mut operations, 0);
        assert!((440..480).contains(&first), "{first}");
        assert!((390..=400).contains(&spent(&mut operations, 1)));
    }
}
