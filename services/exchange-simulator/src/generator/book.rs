//! The true order book of one instrument: a random walk whose two sides never meet.

use std::collections::BTreeMap;

use super::shape::Dice;

/// Levels a side at the start, as far as the start price allows.
const LEVELS_AT_START: i64 = 1000;
/// A side is never thinned below this, so there is always a best price.
const LEVELS_MIN: usize = 20;

/// One changed level: price in ticks and its new quantity in steps, 0 meaning gone.
pub(crate) type Level = (i64, i64);

/// What one diff changed, per side, in price order (ascending).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
}

/// Bids and asks around a walking middle price.
///
/// Invariant: every bid is below `middle_ticks` and every ask above it.
#[derive(Debug)]
pub(crate) struct Book {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    middle_ticks: i64,
    start_ticks: i64,
    usual_steps: i64,
    /// Levels a side keeps; the worst ones beyond are deleted, visibly.
    levels_max: usize,
}

impl Book {
    /// A full book around `start_ticks`.
    pub(crate) fn new(start_ticks: i64, usual_steps: i64, levels_max: usize, dice: &mut Dice) -> Self {
        let mut book = Self {
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            middle_ticks: start_ticks,
            start_ticks,
            usual_steps,
            levels_max,
        };
        let levels = LEVELS_AT_START.min(start_ticks / 2).min(i64::try_from(levels_max).unwrap_or(i64::MAX));
        for offset in 1..=levels {
            book.bids.insert(start_ticks - offset, dice.quantity_steps(usual_steps));
            book.asks.insert(start_ticks + offset, dice.quantity_steps(usual_steps));
        }
        book
    }

    /// One diff: perhaps a move of the middle, then some levels set or removed.
    pub(crate) fn step(&mut self, dice: &mut Dice) -> Changes {
        let mut bids = BTreeMap::new();
        let mut asks = BTreeMap::new();
        if dice.percent(20) {
            self.move_middle(dice, &mut bids, &mut asks);
        }
        for _ in 0..dice.level_count() {
            let offset = 1 + dice.distance_ticks().min(self.start_ticks / 2 - 2).max(0);
            if dice.percent(50) {
                touch(&mut self.bids, &mut bids, self.middle_ticks - offset, self.usual_steps, dice);
            } else {
                touch(&mut self.asks, &mut asks, self.middle_ticks + offset, self.usual_steps, dice);
            }
        }
        while self.bids.len() > self.levels_max
            && let Some((ticks, _)) = self.bids.pop_first()
        {
            bids.insert(ticks, 0);
        }
        while self.asks.len() > self.levels_max
            && let Some((ticks, _)) = self.asks.pop_last()
        {
            asks.insert(ticks, 0);
        }
        Changes { bids: bids.into_iter().collect(), asks: asks.into_iter().collect() }
    }

    /// Moves by one tick, drawn back to where it began so that low prices stay positive, and clears what the
    /// middle ran through.
    fn move_middle(&mut self, dice: &mut Dice, bids: &mut BTreeMap<i64, i64>, asks: &mut BTreeMap<i64, i64>) {
        let reach = (self.start_ticks / 10).max(1);
        let pull = (self.middle_ticks - self.start_ticks).clamp(-reach, reach);
        // Even odds at the start price, certain return at the edge of the reach.
        let up = dice.below_signed(2 * reach) >= reach + pull;
        self.middle_ticks += if up { 1 } else { -1 };
        while let Some((&ticks, _)) = self.bids.last_key_value()
            && ticks >= self.middle_ticks
        {
            self.bids.pop_last();
            bids.insert(ticks, 0);
        }
        while let Some((&ticks, _)) = self.asks.first_key_value()
            && ticks <= self.middle_ticks
        {
            self.asks.pop_first();
            asks.insert(ticks, 0);
        }
    }

    /// Best bid, `(ticks, steps)`.
    pub(crate) fn best_bid(&self) -> Option<Level> {
        self.bids.last_key_value().map(|(&ticks, &steps)| (ticks, steps))
    }

    /// Best ask, `(ticks, steps)`.
    pub(crate) fn best_ask(&self) -> Option<Level> {
        self.asks.first_key_value().map(|(&ticks, &steps)| (ticks, steps))
    }

    /// The best `limit` bids, best first.
    pub(crate) fn bids(&self, limit: usize) -> Vec<Level> {
        self.bids.iter().rev().take(limit).map(|(&ticks, &steps)| (ticks, steps)).collect()
    }

    /// The best `limit` asks, best first.
    pub(crate) fn asks(&self, limit: usize) -> Vec<Level> {
        self.asks.iter().take(limit).map(|(&ticks, &steps)| (ticks, steps)).collect()
    }
}

fn touch(
    side: &mut BTreeMap<i64, i64>,
    changed: &mut BTreeMap<i64, i64>,
    ticks: i64,
    usual_steps: i64,
    dice: &mut Dice,
) {
    if side.len() > LEVELS_MIN && dice.percent(30) && side.remove(&ticks).is_some() {
        changed.insert(ticks, 0);
    } else {
        let steps = dice.quantity_steps(usual_steps);
        side.insert(ticks, steps);
        changed.insert(ticks, steps);
    }
}

#[cfg(test)]
mod tests {
    use super::Book;

    use crate::generator::shape::Dice;

    #[test]
    fn never_crosses_never_empties() {
        for (start_ticks, seed) in [(1_180, 1), (268_000, 2), (7_665_000, 3)] {
            let mut dice = Dice::new(seed, 0);
            let mut book = Book::new(start_ticks, 1_000, 900, &mut dice);
            let mut levels = 0;
            for _ in 0..20_000 {
                let changes = book.step(&mut dice);
                levels += changes.bids.len() + changes.asks.len();
                let (bid, ask) = (book.best_bid().unwrap(), book.best_ask().unwrap());
                assert!(0 < bid.0 && bid.0 < ask.0, "{bid:?} {ask:?}");
                assert!(bid.1 > 0 && ask.1 > 0);
            }
            assert!(book.bids(usize::MAX).len() <= 900);
            assert!(book.bids(usize::MAX).last().unwrap().0 > 0, "a price fell to zero");
            let mean = levels / 20_000;
            assert!((12..30).contains(&mean), "mean levels a diff: {mean}");
        }
    }

    #[test]
    fn changes_applied_to_a_copy_give_the_same_book() {
        let mut dice = Dice::new(9, 0);
        let mut book = Book::new(5_000, 100, 5_000, &mut dice);
        let mut copy: std::collections::BTreeMap<i64, i64> = book.bids(usize::MAX).into_iter().collect();
        for _ in 0..5_000 {
            for (ticks, steps) in book.step(&mut dice).bids {
                if steps == 0 {
                    copy.remove(&ticks)
                } else {
                    copy.insert(ticks, steps)
                };
            }
        }
        assert_eq!(copy.into_iter().rev().collect::<Vec<_>>(), book.bids(usize::MAX));
    }
}
