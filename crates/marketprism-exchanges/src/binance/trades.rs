//! One symbol's trades: continuous by id, each published once, holes handed to the backfill.
//!
//! Ids rise by one per symbol; aggregates count their own. A placeholder uses up an id, so it is seen and dropped.

use std::borrow::Cow;

use marketprism_core::message::{InvalidField, Trade};
use marketprism_core::{DataType, GapReason, Message, Source, TakerSide, Timestamp};

use super::backfill::{Backfill, Hole};
use super::feed::{Context, Missing};
use super::messages::Print;
use crate::session::{Note, Rejected};

/// The trades of one symbol.
#[derive(Debug)]
pub(super) struct TradeLine {
    /// Highest id seen, and the latest event time seen.
    last: Option<(u64, Timestamp)>,
    /// Why ids would be missing before the next trade.
    hole_reason: GapReason,
    pub(super) backfill: Backfill,
}

impl TradeLine {
    /// Continues after what was published before this process started.
    pub(super) fn new(seed: Option<(u64, Timestamp)>) -> Self {
        Self { last: seed, hole_reason: GapReason::Disconnect, backfill: Backfill::default() }
    }

    /// The connection is gone: what is missing next is missing because of that.
    pub(super) fn closed(&mut self) {
        self.hole_reason = GapReason::Disconnect;
    }

    /// A frame of this stream could not be decoded; its id will be missing.
    pub(super) fn undecodable(&mut self) {
        if self.hole_reason == GapReason::Sequence {
            self.hole_reason = GapReason::Undecodable;
        }
    }

    pub(super) fn print(&mut self, print: &Print, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some((last, latest)) = self.last
            && print.id <= last
        {
            if print.event <= latest {
                context.out.note(Note::Duplicate { data_type: DataType::Trade });
                return Ok(());
            }
            // A lower id that happened later is no duplicate: the exchange began to count anew.
            context.gap(
                DataType::Trade,
                Missing {
                    ids: None,
                    times: Some((latest, print.event)),
                    reason: self.hole_reason,
                    filled: 0,
                    detail: Some(&format!("ids restarted: {} after {last}", print.id)),
                },
            );
            self.last = None;
        }
        if print.is_placeholder {
            context.out.note(Note::Ignored { what: "trade_placeholder" });
        } else {
            // Before anything is remembered: a refused trade is a hole, and is fetched.
            if let Err(rejected) = emit(print, Source::Ws, context) {
                self.undecodable();
                return Err(rejected.into());
            }
        }
        if let Some((last, latest)) = self.last
            && print.id > last + 1
        {
            let hole = Hole::new(last + 1, print.id - 1, (latest, print.event), self.hole_reason);
            self.backfill.add(hole, context);
        }
        self.last = Some((print.id, self.last.map_or(print.event, |(_, latest)| latest.max(print.event))));
        self.hole_reason = GapReason::Sequence;
        Ok(())
    }
}

/// Publishes a trade; what it refuses names the field and the value.
pub(super) fn emit(print: &Print, source: Source, context: &mut Context<'_>) -> Result<(), InvalidField> {
    let mut id = itoa::Buffer::new();
    let message = Message::from(Trade::new(
        context.origin(source),
        print.event,
        Cow::Borrowed(id.format(print.id)),
        print.price,
        print.quantity,
        // The buyer was the maker, so the taker sold.
        if print.is_maker_buyer { TakerSide::Sell } else { TakerSide::Buy },
        Some(print.is_maker_buyer),
        None,
        print.trades.map(|(first, _)| first),
        print.trades.map(|(_, last)| last),
    ));
    message.validate()?;
    context.out.emit(message);
    Ok(())
}
