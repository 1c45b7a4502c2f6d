//! One connection's protocol: subscribes, routes frames to the symbols, asks REST for them, notices silence.

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};

use super::WEIGHT;
use super::depth;
use super::feed::Feed;
use super::frame::{self, Incoming};
use super::market::{Market, TradeStream};
use super::messages::{self, AggregateEvent, TradeEvent};
use super::order_book::BookSync;
use super::subscriptions::Subscriptions;
use crate::backfill::End;
use crate::context::{Context, SECOND};
use crate::decode::Levels;
use crate::registry::{SessionConfig, SessionOptions};
use crate::requests::Requests;
use crate::session::{
    Effects, FetchFailed, Frame, Link, Lost, Note, Pressure, Rejected, Request, RequestId, Session,
    StreamState, StreamStatus,
};
use crate::trade_line::TradeLine;

/// When every stream of a data type is silent for this long after connecting, another connection may help; then twice
/// as long each time …
const MUTE_MICROS_MIN: i64 = 60 * SECOND;
/// … up to this: reconnecting costs data of the streams that do flow.
const MUTE_MICROS_MAX: i64 = 900 * SECOND;

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A depth snapshot.
    Snapshot,
    /// Missing trades.
    Backfill,
}

/// A session for spot or USDⓈ-M, see [`Market`].
#[derive(Debug)]
pub(super) struct BinanceSession {
    market: &'static Market,
    options: SessionOptions,
    trade_stream: TradeStream,
    feeds: Vec<Feed>,
    /// Lower-case instrument ids, sorted, with their place in `feeds`: streams are named so.
    index: Vec<(String, usize)>,
    subscriptions: Subscriptions,
    requests: Requests<(usize, Purpose)>,
    connection: Connection,
    mute_micros: i64,
    levels: Levels,
}

/// The present connection.
#[derive(Debug, Default)]
struct Connection {
    link: Link,
    opened: Option<Timestamp>,
    last_frame: Timestamp,
    is_probed: bool,
    /// Its replacement was asked for; once is enough.
    is_given_up: bool,
}

impl BinanceSession {
    pub(super) fn new(market: &'static Market, config: SessionConfig) -> Self {
        let SessionConfig { instruments, data_types, options, seeds } = config;
        let seed_of = |instrument_id: &str, data_type| {
            let mut of_it = seeds.iter().filter(|seed| seed.instrument_id == instrument_id);
            of_it.find(|seed| seed.data_type == data_type).map(|seed| (seed.sequence, seed.event))
        };
        let wants = |data_type| data_types.contains(&data_type);
        let feeds: Vec<Feed> = instruments
            .into_iter()
            .map(|instrument| {
                let seed = |data_type| seed_of(&instrument.instrument_id, data_type);
                let trades = wants(DataType::Trade).then(|| TradeLine::new(seed(DataType::Trade)));
                let book = wants(DataType::OrderBook).then(|| {
                    BookSync::new(
                        market.chain,
                        &options,
                        &instrument.instrument_id,
                        seed(DataType::OrderBook),
                    )
                });
                Feed::new(instrument, trades, book)
            })
            .collect();
        let mut index: Vec<_> = feeds
            .iter()
            .enumerate()
            .map(|(at, feed)| (feed.instrument.instrument_id.to_lowercase(), at))
            .collect();
        index.sort_unstable();
        Self {
            market,
            trade_stream: TradeStream::chosen(options.trade_stream.as_deref(), market.trade_stream_default),
            options,
            feeds,
            index,
            subscriptions: Subscriptions::default(),
            requests: Requests::default(),
            connection: Connection::default(),
            mute_micros: MUTE_MICROS_MIN,
            levels: Levels::default(),
        }
    }

