//! One instrument of a session: what is taken of it.

use marketprism_core::{DataType, Instrument, Timestamp};

use super::channel::Channel;
use super::depth;
use super::integration::offers;
use super::messages::{self, Ticker, TradeEvent};
use super::order_book::BookSync;
use super::ticker::{Quantity, Sampled};
use super::volatility::Volatility;
use crate::backfill::End;
use crate::context::Context;
use crate::decode::{self, Levels};
use crate::liveness::{Liveness, Verdict};
use crate::registry::{Seed, SessionConfig};
use crate::session::{Effects, FetchFailed, Link, Pressure, Rejected, StreamState, StreamStatus};
use crate::trade_line::TradeLine;

/// One instrument and what is taken of it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) instrument: Instrument,
    trades: Option<Trades>,
    pub(super) book: Option<BookFeed>,
    /// Funding and open interest, as far as they are taken.
    sampled: Vec<Sampled>,
    volatility: Option<Volatility>,
}

#[derive(Debug)]
struct Trades {
    line: TradeLine,
    liveness: Liveness,
}

#[derive(Debug)]
pub(super) struct BookFeed {
    pub(super) sync: BookSync,
    liveness: Liveness,
}

impl Feed {
    pub(super) fn new(instrument: Instrument, config: &SessionConfig) -> Self {
        let SessionConfig { data_types, options, seeds, .. } = config;
        let wants = |data_type| data_types.contains(&data_type) && offers(&instrument, data_type);
        let last = |data_type| Seed::of(seeds, &instrument.instrument_id, data_type);
        let seed = |data_type| last(data_type).and_then(Seed::place);
        let time = |data_type| last(data_type).map(|seed| seed.event);
        let heard = Seed::latest(seeds, &instrument.instrument_id);
        let book = |instrument_id| BookSync::new(options, instrument_id, seed(DataType::OrderBook));
        Self {
            trades: wants(DataType::Trade).then(|| Trades {
                line: TradeLine::new(last(DataType::Trade)),
                liveness: Liveness::new(DataType::Trade),
            }),
            book: wants(DataType::OrderBook).then(|| BookFeed {
                sync: book(&instrument.instrument_id),
                liveness: Liveness::new(DataType::OrderBook),
            }),
            sampled: [Quantity::Funding, Quantity::OpenInterest]
                .into_iter()
                .filter(|quantity| wants(quantity.data_type()))
                .map(|quantity| Sampled::new(quantity, time(quantity.data_type()), heard))
                .collect(),
            volatility: wants(DataType::VolatilityIndex)
                .then(|| Volatility::new(time(DataType::VolatilityIndex))),
            instrument,
        }
    }

    /// The streams taken.
    fn streams(&self) -> impl Iterator<Item = &Liveness> {
        let trades = self.trades.iter().map(|trades| &trades.liveness);
        let book = self.book.iter().map(|book| &book.liveness);
        let sampled = self.sampled.iter().map(|sampled| &sampled.liveness);
        let volatility = self.volatility.iter().map(|index| &index.liveness);
        trades.chain(book).chain(sampled).chain(volatility)
    }

    fn streams_mut(&mut self) -> impl Iterator<Item = &mut Liveness> {
        let trades = self.trades.iter_mut().map(|trades| &mut trades.liveness);
        let book = self.book.iter_mut().map(|book| &mut book.liveness);
        trades.chain(book).chain(pushed(&mut self.sampled, &mut self.volatility))
    }

    /// Names of the channels they come from. Some name one twice, because two data types come from it.
    pub(super) fn channels(&self) -> impl Iterator<Item = String> {
        self.streams()
            .filter_map(|stream| Some(Channel::of(stream.data_type())?.name(&self.instrument.instrument_id)))
    }

    /// A socket is open, perhaps not the first one.
    pub(super) fn opened(&mut self, link: Link, is_first: bool, now: Timestamp) {
        if is_first {
            self.streams_mut().for_each(|stream| stream.opened(now));
        }
        if let Some(book) = &mut self.book {
            book.sync.opened(link, now);
        }
    }

    /// A socket is gone, perhaps not the last one; anything came on it last when it was `heard`.
    pub(super) fn closed(
        &mut self,
        (link, heard): (Link, Timestamp),
        is_last: bool,
        now: Timestamp,
        out: &mut dyn Effects,
    ) {
        if is_last {
            self.streams_mut().for_each(|stream| stream.closed(heard));
        }
        if let Some(trades) = self.trades.as_mut().filter(|_| is_last) {
            trades.line.closed();
        }
        if let Some(book) = &mut self.book {
            book.sync.closed(link, &mut Context { instrument: &self.instrument, now, out });
        }
    }

    /// Something came on a channel of this instrument; `levels` is where a book is decoded into.
    pub(super) fn event(
        &mut self,
        channel: Channel,
        link: Link,
        data: &str,
        levels: &mut Levels,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let context = &mut Context { instrument: &self.instrument, now, out };
        match (channel, &mut self.trades, &mut self.book, &mut self.volatility) {
            (Channel::Book, _, Some(book), _) => book.event(link, data, levels, context),
            (Channel::Trades, Some(trades), ..) => trades.event(data, context),
            (Channel::Volatility, .., Some(volatility)) => volatility.event(data, context),
            (Channel::Ticker, ..) if !self.sampled.is_empty() => {
                let ticker: Ticker = decode::from_str(data).inspect_err(|_| {
                    self.sampled.iter_mut().for_each(|sampled| sampled.liveness.unreadable(now));
                })?;
                let events = self.sampled.iter_mut().map(|sampled| sampled.event(&ticker, context));
                events.fold(Ok(()), Result::and)
            }
            _ => Err(Rejected::new(
                "unknown_event",
                format_args!("{channel:?} of {} was not asked for", self.instrument.instrument_id),
            )),
        }
    }

