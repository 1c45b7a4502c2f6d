//! One instrument of a session: what is taken of it, each with its stream and its liveness.

use marketprism_core::{DataType, Instrument, Timestamp};

use super::depth;
use super::force_order::{self, Liquidations};
use super::mark_price::{self, Funding};
use super::market::{Market, TradeStream};
use super::messages::{self, AggregateEvent, TradeEvent};
use super::order_book::OrderBook;
use crate::context::Context;
use crate::decode::Levels;
use crate::liveness::{Liveness, Verdict};
use crate::registry::{Seed, SessionConfig};
use crate::session::{Effects, Pressure, Rejected, StreamState, StreamStatus};
use crate::trade_line::TradeLine;

/// One instrument and what is taken of it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) instrument: Instrument,
    /// What its streams are named by: the instrument id in lower case.
    pub(super) name: String,
    pub(super) trade_stream: TradeStream,
    pub(super) trades: Option<Live<TradeLine>>,
    pub(super) book: Option<Live<OrderBook>>,
    pub(super) funding: Option<Live<Funding>>,
    liquidations: Option<Live<Liquidations>>,
}

/// What comes by one stream, and what is made of it.
#[derive(Debug)]
pub(super) struct Live<T> {
    stream: Stream,
    pub(super) state: T,
}

/// One stream.
#[derive(Debug)]
struct Stream {
    /// Its name after the symbol.
    kind: &'static str,
    liveness: Liveness,
}

impl<T> Live<T> {
    fn new(data_type: DataType, kind: &'static str, heard: Option<Timestamp>, state: T) -> Self {
        Self { stream: Stream { kind, liveness: Liveness::after(data_type, heard) }, state }
    }
}

impl Stream {
    /// A push came and was taken, or cannot be read.
    fn took(&mut self, event: Result<Timestamp, Rejected>, now: Timestamp) -> Result<(), Rejected> {
        match event {
            Ok(event) => self.liveness.received(now, Some(event)),
            Err(_) => self.liveness.unreadable(now),
        }
        event.map(drop)
    }
}

/// The streams that are only pushed.
fn pushed<'f>(
    funding: &'f mut Option<Live<Funding>>,
    liquidations: &'f mut Option<Live<Liquidations>>,
) -> impl Iterator<Item = &'f mut Stream> {
    let funding = funding.iter_mut().map(|live| &mut live.stream);
    funding.chain(liquidations.iter_mut().map(|live| &mut live.stream))
}

impl Feed {
    pub(super) fn new(instrument: Instrument, market: &'static Market, config: &SessionConfig) -> Self {
        let SessionConfig { data_types, options, seeds, .. } = config;
        let instrument_id = &instrument.instrument_id;
        let takes = |data_type| data_types.contains(&data_type) && (market.offers)(&instrument, data_type);
        let last = |data_type| Seed::of(seeds, instrument_id, data_type);
        let seed = |data_type| last(data_type).and_then(Seed::place);
        let heard = Seed::latest(seeds, instrument_id);
        let trade_stream = market.trade_stream(options);
        let trades =
            || Live::new(DataType::Trade, trade_stream.name(), heard, TradeLine::new(last(DataType::Trade)));
        let book = || OrderBook::new(market, options, instrument_id, seed(DataType::OrderBook));
        let book = || Live::new(DataType::OrderBook, "depth@100ms", heard, book());
        let funding = || Funding::new(last(DataType::FundingRate).map(|seed| seed.event));
        let funding = || Live::new(DataType::FundingRate, mark_price::STREAM, heard, funding());
        let liquidations = Liquidations::default;
        let liquidations = || Live::new(DataType::Liquidation, force_order::STREAM, heard, liquidations());
        Self {
            name: instrument_id.to_lowercase(),
            trade_stream,
            trades: takes(DataType::Trade).then(trades),
            book: takes(DataType::OrderBook).then(book),
            funding: takes(DataType::FundingRate).then(funding),
            liquidations: takes(DataType::Liquidation).then(liquidations),
            instrument,
        }
    }

    /// The streams taken.
    fn streams(&self) -> impl Iterator<Item = &Stream> {
        let trades = self.trades.iter().map(|live| &live.stream);
        let book = self.book.iter().map(|live| &live.stream);
        let funding = self.funding.iter().map(|live| &live.stream);
        let liquidations = self.liquidations.iter().map(|live| &live.stream);
        trades.chain(book).chain(funding).chain(liquidations)
    }