    fn event(
        &mut self,
        stream: &str,
        data: &str,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let (symbol, kind) = stream.split_once('@').unwrap_or((stream, ""));
        let at = self.index.binary_search_by(|(name, _)| name.as_str().cmp(symbol));
        let feed = at.ok().and_then(|at| self.index.get(at)).and_then(|(_, feed)| self.feeds.get_mut(*feed));
        let Some(feed) = feed else {
            return Err(Rejected::new("unknown_symbol", format_args!("stream `{stream}`")));
        };
        let mut context = Context { instrument: &feed.instrument, now, out };
        let instrument_id = &feed.instrument.instrument_id;
        match (kind, &mut feed.trades, &mut feed.book) {
            ("trade" | "aggTrade", Some(trades), _) if kind == self.trade_stream.name() => {
                feed.trade_liveness.received(now, None);
                let decoded = match self.trade_stream {
                    TradeStream::Trade => messages::print::<TradeEvent<'_>>(data, instrument_id),
                    TradeStream::Aggregate => messages::print::<AggregateEvent<'_>>(data, instrument_id),
                };
                match decoded {
                    Ok(print) => trades.print(&print, &mut context),
                    Err(rejected) => {
                        trades.undecodable();
                        Err(rejected)
                    }
                }
            }
            (_, _, Some(book)) if kind == "depth" || kind.starts_with("depth@") => {
                feed.book_liveness.received(now, None);
                match depth::event(data, instrument_id, &mut self.levels) {
                    Ok(depth) => {
                        book.event(depth, &self.levels, &mut context);
                        Ok(())
                    }
                    Err(rejected) => {
                        book.undecodable(&mut context);
                        Err(rejected)
                    }
                }
            }
            _ => Err(Rejected::new("unknown_event", format_args!("stream `{stream}` was not asked for"))),
        }
    }

    /// Makes the REST requests that are due, as far as there are places.
    fn make_requests(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for (at, feed) in self.feeds.iter_mut().enumerate() {
            let instrument_id = &feed.instrument.instrument_id;
            if let Some(book) = feed.book.as_mut().filter(|book| book.snapshot.is_due(now))
                && self.requests.has_place()
            {
                let (path, weight) = self.market.snapshot(instrument_id, self.options.snapshot_levels);
                book.snapshot.opened();
                let id = self.requests.open((at, Purpose::Snapshot), now);
                out.fetch(Request { id, path, weight, limit: WEIGHT });
            }
            if let Some(trades) = feed.trades.as_mut().filter(|trades| trades.backfill.is_due(now))
                && let Some(missing) = trades.backfill.missing()
                && self.requests.has_place()
            {
                let (path, weight) = self.market.trades(self.trade_stream, instrument_id, missing);
                trades.backfill.opened();
                let id = self.requests.open((at, Purpose::Backfill), now);
                out.fetch(Request { id, path, weight, limit: WEIGHT });
            }
        }
    }

    fn answered(
        &mut self,
        (at, purpose): (usize, Purpose),
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Some(feed) = self.feeds.get_mut(at) else { return Ok(()) };
        let mut context = Context { instrument: &feed.instrument, now, out };
        match (purpose, &mut feed.book, &mut feed.trades) {
            (Purpose::Snapshot, Some(book), _) => match answer {
                Ok(body) => book.fetched(body, &mut self.levels, &mut context),
                Err(failure) => {
                    book.fetch_failed(failure.as_ref(), now);
                    Ok(())
                }
            },
            (Purpose::Backfill, _, Some(trades)) => match answer {
                Ok(body) => match messages::historical(self.trade_stream, body) {
                    Ok(prints) => {
                        trades.backfill.answered(&prints, End::Oldest, &mut context);
                        Ok(())
                    }
                    Err(rejected) => {
                        trades.backfill.failed(None, &rejected.to_string(), &mut context);
                        Err(rejected)
                    }
                },
                Err(failure) => {
                    let why = failure.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
                    trades.backfill.failed(failure.as_ref(), &why, &mut context);
                    Ok(())
                }
            },
            _ => Ok(()),
        }
    }

    fn publish_books(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in &mut self.feeds {
            if let Some(book) = &mut feed.book {
                book.tick(&mut Context { instrument: &feed.instrument, now, out });
            }
        }
    }

    /// Asks again for streams that stay silent; replaces the connection when that is all of a data type.
    fn check_streams(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let overdue: Vec<String> =
            self.feeds.iter_mut().flat_map(|feed| feed.overdue(self.trade_stream, now)).collect();
        if !overdue.is_empty() {
            self.subscriptions.ask(&overdue);
        }
        let Some(opened) = self.connection.opened else { return };
        let heard = |of: fn(&Feed) -> Option<bool>| {
            let mut streams = self.feeds.iter().filter_map(of).peekable();
            streams.peek().is_none() || streams.any(|is_heard| is_heard)
        };
        let is_mute = !heard(Feed::is_trade_heard) || !heard(Feed::is_book_heard);
        if !is_mute {
            self.mute_micros = MUTE_MICROS_MIN;
        } else if now.micros_since(opened) >= self.mute_micros {
            self.mute_micros = self.mute_micros.saturating_mul(2).min(MUTE_MICROS_MAX);
            self.give_up(Lost::Silence, out);
        }
    }

