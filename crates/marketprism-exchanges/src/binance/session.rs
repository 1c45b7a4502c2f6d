//! The protocol of the sockets on one path: routes frames to the instruments, asks REST for them, keeps the sockets
//! subscribed. What is only polled has no socket and another session ([`crate::polled`]).

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};

use super::feed::Feed;
use super::frame::{self, Incoming};
use super::mark_price;
use super::market::Market;
use super::rest::{self, Wanted};
use super::socket::Socket;
use crate::context::{Context, SECOND};
use crate::decode::Levels;
use crate::liveness::Verdict;
use crate::polled::Call;
use crate::registry::SessionConfig;
use crate::requests::{Ask, Requests};
use crate::session::{
    Effects, FetchFailed, Frame, Link, Lost, Note, Pressure, Rejected, Request, RequestId, Session,
    StreamStatus,
};

/// How often the hours between fundings are asked for; the exchange announces a change days before.
const INTERVALS_MICROS: i64 = 3600 * SECOND;

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// Something of this instrument id.
    Feed(String, Wanted),
    /// The hours between fundings.
    Intervals,
}

impl Purpose {
    const fn data_type(&self) -> DataType {
        match self {
            Self::Feed(_, Wanted::Snapshot) => DataType::OrderBook,
            Self::Feed(_, Wanted::Trades) => DataType::Trade,
            Self::Intervals => DataType::FundingRate,
        }
    }
}

/// A session for spot or USDⓈ-M, see [`Market`].
#[derive(Debug)]
pub(super) struct BinanceSession {
    market: &'static Market,
    config: SessionConfig,
    /// Sorted by the name of their streams.
    feeds: Vec<Feed>,
    /// The open sockets, the oldest first: at most [`LINKS_MAX`](crate::LINKS_MAX).
    sockets: Vec<Socket>,
    requests: Requests<Purpose>,
    intervals: Ask,
    pressure: Pressure,
    levels: Levels,
}

impl BinanceSession {
    pub(super) fn new(market: &'static Market, mut config: SessionConfig) -> Self {
        let instruments = std::mem::take(&mut config.instruments);
        let mut feeds: Vec<Feed> =
            instruments.into_iter().map(|instrument| Feed::new(instrument, market, &config)).collect();
        feeds.sort_by(|one, other| one.name.cmp(&other.name));
        // An instrument that goes and comes again has brought more than its seed since.
        config.seeds.clear();
        Self {
            market,
            config,
            feeds,
            sockets: Vec::new(),
            requests: Requests::default(),
            intervals: Ask::default(),
            pressure: Pressure::None,
            levels: Levels::default(),
        }
    }

    fn socket(&mut self, link: Link) -> Option<&mut Socket> {
        self.sockets.iter_mut().find(|socket| socket.link == link)
    }

    /// The feed whose streams have this name.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.feeds.binary_search_by(|feed| feed.name.as_str().cmp(name))
    }

    fn event(
        &mut self,
        stream: &str,
        data: &str,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let (name, kind) = stream.split_once('@').unwrap_or((stream, ""));
        if let Some(feed) = self.place(name).ok().and_then(|at| self.feeds.get_mut(at)) {
            return feed.event(kind, data, &mut self.levels, now, out);
        }
        if self.sockets.iter().any(|socket| socket.subscriptions.is_left(stream)) {
            out.note(Note::Ignored { what: "unsubscribed" });
            return Ok(());
        }
        Err(Rejected::new("unknown_symbol", format_args!("stream `{stream}`")))
    }

    /// Tells the feeds how many sockets are open.
    fn set_links(&mut self, heard: Timestamp, now: Timestamp, out: &mut dyn Effects) {
        for feed in &mut self.feeds {
            feed.set_links(self.sockets.len(), heard, now, out);
        }
    }

    /// Makes the REST requests that are due, as far as there are places.
    fn make_requests(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let requests = &mut self.requests;
        let mut ask = |requests: &mut Requests<Purpose>, purpose: Purpose, Call { path, weight, limit }| {
            let data_type = purpose.data_type();
            let id = requests.open(purpose, now);
            out.fetch(Request { id, data_type, path, weight, limit });
        };
        if self.intervals.is_due(now) && requests.has_place() {
            self.intervals.opened();
            ask(requests, Purpose::Intervals, mark_price::intervals_call());
        }
        for feed in &mut self.feeds {
            while requests.has_place()
                && let Some((wanted, call)) = rest::due(feed, self.market, &self.config.options, now)
            {
                ask(requests, Purpose::Feed(feed.instrument.instrument_id.clone(), wanted), call);
            }
        }
    }

    fn answered(
        &mut self,
        purpose: &Purpose,
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        match purpose {
            Purpose::Intervals => self.intervals_came(answer, now),
            Purpose::Feed(instrument_id, wanted) => {
                let feed = self.place(&instrument_id.to_lowercase()).ok();
                match feed.and_then(|at| self.feeds.get_mut(at)) {
                    Some(feed) => rest::answered(feed, *wanted, answer, &mut self.levels, now, out),
                    None => Ok(()),
                }
            }
        }
    }

    fn intervals_came(
        &mut self,
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
    ) -> Result<(), Rejected> {
        let read = match answer {
            Ok(body) => mark_price::intervals(body),
            Err(failure) => {
                self.intervals.failed(now, failure.as_ref());
                return Ok(());
            }
        };
        let listed = read.inspect_err(|_| {
            self.intervals.failed(now, None);
        })?;
        for feed in &mut self.feeds {
            if let Some(funding) = &mut feed.funding {
                funding.state.set_interval(listed.get(&feed.instrument.instrument_id).copied());
            }
        }
        self.intervals.succeeded();
        self.intervals.want(now.saturating_add_micros(INTERVALS_MICROS));
        Ok(())
    }

    /// The hours between fundings are wanted of some instrument.
    fn want_intervals(&mut self, now: Timestamp) {
        if self.feeds.iter().any(|feed| feed.funding.is_some()) {
            self.intervals.want_more(now);
        }
    }

    /// Asks again for streams that stay silent, on every socket; replaces one, the oldest, where that did not help.
    fn check_streams(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for (name, verdict) in self.feeds.iter_mut().flat_map(|feed| feed.overdue(now)) {
            match verdict {
                Verdict::Fine => {}
                Verdict::Resubscribe => {
                    for socket in &mut self.sockets {
                        socket.subscriptions.ask(name.clone());
                    }
                }
                Verdict::Replace => {
                    let is_one_replaced = self.sockets.iter().any(Socket::is_given_up);
                    if let Some(oldest) = self.sockets.first_mut().filter(|_| !is_one_replaced) {
                        oldest.give_up(Lost::Stale(name), out);
                    }
                }
            }
        }
    }
}

