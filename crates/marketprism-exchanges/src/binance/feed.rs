//! One instrument of a session: its trades and its book.

use marketprism_core::{Instrument, Timestamp};

use super::market::TradeStream;
use super::order_book::BookSync;
use crate::context::Context;
use crate::liveness::{Liveness, Verdict};
use crate::session::Effects;
use crate::trade_line::TradeLine;

/// One instrument and what is taken of it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) instrument: Instrument,
    pub(super) trades: Option<TradeLine>,
    pub(super) trade_liveness: Liveness,
    pub(super) book: Option<BookSync>,
    pub(super) book_liveness: Liveness,
}

impl Feed {
    pub(super) fn new(instrument: Instrument, trades: Option<TradeLine>, book: Option<BookSync>) -> Self {
        Self {
            instrument,
            trades,
            trade_liveness: Liveness::default(),
            book,
            book_liveness: Liveness::default(),
        }
    }

    /// Names of the streams taken.
    pub(super) fn streams(&self, trade_stream: TradeStream) -> impl Iterator<Item = String> {
        let trades = self.trades.is_some().then(|| self.trade_stream_name(trade_stream));
        let book = self.book.is_some().then(|| self.book_stream_name());
        trades.into_iter().chain(book)
    }

    fn trade_stream_name(&self, trade_stream: TradeStream) -> String {
        format!("{}@{}", self.instrument.instrument_id.to_lowercase(), trade_stream.name())
    }

    fn book_stream_name(&self) -> String {
        format!("{}@depth@100ms", self.instrument.instrument_id.to_lowercase())
    }

    /// Names of the streams that were asked for and have brought nothing for too long.
    pub(super) fn overdue(
        &mut self,
        trade_stream: TradeStream,
        now: Timestamp,
    ) -> impl Iterator<Item = String> {
        let trades = self.trades.is_some() && self.trade_liveness.judge(now) != Verdict::Fine;
        let book = self.book.is_some() && self.book_liveness.judge(now) != Verdict::Fine;
        let trades = trades.then(|| self.trade_stream_name(trade_stream));
        let book = book.then(|| self.book_stream_name());
        trades.into_iter().chain(book)
    }

    /// Whether trades came on this connection; `None` when they are not taken.
    pub(super) fn is_trade_heard(&self) -> Option<bool> {
        self.trades.is_some().then(|| self.trade_liveness.is_heard())
    }

    /// Whether depth events came on this connection; `None` when they are not taken.
    pub(super) fn is_book_heard(&self) -> Option<bool> {
        self.book.is_some().then(|| self.book_liveness.is_heard())
    }

    /// A connection is there.
    pub(super) fn opened(&mut self, now: Timestamp) {
        self.trade_liveness.opened(now);
        self.book_liveness.opened(now);
    }

    /// The connection is gone.
    pub(super) fn closed(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.trade_liveness.closed();
        self.book_liveness.closed();
        if let Some(trades) = &mut self.trades {
            trades.closed();
        }
        if let Some(book) = &mut self.book {
            book.closed(&mut Context { instrument: &self.instrument, now, out });
        }
    }
}
