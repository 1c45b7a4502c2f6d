//! What a session with sockets asks of REST: snapshots that were not pushed, and trades that are missing.

use marketprism_core::{DataType, Timestamp};

use super::book_frame;
use super::feed::Feed;
use super::limits;
use super::polled::{BOOK_LEVELS_MAX, book_path};
use super::session::{OkxSession, find};
use super::trades;
use crate::backfill::End;
use crate::context::Context;
use crate::session::{Effects, FetchFailed, Rejected, Request};

/// Rows of one answer with past trades at most.
const TRADES_PER_ANSWER_MAX: u64 = 100;

/// What an answer is for, of which instrument.
pub(super) type Purpose = (String, Wanted);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Book,
    Trades,
}

impl OkxSession {
    /// Makes the REST requests that are due, as far as there are places.
    pub(super) fn make_requests(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for Feed { instrument, trades, book, .. } in &mut self.feeds {
            if let Some(book) = book
                && book.is_snapshot_due(now)
                && self.requests.has_place()
            {
                book.snapshot.opened();
                let id = self.requests.open((instrument.instrument_id.clone(), Wanted::Book), now);
                let path = book_path(instrument, BOOK_LEVELS_MAX);
                out.fetch(Request {
                    id,
                    data_type: DataType::OrderBook,
                    path,
                    weight: 1,
                    limit: limits::BOOKS,
                });
            }
            if let Some(trades) = trades
                && trades.backfill.is_due(now)
                && let Some((from, to)) = trades.backfill.missing()
                && self.requests.has_place()
            {
                trades.backfill.opened();
                let id = self.requests.open((instrument.instrument_id.clone(), Wanted::Trades), now);
                let (after, rows) = (to.saturating_add(1), to.saturating_sub(from).saturating_add(2));
                let path = format!(
                    "/api/v5/market/history-trades?instId={}&type=1&after={after}&limit={}",
                    instrument.instrument_id,
                    rows.min(TRADES_PER_ANSWER_MAX)
                );
                let limit = limits::HISTORY_TRADES;
                out.fetch(Request { id, data_type: DataType::Trade, path, weight: 1, limit });
            }
        }
    }

    pub(super) fn answered(
        &mut self,
        (instrument_id, wanted): &Purpose,
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Some(Feed { instrument, trades, book, .. }) = find(&mut self.feeds, instrument_id) else {
            return Ok(());
        };
        let mut context = Context { instrument, now, out };
        match (wanted, book, trades) {
            (Wanted::Book, Some(book), _) => match answer {
                Ok(body) => {
                    let frame = book_frame::fetched(body, &mut self.levels)
                        .inspect_err(|_| book.fetch_failed(None, now))?;
                    book.fetched(frame, &self.levels, &mut context);
                }
                Err(failure) => book.fetch_failed(failure.as_ref(), now),
            },
            (Wanted::Trades, _, Some(trades)) => {
                let prints = answer.map(|body| trades::historical(body, instrument.contract.as_ref()));
                return trades.backfill.settled(prints, End::Newest, &mut context);
            }
            _ => {}
        }
        Ok(())
    }
}
