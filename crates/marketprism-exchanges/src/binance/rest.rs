//! What is asked of REST for one instrument, and what becomes of the answers.

use marketprism_core::Timestamp;

use super::feed::Feed;
use super::market::Market;
use super::messages;
use crate::backfill::End;
use crate::context::Context;
use crate::decode::Levels;
use crate::polled::Call;
use crate::registry::SessionOptions;
use crate::session::{Effects, FetchFailed, Rejected};

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A depth snapshot.
    Snapshot,
    /// Missing trades.
    Trades,
}

/// What is to be asked for now; whoever takes it asks.
pub(super) fn due(
    feed: &mut Feed,
    market: &Market,
    options: &SessionOptions,
    now: Timestamp,
) -> Option<(Wanted, Call)> {
    let instrument_id = &feed.instrument.instrument_id;
    if let Some(book) = feed.book.as_mut().filter(|book| book.state.local.snapshot.is_due(now)) {
        book.state.local.snapshot.opened();
        return Some((Wanted::Snapshot, market.snapshot(instrument_id, options.snapshot_levels)));
    }
    let backfill =
        &mut feed.trades.as_mut().filter(|trades| trades.state.backfill.is_due(now))?.state.backfill;
    let missing = backfill.missing()?;
    backfill.opened();
    Some((Wanted::Trades, market.trades(market.trade_stream(options), instrument_id, missing)))
}

/// The answer, or `Err(None)` where none ever came.
pub(super) fn answered(
    feed: &mut Feed,
    wanted: Wanted,
    answer: Result<&[u8], Option<FetchFailed>>,
    levels: &mut Levels,
    now: Timestamp,
    out: &mut dyn Effects,
) -> Result<(), Rejected> {
    let trade_stream = feed.trade_stream;
    let context = &mut Context { instrument: &feed.instrument, now, out };
    match (wanted, &mut feed.book, &mut feed.trades) {
        (Wanted::Snapshot, Some(book), _) => match answer {
            Ok(body) => return book.state.local.fetched(body, levels, context),
            Err(failure) => book.state.local.snapshot_failed(failure.as_ref(), now),
        },
        (Wanted::Trades, _, Some(trades)) => {
            let prints = answer.map(|body| messages::historical(trade_stream, body));
            return trades.state.backfill.settled(prints, End::Oldest, context);
        }
        (Wanted::Snapshot, None, _) | (Wanted::Trades, _, None) => {}
    }
    Ok(())
}
