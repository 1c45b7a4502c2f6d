//! One instrument and its streams: what a push of it becomes.

use std::collections::VecDeque;

use marketprism_core::{DataType, Instrument, Timestamp};

use super::book_frame;
use super::channel::{Arg, Channel};
use super::contract_data::{FundingRow, LiquidationDetail, OpenInterestRow};
use super::frame::Push;
use super::order_book::BookSync;
use super::trades;
use crate::context::Context;
use crate::decode::{self, Levels};
use crate::latest::Latest;
use crate::liveness::Liveness;
use crate::registry::{Integration, Seed, SessionConfig};
use crate::session::{Effects, Link, Note, Rejected, StreamState, StreamStatus};
use crate::trade_line::TradeLine;

/// Liquidations remembered to know those another socket brought: the exchange sends at most one a second, so this is a
/// minute and more of them.
const LIQUIDATIONS_MAX: usize = 64;

/// One instrument.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) instrument: Instrument,
    /// What is taken of it.
    pub(super) streams: Vec<Stream>,
    pub(super) trades: Option<TradeLine>,
    pub(super) book: Option<BookSync>,
    liquidations: VecDeque<LiquidationDetail>,
}

/// One data type of it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) channel: Channel,
    pub(super) liveness: Liveness,
    /// Of streams whose values have nothing but their time to tell them apart.
    latest: Latest,
}

impl Stream {
    /// Whether a value was not brought by another socket.
    fn is_news(&mut self, event: Timestamp, now: Timestamp, out: &mut dyn Effects) -> bool {
        self.liveness.received(now, Some(event));
        let is_news = self.latest.is_news(event);
        if is_news {
            self.latest.set(event);
        } else {
            out.note(Note::Duplicate { data_type: self.liveness.data_type() });
        }
        is_news
    }
}

impl Feed {
    pub(super) fn new(instrument: Instrument, integration: &Integration, config: &SessionConfig) -> Self {
        let taken = config.data_types.iter().copied();
        let taken = taken.filter(|data_type| (integration.offers)(&instrument, *data_type));
        let seed = |data_type| Seed::of(&config.seeds, &instrument.instrument_id, data_type);
        let heard = Seed::latest(&config.seeds, &instrument.instrument_id);
        let streams: Vec<Stream> = taken
            .filter_map(|data_type| {
                let channel = Channel::of(data_type)?;
                let latest = Latest::new(seed(data_type).map(|seed| seed.event));
                Some(Stream { channel, liveness: Liveness::after(data_type, heard), latest })
            })
            .collect();
        let is_taken = |channel| streams.iter().any(|stream| stream.channel == channel);
        let trades = is_taken(Channel::Trades).then(|| TradeLine::new(seed(DataType::Trade)));
        let seed = |data_type| seed(data_type).and_then(Seed::place);
        let book = is_taken(Channel::Books)
            .then(|| BookSync::new(&config.options, &instrument.instrument_id, seed(DataType::OrderBook)));
        Self { instrument, streams, trades, book, liquidations: VecDeque::new() }
    }

    /// What a stream is called in requests.
    pub(super) fn arg(&self, channel: Channel) -> Arg {
        arg(&self.instrument, channel)
    }

    pub(super) fn args(&self) -> impl Iterator<Item = Arg> {
        self.streams.iter().map(|stream| self.arg(stream.channel))
    }

