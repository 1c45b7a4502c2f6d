//! The sequence rules of depth events: does one follow the other, does it join a snapshot. Steps 3 to 5 and 7 of the
//! recipe in [`super::order_book`]; no state.

use marketprism_core::Timestamp;

use super::depth::Depth;
use super::market::Chain;
use crate::context::SECOND;

/// An event whose ids are old but which happened this much after the last one is no duplicate: the exchange began to
/// count anew (test networks do, after each wipe).
const RESTART_MICROS_MIN: i64 = SECOND;

/// The event before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) last: u64,
    pub(super) event: Timestamp,
}

/// How an event relates to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Next,
    Old,
    /// Ids that are missing between the two.
    Hole(u64, u64),
    /// Ids begin anew.
    Restarted,
}

/// How the first remaining event relates to the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    Contained,
    Joins,
    TooOld,
}

impl Chain {
    /// Step 7. Another socket may cut the updates into events elsewhere: one that overlaps the one before follows it.
    pub(super) fn order(self, received: Option<Received>, depth: &Depth) -> Order {
        let Some(received) = received else { return Order::Next };
        let next = received.last.saturating_add(1);
        if depth.last <= received.last {
            let is_later = depth.event.micros_since(received.event) > RESTART_MICROS_MIN;
            return if is_later { Order::Restarted } else { Order::Old };
        }
        match self {
            Self::Dense if depth.first <= next => Order::Next,
            Self::Dense => Order::Hole(next, depth.first.saturating_sub(1)),
            Self::Linked => match depth.previous {
                Some(previous) if previous <= received.last => Order::Next,
                Some(previous) => Order::Hole(next, previous),
                None => Order::Hole(next, depth.first.saturating_sub(1).max(next)),
            },
        }
    }

    /// Steps 3 to 5.
    pub(super) fn join(self, snapshot: u64, depth: &Depth) -> Join {
        let (is_contained, joins) = match self {
            Self::Dense => (depth.last <= snapshot, depth.first <= snapshot.saturating_add(1)),
            Self::Linked => (
                depth.last < snapshot,
                depth.first <= snapshot || depth.previous.is_some_and(|previous| previous <= snapshot),
            ),
        };
        match (is_contained, joins) {
            (true, _) => Join::Contained,
            (false, true) => Join::Joins,
            (false, false) => Join::TooOld,
        }
    }
}
