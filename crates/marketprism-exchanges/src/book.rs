//! A local order book: integer-keyed, sorted, bounded. Knows nothing of sequences or exchanges.
//!
//! Each side is one sorted vector with the best level at its *end*: most updates touch levels near the best, so
//! an insertion or a removal moves few entries. Prices are compared as integers in units of 10^-18, made once per
//! update; the levels keep the exchange's own digits.
//!
//! A side may be known only as far as a snapshot showed it, or down to what was dropped: levels beyond are kept when an
//! update touches them, but others may lie between. Only what is known is shown.

use marketprism_core::message::Level;
use marketprism_core::{Decimal, decimal};

/// A side may grow by this fraction of its bound before the worst levels are dropped together, because dropping
/// them one by one moves the whole side each time.
const SLACK_DIVISOR: usize = 8;

/// Bids and asks of one instrument.
#[derive(Debug)]
pub struct Book {
    bids: Side,
    asks: Side,
}

impl Book {
    /// An empty book that keeps at least the best `levels_max` of each side, and at most an eighth more.
    #[must_use]
    pub const fn new(levels_max: usize) -> Self {
        Self { bids: Side::new(false, levels_max), asks: Side::new(true, levels_max) }
    }

    /// Forgets every level; the memory is kept.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// After a snapshot of at most so many levels a side was set: where it shows that many there may be more, and beyond
    /// them nothing is known.
    pub fn set_known(&mut self, snapshot_levels: usize) {
        self.bids.set_known(snapshot_levels);
        self.asks.set_known(snapshot_levels);
    }

    /// True when the best so many levels of each side are known, or all there are.
    #[must_use]
    pub fn is_known_to(&self, depth: usize) -> bool {
        self.bids.is_known_to(depth) && self.asks.is_known_to(depth)
    }

    /// Sets a bid to an absolute quantity; zero removes it, and removing an unknown level is normal.
    pub fn set_bid(&mut self, level: Level) {
        self.bids.set(level);
    }

    /// Sets an ask to an absolute quantity; zero removes it, and removing an unknown level is normal.
    pub fn set_ask(&mut self, level: Level) {
        self.asks.set(level);
    }

    /// The highest bid.
    #[must_use]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best()
    }

    /// The lowest ask.
    #[must_use]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best()
    }

    /// The bids that are known, best first.
    pub fn bids(&self) -> impl Iterator<Item = Level> + '_ {
        self.bids.known()
    }

    /// The asks that are known, best first.
    pub fn asks(&self) -> impl Iterator<Item = Level> + '_ {
        self.asks.known()
    }

    /// Levels kept of both sides together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bids.entries.len() + self.asks.entries.len()
    }

    /// True when no level is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when the best bid is not below the best ask: such a book is wrong.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.bids.entries.last(), self.asks.entries.last()) {
            // An ask's key is its price negated.
            (Some(bid), Some(ask)) => bid.key >= -ask.key,
            _ => false,
        }
    }
}

/// One side, sorted so that the best level is last.
#[derive(Debug)]
struct Side {
    entries: Vec<Entry>,
    /// True for asks: a larger key is a better price on both sides.
    is_negated: bool,
    levels_max: usize,
    /// Key of the worst level that is known with all before it; `None` where all are.
    known_to: Option<i128>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: i128,
    level: Level,
}

impl Side {
    const fn new(is_negated: bool, levels_max: usize) -> Self {
        Self { entries: Vec::new(), is_negated, levels_max, known_to: None }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.known_to = None;
    }

    fn set_known(&mut self, snapshot_levels: usize) {
        if self.entries.len() >= snapshot_levels {
            self.know_only_these();
        }
    }

    fn know_only_these(&mut self) {
        self.known_to = self.entries.first().map(|worst| worst.key).max(self.known_to);
    }

    fn known(&self) -> impl Iterator<Item = Level> + '_ {
        let is_known = |entry: &&Entry| self.known_to.is_none_or(|known_to| entry.key >= known_to);
        self.entries.iter().rev().take_while(is_known).map(|entry| entry.level)
    }

    fn is_known_to(&self, depth: usize) -> bool {
        let Some(known_to) = self.known_to else { return true };
        let at = self.entries.len().checked_sub(depth);
        at.and_then(|at| self.entries.get(at)).is_some_and(|entry| entry.key >= known_to)
    }

    fn best(&self) -> Option<Level> {
        self.entries.last().map(|entry| entry.level)
    }

    fn set(&mut self, level: Level) {
        let units = units(level.price);
        let key = if self.is_negated { -units } else { units };
        let at = self.place(key);
        match self.entries.get_mut(at) {
            Some(entry) if entry.key == key => {
                if level.quantity.is_zero() {
                    self.entries.remove(at);
                } else {
                    entry.level = level;
                }
            }
            _ if level.quantity.is_zero() => {}
            _ => {
                self.entries.insert(at, Entry { key, level });
                self.drop_worst();
            }
        }
    }

    /// Where the key is or belongs. Gallops from the best level, where most updates are, and bisects only the stretch
    /// that remains: a search over the whole side would touch memory that no cache holds.
    fn place(&self, key: i128) -> usize {
        let mut end = self.entries.len();
        let mut stride = 1;
        loop {
            let start = end.saturating_sub(stride);
            let stretch = self.entries.get(start..end).unwrap_or_default();
            if start == 0 || stretch.first().is_some_and(|entry| entry.key < key) {
                return start + stretch.partition_point(|entry| entry.key < key);
            }
            end = start;
            stride *= 2;
        }
    }

    fn drop_worst(&mut self) {
        if self.entries.len() > self.levels_max + self.levels_max / SLACK_DIVISOR {
            let excess = self.entries.len() - self.levels_max;
            self.entries.drain(..excess);
            self.know_only_these();
        }
    }
}

/// [`Decimal::units`] with its powers of ten from a table: this runs for every level of every update.
fn units(price: Decimal) -> i128 {
    const SCALE: usize = decimal::SCALE as usize;
    const FACTORS: [i128; SCALE + 1] = {
        let mut factors = [1; SCALE + 1];
        let mut scale = SCALE;
        while scale > 0 {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            {
                factors[scale - 1] = factors[scale] * 10;
            }
            scale -= 1;
        }
        factors
    };
    // A Decimal has at most SCALE decimals and is below 10^20, so there is a factor and nothing wraps; a checked
    // product of 128 bits costs more than the search that follows.
    FACTORS.get(price.scale() as usize).map_or(0, |factor| price.mantissa().wrapping_mul(*factor))
}