    /// Time passed: publishes what is due.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let context = &mut Context { instrument: &self.instrument, now, out };
        if let Some(trades) = &mut self.trades {
            trades.line.tick(context);
        }
        if let Some(book) = &mut self.book {
            book.sync.tick(context);
        }
        self.sampled.iter_mut().for_each(|sampled| sampled.tick(context));
        for stream in pushed(&mut self.sampled, &mut self.volatility) {
            // Where something of it comes, it is subscribed.
            let is_heard = stream.is_heard();
            stream.declare(|| is_heard, context);
        }
    }

    /// The path of what is to be asked of REST now. An instrument has trades that may be missing or bars, never both.
    pub(super) fn request(&mut self, now: Timestamp, out: &mut dyn Effects) -> Option<(DataType, String)> {
        if let Some(Trades { line, .. }) = &mut self.trades {
            let missing = line.backfill.missing().filter(|_| line.backfill.is_due(now))?;
            line.backfill.opened();
            let path = messages::trades_path(&self.instrument.instrument_id, missing);
            return Some((DataType::Trade, path));
        }
        let bars = self.volatility.as_mut().map(|volatility| &mut volatility.bars)?;
        bars.is_due(now).then(|| {
            let path = bars.request(&mut Context { instrument: &self.instrument, now, out });
            (DataType::VolatilityIndex, path)
        })
    }

    /// The answer to the request, or none.
    pub(super) fn answered(
        &mut self,
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let context = &mut Context { instrument: &self.instrument, now, out };
        match (&mut self.trades, &mut self.volatility, answer) {
            (Some(trades), _, answer) => {
                let prints = answer.map(|body| messages::historical(body, context.instrument));
                trades.line.backfill.settled(prints, End::Oldest, context)
            }
            (None, Some(volatility), Ok(body)) => volatility.bars.answered(body, context),
            (None, Some(volatility), Err(failure)) => {
                volatility.bars.failed(failure.as_ref(), now);
                Ok(())
            }
            (None, None, _) => Ok(()),
        }
    }

    /// Streams that have brought nothing for too long.
    pub(super) fn overdue(&mut self, now: Timestamp) -> impl Iterator<Item = (DataType, Verdict)> {
        self.streams_mut()
            .map(move |stream| (stream.data_type(), stream.judge(now)))
            .filter(|(_, verdict)| *verdict != Verdict::Fine)
    }

    pub(super) fn set_pressure(&mut self, pressure: Pressure) {
        if let Some(book) = &mut self.book {
            book.sync.set_pressure(pressure);
        }
    }

    /// The end of this instrument here, or of the process: publishes what is pending, declares what is missing.
    pub(super) fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let context = &mut Context { instrument: &self.instrument, now, out };
        if let Some(trades) = &mut self.trades {
            trades.line.backfill.drain(context);
        }
        if let Some(book) = &mut self.book {
            book.sync.drain(context);
        }
        self.sampled.iter_mut().for_each(|sampled| sampled.publish_pending(context));
        pushed(&mut self.sampled, &mut self.volatility).for_each(|stream| stream.declare_unreadable(context));
    }

    /// How each stream is doing; a book that flows is not yet a right one.
    pub(super) fn status(&self, now: Timestamp) -> impl Iterator<Item = StreamStatus> {
        self.streams().map(move |stream| {
            let mut status = stream.status(&self.instrument, now);
            let is_built = self.book.as_ref().is_none_or(|book| book.sync.is_live());
            if status.data_type == DataType::OrderBook && !is_built && status.state == StreamState::Live {
                status.state = StreamState::Syncing;
            }
            status
        })
    }
}

/// The streams that are only pushed.
fn pushed<'f>(
    sampled: &'f mut [Sampled],
    volatility: &'f mut Option<Volatility>,
) -> impl Iterator<Item = &'f mut Liveness> {
    let sampled = sampled.iter_mut().map(|sampled| &mut sampled.liveness);
    sampled.chain(volatility.iter_mut().map(|index| &mut index.liveness))
}

impl Trades {
    fn event(&mut self, data: &str, context: &mut Context<'_>) -> Result<(), Rejected> {
        let mut latest = None;
        let outcome = decode::each(data, |event: TradeEvent<'_>| {
            let print = event.print(context.instrument)?;
            latest = Some(print.event);
            self.line.print(&print, context)
        });
        self.liveness.received(context.now, latest);
        outcome.inspect_err(|_| self.line.undecodable())
    }
}

impl BookFeed {
    fn event(
        &mut self,
        link: Link,
        data: &str,
        levels: &mut Levels,
        context: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        match depth::event(data, &context.instrument.instrument_id, levels) {
            Ok(depth) => {
                self.liveness.received(context.now, Some(depth.event));
                self.sync.event(link, depth, levels, context);
                Ok(())
            }
            Err(rejected) => {
                self.liveness.received(context.now, None);
                self.sync.undecodable(link, context);
                Err(rejected)
            }
        }
    }
}
