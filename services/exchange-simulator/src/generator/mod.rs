//! The synthetic market: which instrument moves next, and how. No sockets, no pacing, no clock.

mod book;
mod ratio;
mod shape;
mod statistics;
mod walk;

use std::sync::{Arc, Mutex};

use crate::catalogue::Catalogue;
use crate::event::{Event, Mark, OpenInterest, Snapshot};
use crate::instrument::Instrument;
use crate::lock::lock;
pub(crate) use ratio::{Ratio, RatioOf};
use shape::Dice;
pub(crate) use statistics::Telling;
use walk::Walk;

/// All instruments' walks. Each has dice of its own, so what one instrument does next does not depend on
/// how often the others were asked.
#[derive(Debug)]
pub(crate) struct Generator {
    seed: u64,
    walks: Vec<Mutex<Walk>>,
    /// Running totals of the weights of what is listed, one per walk.
    totals: Mutex<Vec<u64>>,
    order: Mutex<Dice>,
}

impl Generator {
    /// A market of all that `catalogue` has, in its order. The dice of an instrument come from its own name, so that
    /// a longer list does not change the instruments of a shorter one.
    pub(crate) fn new(catalogue: &Catalogue, seed: u64) -> Self {
        let walks = catalogue
            .all()
            .iter()
            .map(|instrument| Mutex::new(Walk::new(Arc::clone(instrument), seed, stream_of(instrument))))
            .collect();
        let generator = Self { seed, walks, totals: Mutex::default(), order: Mutex::new(Dice::new(seed, 0)) };
        generator.relist(catalogue);
        generator
    }

    /// From now on only what is listed is picked.
    pub(crate) fn relist(&self, catalogue: &Catalogue) {
        let mut total = 0;
        let weights = catalogue.all().iter().enumerate();
        *lock(&self.totals) = weights
            .map(|(index, instrument)| {
                total += if catalogue.is_listed(index) { instrument.weight } else { 0 };
                total
            })
            .collect();
    }

    /// The index of the instrument that moves next.
    pub(crate) fn pick(&self) -> usize {
        let totals = lock(&self.totals);
        let drawn = lock(&self.order).below(totals.last().copied().unwrap_or(0));
        totals.partition_point(|&running| running <= drawn)
    }

    /// The next event of instrument `index`, stamped `now_ms`; `None` for an index out of range.
    pub(crate) fn step(&self, index: usize, now_ms: i64) -> Option<Event> {
        Some(lock(self.walks.get(index)?).step(now_ms))
    }

    /// What is to be told of instrument `index` at `now_ms`; `None` where there is nothing of the kind.
    pub(crate) fn tell(&self, index: usize, telling: Telling, now_ms: i64) -> Option<Event> {
        lock(self.walks.get(index)?).tell(telling, now_ms)
    }

    /// What was last told of the contract `index`, or is told now for the first time.
    pub(crate) fn mark(&self, index: usize, now_ms: i64) -> Option<Mark> {
        lock(self.walks.get(index)?).last_mark(now_ms)
    }

    /// The open interest that was last told of the contract `index`, or is told now for the first time.
    pub(crate) fn open_interest(&self, index: usize, now_ms: i64) -> Option<OpenInterest> {
        lock(self.walks.get(index)?).last_open_interest(now_ms)
    }

    /// The ratio of instrument `index` in the period that begins at `start_ms`.
    pub(crate) fn ratio(&self, index: usize, of: RatioOf, start_ms: i64) -> Option<Ratio> {
        let instrument = lock(self.walks.get(index)?).instrument();
        Some(Ratio::new(self.seed, stream_of(&instrument), of, start_ms))
    }

    /// The open interest of instrument `index` when the period that begins at `start_ms` began.
    pub(crate) fn past_open_interest(&self, index: usize, start_ms: i64) -> Option<OpenInterest> {
        let instrument = lock(self.walks.get(index)?).instrument();
        Some(statistics::past_open_interest(&instrument, self.seed, stream_of(&instrument), start_ms))
    }

    /// The book of instrument `index`, `levels_max` levels a side.
    pub(crate) fn snapshot(&self, index: usize, levels_max: usize) -> Option<Snapshot> {
        Some(lock(self.walks.get(index)?).snapshot(levels_max))
    }

    /// Shows the book to `look` while it stands still.
    pub(crate) fn with_snapshot(&self, index: usize, levels_max: usize, look: impl FnOnce(&Snapshot)) {
        if let Some(walk) = self.walks.get(index) {
            let walk = lock(walk);
            look(&walk.snapshot(levels_max));
        }
    }

    /// The next update of instrument `index` has a smaller id than the one before it.
    pub(crate) fn reset_ids(&self, index: usize) {
        if let Some(walk) = self.walks.get(index) {
            lock(walk).reset_ids();
        }
    }
}

/// FNV-1a over market type and name: fixed for ever, unlike std's hashers. Never 0, which is the order's stream, and
/// odd: the even number behind it is the stream of the instrument's statistics.
fn stream_of(instrument: &Instrument) -> u64 {
    let market = instrument.market_type.as_str().bytes();
    let hash =
        market.chain(instrument.instrument_id.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    hash | 1
}
