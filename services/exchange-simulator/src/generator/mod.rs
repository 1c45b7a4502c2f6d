//! The synthetic market: which instrument moves next, and how. No sockets, no pacing, no clock.

mod book;
mod shape;
mod walk;

use std::sync::{Arc, Mutex};

use crate::event::Snapshot;
use crate::instrument::Instrument;
use crate::lock::lock;
use shape::Dice;
pub(crate) use walk::Event;
use walk::Walk;

/// All instruments' walks. Each has dice of its own, so what one instrument does next does not depend on
/// how often the others were asked.
#[derive(Debug)]
pub(crate) struct Market {
    walks: Vec<Mutex<Walk>>,
    /// Running totals of the weights, one per walk.
    totals: Vec<u64>,
    order: Mutex<Dice>,
}

impl Market {
    /// A market of `instruments`, in their order. The dice of an instrument come from its own name, so that
    /// a longer list does not change the instruments of a shorter one.
    pub(crate) fn new(instruments: &[Arc<Instrument>], seed: u64) -> Self {
        let mut total = 0;
        let totals = instruments
            .iter()
            .map(|instrument| {
                total += instrument.weight;
                total
            })
            .collect();
        let walks = instruments
            .iter()
            .map(|instrument| Mutex::new(Walk::new(Arc::clone(instrument), seed, stream_of(instrument))))
            .collect();
        Self { walks, totals, order: Mutex::new(Dice::new(seed, 0)) }
    }

    /// The index of the instrument that moves next.
    pub(crate) fn pick(&self) -> usize {
        let total = self.totals.last().copied().unwrap_or(0);
        let drawn = lock(&self.order).below(total);
        self.totals.partition_point(|&running| running <= drawn)
    }

    /// The next event of instrument `index`, stamped `now_ms`; `None` for an index out of range.
    pub(crate) fn step(&self, index: usize, now_ms: i64) -> Option<Event> {
        Some(lock(self.walks.get(index)?).step(now_ms))
    }

    /// The book of instrument `index` as REST shows it.
    pub(crate) fn snapshot(&self, index: usize, limit: usize) -> Option<Snapshot> {
        Some(lock(self.walks.get(index)?).snapshot(limit))
    }
}

/// FNV-1a over market and name: fixed for ever, unlike std's hashers. Never 0, which is the order's stream.
fn stream_of(instrument: &Instrument) -> u64 {
    let market = instrument.market_type.as_str().bytes();
    let hash =
        market.chain(instrument.instrument_id.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    hash | 1
}