    fn check_silence(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let silence_max = i64::try_from(super::SILENCE_MAX.as_micros()).unwrap_or(i64::MAX);
        let silent = now.micros_since(self.connection.last_frame);
        if silent >= silence_max {
            self.give_up(Lost::Silence, out);
        } else if silent >= silence_max / 2 && !self.connection.is_probed {
            self.connection.is_probed = true;
            self.subscriptions.probe(now, out);
        }
    }

    fn give_up(&mut self, reason: Lost, out: &mut dyn Effects) {
        if !std::mem::replace(&mut self.connection.is_given_up, true) {
            out.reconnect(self.connection.link, reason);
        }
    }
}

impl Session for BinanceSession {
    fn opened(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        self.connection =
            Connection { link, opened: Some(now), last_frame: now, is_probed: false, is_given_up: false };
        self.subscriptions.opened(link);
        let mut streams = Vec::new();
        for feed in &mut self.feeds {
            feed.opened(now);
            streams.extend(feed.streams(self.trade_stream));
        }
        self.subscriptions.ask(&streams);
        self.subscriptions.tick(now, out);
    }

    fn frame(
        &mut self,
        _link: Link,
        frame: Frame<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        self.connection.last_frame = now;
        self.connection.is_probed = false;
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => {
                return Err(Rejected::new(
                    "unexpected",
                    format_args!("binary frame of {} bytes", bytes.len()),
                ));
            }
        };
        match frame::read(text)? {
            Incoming::Event { stream, data } => self.event(&stream, data, now, out),
            Incoming::Answer(answer) => self.subscriptions.answered(answer, out),
            Incoming::ServerShutdown => {
                self.give_up(Lost::Announced, out);
                Ok(())
            }
        }
    }

    fn fetched(
        &mut self,
        id: RequestId,
        answer: Result<&[u8], FetchFailed>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        match self.requests.close(id) {
            Some(open) => self.answered(open, answer.map_err(Some), now, out),
            None => {
                out.note(Note::Ignored { what: "late_answer" });
                Ok(())
            }
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.publish_books(now, out);
        for open in self.requests.expired(now) {
            // An answer that never came cannot be wrong.
            let _nothing_to_reject = self.answered(open, Err(None), now, out);
        }
        self.make_requests(now, out);
        if self.connection.opened.is_some() {
            self.check_streams(now, out);
            self.subscriptions.tick(now, out);
            self.check_silence(now, out);
        }
    }

    fn closed(&mut self, _link: Link, now: Timestamp, out: &mut dyn Effects) {
        self.connection.opened = None;
        self.subscriptions.clear();
        self.requests.forget(|(_, purpose)| *purpose == Purpose::Snapshot);
        for feed in &mut self.feeds {
            feed.closed(now, out);
        }
    }

    fn set_instruments(&mut self, _: Vec<Instrument>, _: Timestamp, _: &mut dyn Effects) {}

    fn set_pressure(&mut self, pressure: Pressure) {
        for book in self.feeds.iter_mut().filter_map(|feed| feed.book.as_mut()) {
            book.set_pressure(pressure);
        }
    }

    fn resync(&mut self, _: MarketType, _: &str, _: Timestamp, _: &mut dyn Effects) -> bool {
        false
    }

    fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in &mut self.feeds {
            let mut context = Context { instrument: &feed.instrument, now, out };
            if let Some(trades) = &mut feed.trades {
                trades.backfill.drain(&mut context);
            }
            if let Some(book) = &mut feed.book {
                book.drain(&mut context);
            }
        }
    }

    fn status(&self, now: Timestamp) -> Vec<StreamStatus> {
        let mut all = Vec::with_capacity(self.feeds.len() * 2);
        for feed in &self.feeds {
            if feed.trades.is_some() {
                all.push(feed.trade_liveness.status(&feed.instrument, DataType::Trade, now));
            }
            if let Some(book) = &feed.book {
                let mut status = feed.book_liveness.status(&feed.instrument, DataType::OrderBook, now);
                if status.state == StreamState::Live && !book.is_live() {
                    status.state = StreamState::Syncing;
                }
                all.push(status);
            }
        }
        all
    }
}
