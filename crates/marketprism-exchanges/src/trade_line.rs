//! One instrument's trades: continuous by their consecutive numbers, each published once, holes handed to the backfill.
//! Sockets may be ahead of each other: what the one behind brings of a hole fills it.
//!
//! A print may stand for several numbers (OKX merges the matches of one taker order, Binance's aggregates count their own
//! ids); a placeholder uses up a number, so it is seen and dropped.

use std::borrow::Cow;

use marketprism_core::message::Trade;
use marketprism_core::{DataType, Decimal, GapReason, Message, Source, TakerSide, Timestamp};

use crate::backfill::{Backfill, Hole};
use crate::context::{Context, Missing};
use crate::registry::Seed;
use crate::session::{Note, Rejected};
use crate::stored_trades::TradeHole;

/// One print, whichever exchange, stream or endpoint it came from.
#[derive(Debug, Clone)]
pub(crate) struct Print<'a> {
    /// The last consecutive number it stands for.
    pub(crate) sequence: u64,
    /// The first one; the same where it stands for one.
    pub(crate) first_sequence: u64,
    /// The exchange's id, where that is not `sequence`; then `sequence` is published beside it.
    pub(crate) trade_id: Option<Cow<'a, str>>,
    pub(crate) event: Timestamp,
    /// In quote units.
    pub(crate) price: Decimal,
    /// In base units.
    pub(crate) quantity: Decimal,
    /// Where the exchange trades contracts.
    pub(crate) contracts: Option<Decimal>,
    pub(crate) side: TakerSide,
    /// Where the exchange says it this way.
    pub(crate) is_maker_buyer: Option<bool>,
    /// First and last trade of an aggregate.
    pub(crate) trades: Option<(u64, u64)>,
    /// Uses up a number and carries no trade.
    pub(crate) is_placeholder: bool,
}

/// The trades of one instrument.
#[derive(Debug)]
pub(crate) struct TradeLine {
    /// Highest number seen, and the latest event time seen.
    last: Option<(u64, Timestamp)>,
    /// Why numbers would be missing before the next trade.
    hole_reason: GapReason,
    /// Holes that a process before this one left open, until the first tick.
    left_open: Vec<TradeHole>,
    pub(crate) backfill: Backfill,
}

impl TradeLine {
    /// Continues after what was published before this process started.
    pub(crate) fn new(seed: Option<&Seed>) -> Self {
        Self {
            last: seed.and_then(Seed::place),
            hole_reason: GapReason::Disconnect,
            left_open: seed.map(|seed| seed.holes.clone()).unwrap_or_default(),
            backfill: Backfill::default(),
        }
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, context: &mut Context<'_>) {
        for TradeHole { from, to, after, before } in std::mem::take(&mut self.left_open) {
            self.backfill.add(Hole::new(from, to, (after, before), GapReason::Disconnect), context);
        }
        self.backfill.tick(context);
    }

    /// The last socket is gone: what is missing next is missing because of that.
    pub(crate) fn closed(&mut self) {
        self.hole_reason = GapReason::Disconnect;
    }

    /// A frame of this stream could not be decoded; its number will be missing.
    pub(crate) fn undecodable(&mut self) {
        if self.hole_reason == GapReason::Sequence {
            self.hole_reason = GapReason::Undecodable;
        }
    }

    /// A trade arrived.
    ///
    /// # Errors
    /// When a field of it cannot be right; then it is a hole, and is fetched.
    pub(crate) fn print(&mut self, print: &Print<'_>, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some((last, latest)) = self.last
            && print.sequence <= last
        {
            if print.event <= latest && self.backfill.lacks(print) {
                self.emit_live(print, context)?;
                self.backfill.filled(print);
                return Ok(());
            }
            if print.event <= latest {
                context.out.note(Note::Duplicate { data_type: DataType::Trade });
                return Ok(());
            }
            // A lower number that happened later is no duplicate: the exchange began to count anew.
            context.gap(
                DataType::Trade,
                Missing {
                    ids: None,
                    times: Some((latest, print.event)),
                    reason: self.hole_reason,
                    filled: 0,
                    detail: Some(&format!("ids restarted: {} after {last}", print.sequence)),
                },
            );
            self.last = None;
        }
        // Before anything is remembered: a refused trade is a hole, and is fetched.
        self.emit_live(print, context)?;
        if let Some((last, latest)) = self.last
            && print.first_sequence > last.saturating_add(1)
        {
            let times = (latest, print.event);
            let hole = Hole::new(last.saturating_add(1), print.first_sequence - 1, times, self.hole_reason);
            self.backfill.add(hole, context);
        }
        let latest = self.last.map_or(print.event, |(_, latest)| latest.max(print.event));
        self.last = Some((print.sequence, latest));
        self.hole_reason = GapReason::Sequence;
        Ok(())
    }

    fn emit_live(&mut self, print: &Print<'_>, context: &mut Context<'_>) -> Result<(), Rejected> {
        if print.is_placeholder {
            context.out.note(Note::Ignored { what: "trade_placeholder" });
            return Ok(());
        }
        emit(print, Source::Ws, context).inspect_err(|_| self.undecodable())
    }
}

/// Publishes a trade.
///
/// # Errors
/// Names the field and the value that cannot be right.
pub(crate) fn emit(print: &Print<'_>, source: Source, context: &mut Context<'_>) -> Result<(), Rejected> {
    let mut number = itoa::Buffer::new();
    let (trade_id, trade_sequence) = match &print.trade_id {
        Some(id) => (id.as_ref(), Some(print.sequence)),
        None => (number.format(print.sequence), None),
    };
    context.emit(Message::from(Trade::new(
        context.origin(source),
        print.event,
        Cow::Borrowed(trade_id),
        print.price,
        print.quantity,
        print.side,
        print.is_maker_buyer,
        print.contracts,
        trade_sequence,
        print.trades.map(|(first, _)| first),
        print.trades.map(|(_, last)| last),
    )))
}
