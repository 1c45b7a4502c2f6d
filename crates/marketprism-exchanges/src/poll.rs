//! When one polled thing of one instrument is asked for next, and what of an answer is news.

use std::time::Duration;

use marketprism_core::Timestamp;

use crate::phase;
use crate::requests::Ask;
use crate::session::FetchFailed;

/// One polled thing, such as the open interest of one instrument.
#[derive(Debug)]
pub(crate) struct Poll {
    interval_micros: i64,
    due: Timestamp,
    ask: Ask,
    /// Time of the last value published, by the exchange's clock.
    published: Option<Timestamp>,
    /// Between two values, where the exchange makes them at fixed times; otherwise zero.
    period_micros: i64,
    /// When the value after the last one that was seen can be there.
    next_value: Timestamp,
}

impl Poll {
    /// Due at once, then every interval at this name's place in it. `published` is the last value published before
    /// this process started.
    pub(crate) fn new(interval: Duration, name: &str, published: Option<Timestamp>) -> Self {
        let interval_micros = phase::micros(interval).max(1);
        let due = Timestamp::from_micros(phase::of(name, interval_micros)).unwrap_or_default();
        let (ask, next_value) = (Ask::default(), Timestamp::default());
        Self { interval_micros, due, ask, published, period_micros: 0, next_value }
    }

    /// The exchange makes a value once in so long: no turn is taken before there can be another.
    pub(crate) fn of_period(self, period_micros: i64) -> Self {
        Self { period_micros, ..self }
    }

    /// Whether it may be asked for now; each turn takes so many intervals.
    pub(crate) fn is_due(&mut self, now: Timestamp, intervals: i64) -> bool {
        if now >= self.due {
            // The turn after this one keeps its place in the interval, however late this one is.
            let interval_micros = self.interval_micros.saturating_mul(intervals);
            let turns = (now.micros_since(self.due) / interval_micros).saturating_add(1);
            self.due = self.due.saturating_add_micros(turns.saturating_mul(interval_micros));
            if now >= self.next_value {
                self.ask.want(now);
            }
        }
        self.ask.is_due(now)
    }

    /// It was asked for.
    pub(crate) fn opened(&mut self) {
        self.ask.opened();
    }

    /// An answer came that could be read.
    pub(crate) fn answered(&mut self) {
        self.ask.succeeded();
    }

    /// None came, or none that could be read: asks again sooner than the next turn.
    pub(crate) fn failed(&mut self, now: Timestamp, failure: Option<&FetchFailed>) {
        self.ask.failed(now, failure);
    }

    /// The values that were not published yet, by time; they count as published. Where nothing ever was, only the last
    /// one is news: what was before it may have been published by an earlier process.
    pub(crate) fn news<T>(&mut self, mut values: Vec<T>, time: impl Fn(&T) -> Timestamp) -> Vec<T> {
        values.sort_by_key(|value| time(value));
        values.dedup_by_key(|value| time(value));
        if let Some(last) = values.last() {
            self.next_value = time(last).saturating_add_micros(self.period_micros);
        }
        match self.published {
            Some(published) => values.retain(|value| time(value) > published),
            None => drop(values.drain(..values.len().saturating_sub(1))),
        }
        self.published = values.last().map(time).or(self.published);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::SECOND;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000 * SECOND + seconds * SECOND).unwrap()
    }

    #[test]
    fn turns_keep_their_place_however_late_one_is() {
        let mut poll = Poll::new(Duration::from_secs(30), "BTCUSDT", None);
        let mut asked = Vec::new();
        for second in (0..100).chain(155..200) {
            if poll.is_due(at(second), 1) {
                poll.opened();
                poll.answered();
                asked.push(second);
            }
        }
        assert_eq!(asked[0], 0, "at once");
        let place = asked[1] % 30;
        assert_eq!(asked[1..], [place, place + 30, place + 60, place + 90, 155, place + 180][..]);
        assert_ne!(phase::of("BTCUSDT", 30 * SECOND), phase::of("ETHUSDT", 30 * SECOND));
    }

    #[test]
    fn a_value_of_a_period_is_not_asked_for_before_the_next_one_can_be_there() {
        let mut poll = Poll::new(Duration::from_secs(30), "BTCUSDT", None).of_period(300 * SECOND);
        let mut asked = Vec::new();
        for second in 0..700 {
            if poll.is_due(at(second), 1) {
                poll.opened();
                // The value of each five minutes is there two minutes late.
                let value = at((second - 120).div_euclid(300) * 300);
                poll.news(vec![value], |time| *time);
                poll.answered();
                asked.push(second);
            }
        }
        // At once, and while the value is late: never between its coming and the next period.
        assert!(asked.iter().all(|second| second % 300 < 150), "{asked:?}");
        assert_eq!(asked.iter().filter(|second| (300..600).contains(*second)).count(), 5, "{asked:?}");
        let place = asked[1] % 30;
        assert!(asked[1..].iter().all(|second| second % 30 == place), "each in its turn");
    }

    #[test]
    fn what_fails_is_asked_for_again_before_its_next_turn() {
        let mut poll = Poll::new(Duration::from_secs(300), "BTCUSDT", None);
        assert!(poll.is_due(at(0), 1));
        poll.opened();
        assert!(!poll.is_due(at(0), 1), "is asked for");
        poll.failed(at(0), None);
        assert!(!poll.is_due(at(0), 1));
        assert!(poll.is_due(at(1), 1));
    }

    #[test]
    fn only_what_is_new_is_news() {
        let seconds = |news: Vec<Timestamp>| {
            news.iter().map(|time| time.micros_since(at(0)) / SECOND).collect::<Vec<_>>()
        };
        let mut poll = Poll::new(Duration::from_secs(30), "BTCUSDT", None);
        assert_eq!(seconds(poll.news(vec![at(3), at(1), at(2)], |time| *time)), [3], "a first answer");
        assert_eq!(seconds(poll.news(vec![at(6), at(3), at(9), at(6)], |time| *time)), [6, 9]);
        assert!(poll.news(vec![at(9)], |time| *time).is_empty());
        let mut restarted = Poll::new(Duration::from_secs(30), "BTCUSDT", Some(at(9)));
        assert_eq!(seconds(restarted.news(vec![at(9), at(12), at(15)], |time| *time)), [12, 15]);
    }
}
