//! One instrument of a session: its trades, its book, and how messages about it are made.

use std::borrow::Cow;

use marketprism_core::message::{Gap, Origin};
use marketprism_core::{DataType, GapReason, Instrument, Source, Timestamp};

use super::liveness::Liveness;
use super::market::TradeStream;
use super::order_book::BookSync;
use super::trades::TradeLine;
use crate::session::Effects;

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
        let trades = self.trades.is_some() && self.trade_liveness.is_overdue(now);
        let book = self.book.is_some() && self.book_liveness.is_overdue(now);
        let trades = trades.then(|| self.trade_stream_name(trade_stream));
        let book = book.then(|| self.book_stream_name());
        trades.into_iter().chain(book)
    }

    /// Whether trades came on this connection; `None` when they are not taken.
    pub(super) fn is_trade_heard(&self) -> Option<bool> {
        self.trades.is_some().then(|| self.trade_liveness.last_received().is_some())
    }

    /// Whether depth events came on this connection; `None` when they are not taken.
    pub(super) fn is_book_heard(&self) -> Option<bool> {
        self.book.is_some().then(|| self.book_liveness.last_received().is_some())
    }

    /// A connection is there. `phase_micros` spreads the symbols over the publishing interval.
    pub(super) fn opened(&mut self, now: Timestamp, phase_micros: i64) {
        self.trade_liveness.opened(now);
        self.book_liveness.opened(now);
        if let Some(book) = &mut self.book {
            book.opened(now, phase_micros);
        }
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

/// What a state machine of one instrument needs to act.
pub(super) struct Context<'c> {
    pub(super) instrument: &'c Instrument,
    pub(super) now: Timestamp,
    pub(super) out: &'c mut dyn Effects,
}

/// What is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing<'m> {
    /// First and last missing id.
    pub(super) ids: Option<(u64, u64)>,
    /// Time of what came before and of what came after.
    pub(super) times: Option<(Timestamp, Timestamp)>,
    pub(super) reason: GapReason,
    /// How many were recovered.
    pub(super) filled: u64,
    /// For people.
    pub(super) detail: Option<&'m str>,
}

impl<'c> Context<'c> {
    /// The common fields of a message that came now.
    pub(super) const fn origin(&self, source: Source) -> Origin<'c> {
        Origin { instrument: self.instrument, received: self.now, source }
    }

    /// Declares what is missing.
    pub(super) fn gap(&mut self, data_type: DataType, missing: Missing<'_>) {
        // An exchange's clock may step back between two events; the interval is then what covers both.
        let times = missing.times.map(|(one, other)| (one.min(other), one.max(other)));
        self.out.emit(
            Gap::new(
                self.origin(Source::Ws),
                self.now,
                data_type,
                missing.ids.map(|(from, _)| from),
                missing.ids.map(|(_, to)| to),
                times.map(|(from, _)| from),
                times.map(|(_, to)| to),
                missing.reason,
                missing.filled,
                missing.detail.map(Cow::Borrowed),
            )
            .into(),
        );
    }
}