    fn streams_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        let trades = self.trades.iter_mut().map(|live| &mut live.stream);
        let book = self.book.iter_mut().map(|live| &mut live.stream);
        let funding = self.funding.iter_mut().map(|live| &mut live.stream);
        let liquidations = self.liquidations.iter_mut().map(|live| &mut live.stream);
        trades.chain(book).chain(funding).chain(liquidations)
    }

    /// Names of the streams taken.
    pub(super) fn stream_names(&self) -> impl Iterator<Item = String> {
        self.streams().map(|stream| format!("{}@{}", self.name, stream.kind))
    }

    /// An event of the stream `{name}@{kind}`.
    pub(super) fn event(
        &mut self,
        kind: &str,
        data: &str,
        levels: &mut Levels,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let instrument_id = &self.instrument.instrument_id;
        let context = &mut Context { instrument: &self.instrument, now, out };
        if let Some(Live { state: trades, stream }) = &mut self.trades
            && kind == self.trade_stream.name()
        {
            let decoded = match self.trade_stream {
                TradeStream::Trade => messages::print::<TradeEvent<'_>>(data, instrument_id),
                TradeStream::Aggregate => messages::print::<AggregateEvent<'_>>(data, instrument_id),
            };
            stream.liveness.received(now, decoded.as_ref().ok().map(|print| print.event));
            let print = decoded.inspect_err(|_| trades.undecodable())?;
            return trades.print(&print, context);
        }
        if let Some(Live { state: book, stream }) = &mut self.book
            && (kind == "depth" || kind.starts_with("depth@"))
        {
            let decoded = depth::event(data, instrument_id, levels);
            stream.liveness.received(now, decoded.as_ref().ok().map(|depth| depth.event));
            let depth = decoded.inspect_err(|_| book.undecodable(context))?;
            book.event(depth, levels, context);
            return Ok(());
        }
        if let Some(Live { state: funding, stream }) = &mut self.funding
            && kind == mark_price::STREAM
        {
            let event = funding.event(data, context);
            return stream.took(event, now);
        }
        if let Some(Live { state: liquidations, stream }) = &mut self.liquidations
            && kind == force_order::STREAM
        {
            let event = liquidations.event(data, context);
            return stream.took(event, now);
        }
        let name = &self.name;
        Err(Rejected::new("unknown_event", format_args!("stream `{name}@{kind}` was not asked for")))
    }

    /// So many sockets bring its streams from now on; on the one that is gone, if one is, anything came last when it was
    /// `heard`.
    pub(super) fn set_links(
        &mut self,
        links: usize,
        heard: Timestamp,
        now: Timestamp,
        out: &mut dyn Effects,
    ) {
        for Stream { liveness, .. } in self.streams_mut() {
            match liveness.state(now) {
                _ if links == 0 => liveness.closed(heard),
                StreamState::Disconnected => liveness.opened(now),
                StreamState::Waiting | StreamState::Syncing | StreamState::Stale | StreamState::Live => {}
            }
        }
        if let Some(trades) = self.trades.as_mut().filter(|_| links == 0) {
            trades.state.closed();
        }
        if let Some(book) = &mut self.book {
            book.state.set_links(links, &mut Context { instrument: &self.instrument, now, out });
        }
    }

    /// Declares what was missed of the streams that are only pushed.
    pub(super) fn declare(
        &mut self,
        is_subscribed: impl Fn(&str) -> bool,
        now: Timestamp,
        out: &mut dyn Effects,
    ) {
        let Self { instrument, name, funding, liquidations, .. } = self;
        let context = &mut Context { instrument, now, out };
        for Stream { kind, liveness } in pushed(funding, liquidations) {
            liveness.declare(|| is_subscribed(&format!("{name}@{kind}")), context);
        }
    }

    /// Names of the streams that are silent for too long, and what to do about each.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Vec<(String, Verdict)> {
        let mut overdue = Vec::new();
        for Stream { kind, liveness } in self.streams_mut() {
            let verdict = liveness.judge(now);
            if verdict != Verdict::Fine {
                overdue.push((*kind, verdict));
            }
        }
        overdue.into_iter().map(|(kind, verdict)| (format!("{}@{kind}", self.name), verdict)).collect()
    }

    pub(super) fn set_pressure(&mut self, pressure: Pressure) {
        if let Some(book) = &mut self.book {
            book.state.local.set_pressure(pressure);
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let context = &mut Context { instrument: &self.instrument, now, out };
        if let Some(trades) = &mut self.trades {
            trades.state.tick(context);
        }
        if let Some(book) = &mut self.book {
            book.state.tick(context);
        }
    }

    /// Publishes what is pending, declares what is not published.
    pub(super) fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let context = &mut Context { instrument: &self.instrument, now, out };
        if let Some(trades) = &mut self.trades {
            trades.state.backfill.drain(context);
        }
        if let Some(book) = &mut self.book {
            book.state.drain(context);
        }
        for stream in pushed(&mut self.funding, &mut self.liquidations) {
            stream.liveness.declare_unreadable(context);
        }
    }

    pub(super) fn status(&self, now: Timestamp) -> impl Iterator<Item = StreamStatus> {
        let is_syncing = self.book.as_ref().is_some_and(|book| !book.state.local.is_live());
        self.streams().map(move |stream| {
            let mut status = stream.liveness.status(&self.instrument, now);
            if status.data_type == DataType::OrderBook && status.state == StreamState::Live && is_syncing {
                status.state = StreamState::Syncing;
            }
            status
        })
    }
}
