//! The last trades of each instrument, for REST. Older ones are forgotten, and REST then starts later.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::event::{AggregateTrade, Origin, Trade};
use crate::lock::lock;

/// Recent trades and aggregate trades, oldest first, ids ascending.
#[derive(Debug)]
pub(crate) struct History {
    instruments: Vec<Mutex<Recent>>,
    trades_max: usize,
}

#[derive(Debug, Default)]
struct Recent {
    trades: VecDeque<Trade>,
    aggregates: VecDeque<AggregateTrade>,
}

impl History {
    /// Keeps `trades_max` of each kind for each of `instruments` instruments.
    pub(crate) fn new(instruments: usize, trades_max: usize) -> Self {
        Self { instruments: (0..instruments).map(|_| Mutex::default()).collect(), trades_max }
    }

    /// Remembers a trade. Placeholders are not trades of the order book: REST does not list them.
    pub(crate) fn add_trade(&self, instrument: usize, trade: Trade) {
        if trade.origin == Origin::Market
            && let Some(recent) = self.instruments.get(instrument)
        {
            push(&mut lock(recent).trades, trade, self.trades_max);
        }
    }

    pub(crate) fn add_aggregate(&self, instrument: usize, aggregate: AggregateTrade) {
        if let Some(recent) = self.instruments.get(instrument) {
            push(&mut lock(recent).aggregates, aggregate, self.trades_max);
        }
    }

    /// `limit` trades from id `from_id` on, or the newest ones.
    pub(crate) fn trades(&self, instrument: usize, from_id: Option<u64>, limit: usize) -> Vec<Trade> {
        self.instruments
            .get(instrument)
            .map(|recent| window(&lock(recent).trades, |trade| trade.id, from_id, limit))
            .unwrap_or_default()
    }

    /// `limit` trades with ids below `before_id`, or the newest ones; newest first.
    pub(crate) fn trades_before(
        &self,
        instrument: usize,
        before_id: Option<u64>,
        limit: usize,
    ) -> Vec<Trade> {
        let Some(recent) = self.instruments.get(instrument) else { return Vec::new() };
        let recent = lock(recent);
        let end =
            before_id.map_or(recent.trades.len(), |id| recent.trades.partition_point(|one| one.id < id));
        recent.trades.iter().take(end).rev().take(limit).cloned().collect()
    }

    /// `limit` aggregate trades from id `from_id` on, or the newest ones.
    pub(crate) fn aggregates(
        &self,
        instrument: usize,
        from_id: Option<u64>,
        limit: usize,
    ) -> Vec<AggregateTrade> {
        self.instruments
            .get(instrument)
            .map(|recent| window(&lock(recent).aggregates, |trade| trade.id, from_id, limit))
            .unwrap_or_default()
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn window<T: Clone>(queue: &VecDeque<T>, id: fn(&T) -> u64, from_id: Option<u64>, limit: usize) -> Vec<T> {
    let start = match from_id {
        Some(from_id) => queue.partition_point(|item| id(item) < from_id),
        None => queue.len().saturating_sub(limit),
    };
    queue.iter().skip(start).take(limit).cloned().collect()
}
