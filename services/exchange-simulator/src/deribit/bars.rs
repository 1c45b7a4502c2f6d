//! What volatility indices were, for `get_volatility_index_data`. Written by `publish.rs`, read by `methods.rs`.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use compact_str::CompactString;

use crate::event::VolatilityIndex;
use crate::lock::lock;

/// Values of an index that can be looked back on: at one a second almost three hours.
const VALUES_MAX: usize = 10_000;

/// The values of every index, by its catalogue index, oldest first.
#[derive(Debug, Default)]
pub(crate) struct IndexValues(Mutex<HashMap<usize, VecDeque<VolatilityIndex>>>);

impl IndexValues {
    pub(crate) fn add(&self, index: usize, value: VolatilityIndex) {
        let mut all = lock(&self.0);
        let values = all.entry(index).or_default();
        if values.len() >= VALUES_MAX {
            values.pop_front();
        }
        values.push_back(value);
    }

    /// The bars of `resolution_ms` that the values make, oldest first.
    pub(crate) fn bars(&self, index: usize, resolution_ms: i64) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for VolatilityIndex { value, time_ms } in lock(&self.0).get(&index).into_iter().flatten() {
            let start_ms = time_ms - time_ms.rem_euclid(resolution_ms);
            match bars.last_mut().filter(|bar| bar.start_ms == start_ms) {
                Some(bar) => bar.add(value),
                None => bars.push(Bar::of(start_ms, value)),
            }
        }
        bars
    }
}

/// The values of an index within one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) start_ms: i64,
    pub(crate) open: CompactString,
    pub(crate) high: CompactString,
    pub(crate) low: CompactString,
    pub(crate) close: CompactString,
}

impl Bar {
    fn of(start_ms: i64, value: &CompactString) -> Self {
        Self { start_ms, open: value.clone(), high: value.clone(), low: value.clone(), close: value.clone() }
    }

    fn add(&mut self, value: &CompactString) {
        if rank(value) > rank(&self.high) {
            self.high = value.clone();
        }
        if rank(value) < rank(&self.low) {
            self.low = value.clone();
        }
        self.close = value.clone();
    }
}

/// Orders numbers that are not negative and have the same number of decimals.
fn rank(value: &str) -> (usize, &str) {
    (value.len(), value)
}

#[cfg(test)]
mod tests {
    use super::{Bar, IndexValues};
    use crate::event::VolatilityIndex;

    #[test]
    fn values_make_bars() {
        let values = IndexValues::default();
        for (time_ms, value) in [(60_000, "9.90"), (61_000, "10.10"), (119_999, "9.80"), (120_000, "9.85")] {
            values.add(0, VolatilityIndex { value: value.into(), time_ms });
        }
        let bar = |start_ms, [open, high, low, close]: [&str; 4]| Bar {
            start_ms,
            open: open.into(),
            high: high.into(),
            low: low.into(),
            close: close.into(),
        };
        let minutes = [bar(60_000, ["9.90", "10.10", "9.80", "9.80"]), bar(120_000, ["9.85"; 4])];
        assert_eq!(values.bars(0, 60_000), minutes);
        assert_eq!(values.bars(0, 1_000).len(), 4);
        assert!(values.bars(1, 1_000).is_empty());
    }
}
