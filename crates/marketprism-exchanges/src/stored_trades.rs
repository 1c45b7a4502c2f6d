//! What the stored trades of one instrument lack: the holes that a process which was killed had noticed and neither filled
//! nor declared. Nothing is remembered for it elsewhere; the trades themselves tell.

use std::time::Duration;

use marketprism_core::message::{Gap, Trade};
use marketprism_core::{DataType, Message, Timestamp};
use serde::{Deserialize, Serialize};

/// A hole is filled or declared within this time after the trade behind it was published: it waits for five minutes at
/// most, and for the answer to its last request for two more.
pub const HOLE_OPEN_MAX: Duration = Duration::from_secs(8 * 60);

/// Consecutive numbers that no trade has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeHole {
    /// First missing number.
    pub from: u64,
    /// Last missing number.
    pub to: u64,
    /// Event time of the trade before.
    pub after: Timestamp,
    /// Event time of the trade behind.
    pub before: Timestamp,
}

/// The stored trades of one instrument, and the gaps declared among them.
#[derive(Debug, Default)]
pub struct StoredTrades {
    /// Highest number, and the latest event time.
    last: Option<(u64, Timestamp)>,
    holes: Vec<TradeHole>,
    declared: Vec<(u64, u64)>,
}

impl StoredTrades {
    /// Takes the next message of the instrument, in the order of the stream; other data types do not matter.
    pub fn take(&mut self, message: &Message<'_>) {
        if let Message::Trade(trade) = message {
            self.trade(trade);
        } else if let Message::Gap(gap) = message {
            self.gap(gap);
        }
    }

    fn trade(&mut self, trade: &Trade<'_>) {
        let Some((first, last)) = trade.numbers() else { return };
        let event = trade.ts_event_us;
        match self.last {
            Some((highest, latest)) if last <= highest && event <= latest => {
                remove(&mut self.holes, first, last);
            }
            Some((highest, latest)) if last > highest => {
                if first > highest.saturating_add(1) {
                    let (from, to) = (highest.saturating_add(1), first.saturating_sub(1));
                    self.holes.push(TradeHole { from, to, after: latest, before: event.max(latest) });
                }
                self.last = Some((last, latest.max(event)));
            }
            // A lower number that happened later: the exchange began to count anew.
            Some(_) | None => *self = Self { last: Some((last, event)), ..Self::default() },
        }
    }

    fn gap(&mut self, gap: &Gap<'_>) {
        if gap.missing_data_type == DataType::Trade
            && let (Some(from), Some(to)) = (gap.from_sequence, gap.to_sequence)
        {
            self.declared.push((from, to));
        }
    }

    /// What neither a trade has nor a gap declares.
    #[must_use]
    pub fn holes(mut self) -> Vec<TradeHole> {
        // A gap may come before the trade behind it.
        for (from, to) in self.declared {
            remove(&mut self.holes, from, to);
        }
        self.holes
    }
}

/// Takes numbers out of the holes that lack them.
fn remove(holes: &mut Vec<TradeHole>, from: u64, to: u64) {
    let left = holes.drain(..).flat_map(|hole| {
        let ahead = TradeHole { to: hole.to.min(from.saturating_sub(1)), ..hole };
        let behind = TradeHole { from: hole.from.max(to.saturating_add(1)), ..hole };
        [ahead, behind]
    });
    *holes = left.filter(|hole| hole.from <= hole.to).collect();
}

#[cfg(test)]
mod tests {
    use marketprism_core::{GapReason, Source, Subject};

    use super::*;
    use crate::context::Missing;
    use crate::recorded::{Recorded, at, instrument, print};
    use crate::trade_line;

    /// First and last number of what is stored, and of what is declared (`true`); what of it is left open.
    fn left(stored: &[(u64, u64, bool)]) -> Vec<(u64, u64)> {
        let (mut recorded, instrument) = (Recorded::default(), instrument());
        let context = &mut recorded.context(&instrument, at(0));
        for (from, to, is_gap) in stored.iter().copied() {
            if is_gap {
                let ids = Some((from, to));
                let missing =
                    Missing { ids, times: None, reason: GapReason::Sequence, filled: 0, detail: None };
                context.gap(DataType::Trade, missing);
                // No business of trades.
                context.gap(DataType::OrderBook, Missing { ids: Some((0, 1_000)), ..missing });
            } else {
                let mut print = print(from, to);
                print.trades = (from < to).then_some((from, to));
                trade_line::emit(&print, Source::Ws, context).unwrap();
            }
        }
        let mut trades = StoredTrades::default();
        for message in &recorded.messages {
            let data_type = message["data_type"].as_str().unwrap();
            let subject = Subject::parse(&format!("{data_type}.binance.spot.BTC-USDT")).unwrap();
            trades.take(&Message::decode(&subject, message.to_string().as_bytes()).unwrap());
        }
        trades.holes().into_iter().map(|hole| (hole.from, hole.to)).collect()
    }

    #[test]
    fn what_was_neither_filled_nor_declared_is_left() {
        let trade = |from, to| (from, to, false);
        let gap = |from, to| (from, to, true);
        let holed = |more: &[_]| left(&[&[trade(10, 10), trade(15, 15), trade(21, 21)], more].concat());
        assert_eq!(holed(&[]), [(11, 14), (16, 20)]);
        assert_eq!(holed(&[trade(18, 18), trade(11, 12)]), [(13, 14), (16, 17), (19, 20)]);
        assert_eq!(holed(&[gap(11, 14), trade(22, 22)]), [(16, 20)]);
        assert_eq!(holed(&[gap(12, 18)]), [(11, 11), (19, 20)]);
        assert_eq!(
            holed(&[trade(22, 30)]),
            [(11, 14), (16, 20)],
            "a merged print stands for all of its trades"
        );
        assert_eq!(left(&[trade(10, 10), gap(11, 14), trade(15, 15)]), [], "declared before it showed");
    }

    #[test]
    fn ids_that_begin_anew_leave_nothing_of_before() {
        let (mut restarted, instrument) = (StoredTrades::default(), instrument());
        for (id, millis) in [(1_000, 0), (1_005, 1), (3, 2), (5, 3)] {
            let mut recorded = Recorded::default();
            let print = crate::trade_line::Print { event: at(millis), ..print(id, id) };
            trade_line::emit(&print, Source::Ws, &mut recorded.context(&instrument, at(0))).unwrap();
            let bytes = recorded.messages[0].to_string();
            let subject = Subject::parse("trade.binance.spot.BTC-USDT").unwrap();
            restarted.take(&Message::decode(&subject, bytes.as_bytes()).unwrap());
        }
        let hole = TradeHole { from: 4, to: 4, after: at(2), before: at(3) };
        assert_eq!(restarted.holes(), [hole]);
    }
}