impl Session for BinanceSession {
    fn opened(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        let mut socket = Socket::new(link, now);
        for name in self.feeds.iter().flat_map(Feed::stream_names) {
            socket.subscriptions.ask(name);
        }
        socket.tick(now, out);
        self.sockets.push(socket);
        self.set_links(now, now, out);
        if self.sockets.len() == 1 {
            self.want_intervals(now);
        }
    }

    fn frame(
        &mut self,
        link: Link,
        frame: Frame<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Some(socket) = self.socket(link) else {
            return Err(Rejected::new("unexpected", "a frame of a socket that is not open"));
        };
        socket.received(now);
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => {
                let detail = format_args!("binary frame of {} bytes", bytes.len());
                return Err(Rejected::new("unexpected", detail));
            }
        };
        match frame::read(text)? {
            Incoming::Event { stream, data } => self.event(&stream, data, now, out),
            Incoming::Answer(answer) => socket.subscriptions.answered(answer, out),
            Incoming::ServerShutdown => {
                socket.give_up(Lost::Announced, out);
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
        let Some(purpose) = self.requests.close(id, out) else { return Ok(()) };
        self.answered(&purpose, answer.map_err(Some), now, out)
    }

    fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in &mut self.feeds {
            feed.tick(now, out);
        }
        for purpose in self.requests.expired(now, out) {
            // An answer that never came cannot be wrong.
            let _nothing_to_reject = self.answered(&purpose, Err(None), now, out);
        }
        self.make_requests(now, out);
        for feed in &mut self.feeds {
            let has_it =
                |name: &str| self.sockets.iter().any(|socket| socket.subscriptions.is_subscribed(name));
            feed.declare(has_it, now, out);
        }
        self.check_streams(now, out);
        for socket in &mut self.sockets {
            socket.tick(now, out);
        }
    }

    fn closed(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        let heard = self.socket(link).map_or(now, |socket| socket.last_frame());
        self.sockets.retain(|socket| socket.link != link);
        self.set_links(heard, now, out);
        if self.sockets.is_empty() {
            self.requests.forget(|purpose| matches!(purpose, Purpose::Feed(_, Wanted::Snapshot)), out);
        }
    }

    fn set_instruments(&mut self, instruments: Vec<Instrument>, now: Timestamp, out: &mut dyn Effects) {
        let mut before = std::mem::take(&mut self.feeds);
        let links = self.sockets.len();
        for instrument in instruments {
            let known =
                before.iter().position(|feed| feed.instrument.instrument_id == instrument.instrument_id);
            let feed = match known {
                Some(at) => {
                    let mut feed = before.swap_remove(at);
                    feed.instrument = instrument;
                    feed
                }
                None => {
                    let mut feed = Feed::new(instrument, self.market, &self.config);
                    feed.set_pressure(self.pressure);
                    feed.set_links(links, now, now, out);
                    for socket in &mut self.sockets {
                        feed.stream_names().for_each(|name| socket.subscriptions.ask(name));
                    }
                    feed
                }
            };
            self.feeds.push(feed);
        }
        self.feeds.sort_by(|one, other| one.name.cmp(&other.name));
        for mut gone in before {
            gone.drain(now, out);
            for name in gone.stream_names() {
                self.sockets.iter_mut().for_each(|socket| socket.subscriptions.leave(&name));
            }
        }
        self.want_intervals(now);
    }

    fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
        for feed in &mut self.feeds {
            feed.set_pressure(pressure);
        }
    }

    fn resync(
        &mut self,
        market_type: MarketType,
        symbol: &str,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> bool {
        let is_it =
            |feed: &&mut Feed| feed.instrument.market_type == market_type && feed.instrument.symbol == symbol;
        let Some(feed) = self.feeds.iter_mut().find(is_it) else { return false };
        let Some(book) = &mut feed.book else { return false };
        book.state.local.rebuild(&mut Context { instrument: &feed.instrument, now, out });
        true
    }

    fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in &mut self.feeds {
            feed.drain(now, out);
        }
    }

    fn is_subscribed(&self, link: Link) -> bool {
        self.sockets.iter().any(|socket| socket.link == link && socket.subscriptions.is_complete())
    }

    fn status(&self, now: Timestamp) -> Vec<StreamStatus> {
        self.feeds.iter().flat_map(|feed| feed.status(now)).collect()
    }
}