    /// A push of one of its streams, other than liquidations.
    pub(super) fn push(
        &mut self,
        (link, channel): (Link, Channel),
        push: &Push<'_>,
        levels: &mut Levels,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let stream = self.streams.iter_mut().find(|stream| stream.channel == channel);
        let mut context = Context { instrument: &self.instrument, now, out };
        match (stream, channel, &mut self.trades, &mut self.book) {
            (Some(stream), Channel::Trades, Some(line), _) => {
                let contract = self.instrument.contract.as_ref();
                let pushed = decode::each(push.data, |row: trades::Row<'_>| {
                    let print = row.print(contract)?;
                    stream.liveness.received(now, Some(print.event));
                    line.print(&print, &mut context)
                });
                pushed.inspect_err(|_| line.undecodable())
            }
            (Some(stream), Channel::Books, _, Some(book)) => {
                let frame = book_frame::pushed(push.data, levels).inspect_err(|_| {
                    stream.liveness.received(now, None);
                    book.undecodable(link, &mut context);
                })?;
                stream.liveness.received(now, Some(frame.event));
                match push.action.as_deref() {
                    Some("update") => book.update(link, frame, levels, &mut context),
                    Some("snapshot") => book.snapshot(link, frame, levels, &mut context),
                    action => {
                        book.undecodable(link, &mut context);
                        let detail = format_args!("field `action`: `{}`", action.unwrap_or_default());
                        return Err(Rejected::new("unknown_event", detail));
                    }
                }
                Ok(())
            }
            (Some(stream), Channel::FundingRate, ..) => {
                let pushed = decode::each(push.data, |row: FundingRow| {
                    if stream.is_news(row.ts, now, context.out) { row.emit(&mut context) } else { Ok(()) }
                });
                pushed.inspect_err(|_| stream.liveness.unreadable(now))
            }
            (Some(stream), Channel::OpenInterest, ..) => {
                let pushed = decode::each(push.data, |row: OpenInterestRow| {
                    if stream.is_news(row.ts, now, context.out) { row.emit(&mut context) } else { Ok(()) }
                });
                pushed.inspect_err(|_| stream.liveness.unreadable(now))
            }
            _ => {
                let arg = Arg { channel, name: push.name.clone().into_owned() };
                Err(Rejected::new("unknown_event", format_args!("{arg} was not asked for")))
            }
        }
    }

    /// Liquidations of this instrument, as many as can be read.
    pub(super) fn liquidations(
        &mut self,
        details: &str,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let taken = decode::each(details, |detail| self.liquidation(detail, now, out));
        taken.inspect_err(|_| self.unreadable_liquidations(now))
    }

    /// A push of liquidations, perhaps of this instrument, cannot be read.
    pub(super) fn unreadable_liquidations(&mut self, now: Timestamp) {
        let is_it = |stream: &&mut Stream| stream.channel == Channel::LiquidationOrders;
        if let Some(stream) = self.streams.iter_mut().find(is_it) {
            stream.liveness.unreadable(now);
        }
    }

    fn liquidation(
        &mut self,
        detail: LiquidationDetail,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let is_it = |stream: &&mut Stream| stream.channel == Channel::LiquidationOrders;
        let Some(stream) = self.streams.iter_mut().find(is_it) else { return Ok(()) };
        stream.liveness.received(now, Some(detail.ts));
        if self.liquidations.contains(&detail) {
            out.note(Note::Duplicate { data_type: DataType::Liquidation });
            return Ok(());
        }
        detail.emit(&mut Context { instrument: &self.instrument, now, out })?;
        if self.liquidations.len() >= LIQUIDATIONS_MAX {
            self.liquidations.pop_front();
        }
        self.liquidations.push_back(detail);
        Ok(())
    }

    /// A socket is open.
    pub(super) fn opened(&mut self, link: Link, is_first: bool, now: Timestamp) {
        if let Some(book) = &mut self.book {
            book.opened(link);
        }
        if is_first {
            self.streams.iter_mut().for_each(|stream| stream.liveness.opened(now));
        }
    }

    /// A socket is gone, on which anything came last when it was `heard`.
    pub(super) fn closed(
        &mut self,
        (link, heard): (Link, Timestamp),
        is_last: bool,
        now: Timestamp,
        out: &mut dyn Effects,
    ) {
        if let Some(book) = &mut self.book {
            book.closed(link, &mut Context { instrument: &self.instrument, now, out });
        }
        if is_last {
            self.streams.iter_mut().for_each(|stream| stream.liveness.closed(heard));
            self.trades.iter_mut().for_each(TradeLine::closed);
        }
    }

    /// Declares what was missed of the streams that are only pushed.
    pub(super) fn declare(
        &mut self,
        is_acknowledged: impl Fn(&Arg) -> bool,
        now: Timestamp,
        out: &mut dyn Effects,
    ) {
        let Self { instrument, streams, .. } = self;
        let context = &mut Context { instrument, now, out };
        for Stream { channel, liveness, .. } in streams {
            liveness.declare(|| is_acknowledged(&arg(instrument, *channel)), context);
        }
    }

    /// The end, of the process or of the interest in it.
    pub(super) fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let mut context = Context { instrument: &self.instrument, now, out };
        if let Some(trades) = &mut self.trades {
            trades.backfill.drain(&mut context);
        }
        if let Some(book) = &mut self.book {
            book.drain(&mut context);
        }
        for stream in &mut self.streams {
            stream.liveness.declare_unreadable(&mut context);
        }
    }

    /// How a stream is doing; `is_acknowledged` where a socket has it.
    pub(super) fn status(&self, stream: &Stream, is_acknowledged: bool, now: Timestamp) -> StreamStatus {
        let mut status = stream.liveness.status(&self.instrument, now);
        let is_book_wrong = self.book.as_ref().is_some_and(|book| !book.is_live());
        status.state = match (stream.channel, status.state) {
            (Channel::Books, StreamState::Live) if is_book_wrong => StreamState::Syncing,
            // Nothing for hours is no bad sign here.
            (Channel::LiquidationOrders, StreamState::Waiting | StreamState::Stale) if is_acknowledged => {
                StreamState::Live
            }
            (_, state) => state,
        };
        status
    }
}

fn arg(instrument: &Instrument, channel: Channel) -> Arg {
    let name = match channel {
        Channel::LiquidationOrders => liquidations_of(instrument).to_owned(),
        Channel::Books | Channel::Trades | Channel::FundingRate | Channel::OpenInterest => {
            instrument.instrument_id.clone()
        }
    };
    Arg { channel, name }
}

/// The type of instruments whose liquidations one channel has.
fn liquidations_of(instrument: &Instrument) -> &'static str {
    use marketprism_core::MarketType;
    match instrument.market_type {
        MarketType::Perpetual => "SWAP",
        MarketType::Futures => "FUTURES",
        MarketType::Options => "OPTION",
        MarketType::Spot => "MARGIN",
    }
}
