//! What is pushed on the public path, over all its sockets: routes pushes to instruments, asks REST for what they miss,
//! notices silence.

use std::collections::BTreeSet;

use marketprism_core::{Instrument, MarketType, Timestamp};

use super::channel::{Arg, Channel};
use super::contract_data::LiquidationRow;
use super::feed::{Feed, Stream};
use super::frame::{self, Event, Incoming, Push};
use super::rest::Purpose;
use super::socket::Socket;
use crate::context::Context;
use crate::decode::{self, Levels};
use crate::liveness::Verdict;
use crate::registry::{Integration, SessionConfig};
use crate::requests::Requests;
use crate::session::{
    Effects, FetchFailed, Frame, Link, Lost, Note, Pressure, Rejected, RequestId, Session, StreamStatus,
};

/// The notice that the exchange closes this connection in about a minute.
const CODE_UPGRADE: &str = "64008";

/// A session for spot or for contracts.
#[derive(Debug)]
pub(super) struct OkxSession {
    integration: &'static Integration,
    config: SessionConfig,
    pressure: Pressure,
    /// By instrument id.
    pub(super) feeds: Vec<Feed>,
    /// The oldest first.
    sockets: Vec<Socket>,
    pub(super) requests: Requests<Purpose>,
    pub(super) levels: Levels,
}

impl OkxSession {
    pub(super) fn new(integration: &'static Integration, mut config: SessionConfig) -> Self {
        let instruments = std::mem::take(&mut config.instruments);
        let mut feeds: Vec<Feed> =
            instruments.into_iter().map(|instrument| Feed::new(instrument, integration, &config)).collect();
        sort(&mut feeds);
        // An instrument that goes and comes again has brought more than its seed since.
        config.seeds.clear();
        Self {
            integration,
            config,
            pressure: Pressure::None,
            feeds,
            sockets: Vec::new(),
            requests: Requests::default(),
            levels: Levels::default(),
        }
    }

    /// Every stream wanted, once: a type's liquidations are one stream.
    fn args(&self) -> BTreeSet<Arg> {
        self.feeds.iter().flat_map(Feed::args).collect()
    }

    fn push(
        &mut self,
        link: Link,
        push: &Push<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Push { channel, name, .. } = push;
        let Some(known) = Channel::named(channel) else {
            return Err(Rejected::new("unknown_event", format_args!("channel `{channel}` of `{name}`")));
        };
        if known == Channel::LiquidationOrders {
            return self.liquidations(push, now, out);
        }
        match find(&mut self.feeds, name) {
            Some(feed) => feed.push((link, known), push, &mut self.levels, now, out),
            None => Err(Rejected::new("unknown_symbol", format_args!("channel `{channel}` of `{name}`"))),
        }
    }

    /// Liquidations of every instrument of a type; most are of instruments that are not wanted.
    fn liquidations(
        &mut self,
        push: &Push<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let mut is_of_somebody = true;
        let taken = decode::each(push.data, |row: LiquidationRow<'_>| {
            let Some(feed) = find(&mut self.feeds, &row.instrument_id) else {
                out.note(Note::Ignored { what: "liquidation_of_another" });
                return Ok(());
            };
            feed.liquidations(row.details.get(), now, out).inspect_err(|_| is_of_somebody = false)
        });
        taken.inspect_err(|_| {
            // Of whom it is cannot be read either.
            if is_of_somebody {
                let concerned = self
                    .feeds
                    .iter_mut()
                    .filter(|feed| feed.arg(Channel::LiquidationOrders).name == push.name);
                concerned.for_each(|feed| feed.unreadable_liquidations(now));
            }
        })
    }

    fn event(
        &mut self,
        link: Link,
        event: &Event<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Some(socket) = self.sockets.iter_mut().find(|socket| socket.link == link) else { return Ok(()) };
        match (event.event.as_ref(), &event.arg) {
            ("subscribe", Some((channel, name))) => {
                let acknowledged = socket.subscriptions.acknowledge(channel, name, out);
                if let Some((Channel::Books, name)) = acknowledged
                    && let Some(book) = find(&mut self.feeds, &name).and_then(|feed| feed.book.as_mut())
                {
                    book.acknowledged(link, now);
                }
                Ok(())
            }
            ("error", _) => Err(socket.subscriptions.refuse(event)),
            ("notice", _) if event.code == CODE_UPGRADE => {
                socket.give_up(Lost::Announced, out);
                Ok(())
            }
            ("unsubscribe", _) => {
                out.note(Note::Ignored { what: "answer" });
                Ok(())
            }
            ("notice" | "channel-conn-count", _) => {
                out.note(Note::Ignored { what: "notice" });
                Ok(())
            }
            (unknown, _) => Err(Rejected::new("unknown_event", format_args!("event `{unknown}`"))),
        }
    }

    /// Asks again for books that broke and for streams that stay silent; replaces a socket where that does not help.
    fn check_streams(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in &mut self.feeds {
            if let Some(book) = &mut feed.book {
                let broken: Vec<Link> = book.take_broken(now).collect();
                let arg = Arg { channel: Channel::Books, name: feed.instrument.instrument_id.clone() };
                for socket in self.sockets.iter_mut().filter(|socket| broken.contains(&socket.link)) {
                    socket.subscriptions.resubscribe(arg.clone());
                }
            }
            for at in 0..feed.streams.len() {
                let Some(channel) = feed.streams.get(at).map(|stream| stream.channel) else { continue };
                let arg = feed.arg(channel);
                let is_acknowledged =
                    self.sockets.iter().any(|socket| socket.subscriptions.is_acknowledged(&arg));
                // What is refused or not yet acknowledged is the subscriptions' business, and liquidations are rare.
                if !is_acknowledged || channel == Channel::LiquidationOrders {
                    continue;
                }
                let Some(stream) = feed.streams.get_mut(at) else { continue };
                // An acknowledged stream exists. Books begin with a snapshot; others that never came are only quiet.
                let may_be_quiet = channel != Channel::Books && !stream.liveness.is_heard();
                match stream.liveness.judge(now) {
                    Verdict::Replace if !may_be_quiet => {
                        if let Some(oldest) = self.sockets.first_mut() {
                            oldest.give_up(Lost::Stale(arg.to_string()), out);
                        }
                    }
                    Verdict::Replace | Verdict::Resubscribe => {
                        for socket in &mut self.sockets {
                            socket.subscriptions.resubscribe(arg.clone());
                        }
                    }
                    Verdict::Fine => {}
                }
            }
        }
    }
}

/// The feed of an instrument.
pub(super) fn find<'f>(feeds: &'f mut [Feed], instrument_id: &str) -> Option<&'f mut Feed> {
    let at = feeds.binary_search_by(|feed| feed.instrument.instrument_id.as_str().cmp(instrument_id)).ok()?;
    feeds.get_mut(at)
}

fn sort(feeds: &mut Vec<Feed>) {
    feeds.sort_by(|one, other| one.instrument.instrument_id.cmp(&other.instrument.instrument_id));
    feeds.dedup_by(|one, other| one.instrument.instrument_id == other.instrument.instrument_id);
}

impl Session for OkxSession {
    fn opened(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        let is_first = self.sockets.is_empty();
        for feed in &mut self.feeds {
            feed.opened(link, is_first, now);
        }
        let mut socket = Socket::new(link, now);
        socket.subscriptions.subscribe(&self.args().into_iter().collect::<Vec<_>>());
        socket.tick(now, out);
        self.sockets.push(socket);
    }

    fn frame(
        &mut self,
        link: Link,
        frame: Frame<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        if let Some(socket) = self.sockets.iter_mut().find(|socket| socket.link == link) {
            socket.received(now);
        }
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => {
                let detail = format_args!("binary frame of {} bytes", bytes.len());
                return Err(Rejected::new("unexpected", detail));
            }
        };
        match frame::read(text)? {
            Incoming::Push(push) => self.push(link, &push, now, out),
            Incoming::Event(event) => self.event(link, &event, now, out),
            Incoming::Pong => {
                out.note(Note::Ignored { what: "pong" });
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
        for Feed { instrument, trades, book, .. } in &mut self.feeds {
            let context = &mut Context { instrument, now, out };
            if let Some(trades) = trades {
                trades.tick(context);
            }
            if let Some(book) = book {
                book.tick(context);
            }
        }
        for purpose in self.requests.expired(now, out) {
            // An answer that never came cannot be wrong.
            let _nothing_to_reject = self.answered(&purpose, Err(None), now, out);
        }
        self.make_requests(now, out);
        for feed in &mut self.feeds {
            let has_it =
                |arg: &Arg| self.sockets.iter().any(|socket| socket.subscriptions.is_acknowledged(arg));
            feed.declare(has_it, now, out);
        }
        self.check_streams(now, out);
        for socket in &mut self.sockets {
            socket.tick(now, out);
        }
    }

    fn closed(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        let heard = self.sockets.iter().find(|socket| socket.link == link).map_or(now, Socket::last_frame);
        self.sockets.retain(|socket| socket.link != link);
        let is_last = self.sockets.is_empty();
        for feed in &mut self.feeds {
            feed.closed((link, heard), is_last, now, out);
        }
    }

    fn set_instruments(&mut self, instruments: Vec<Instrument>, now: Timestamp, out: &mut dyn Effects) {
        let before = self.args();
        let mut gone = std::mem::take(&mut self.feeds);
        for instrument in instruments {
            let at = gone.iter().position(|feed| feed.instrument.instrument_id == instrument.instrument_id);
            let feed = match at.map(|at| gone.swap_remove(at)) {
                Some(mut feed) => {
                    feed.instrument = instrument;
                    feed
                }
                None => self.begin(instrument, now),
            };
            self.feeds.push(feed);
        }
        sort(&mut self.feeds);
        gone.iter_mut().for_each(|feed| feed.drain(now, out));
        let is_gone = |id: &str| gone.iter().any(|feed| feed.instrument.instrument_id == id);
        self.requests.forget(|(instrument_id, _)| is_gone(instrument_id), out);
        let after = self.args();
        let added: Vec<Arg> = after.difference(&before).cloned().collect();
        let removed: Vec<Arg> = before.difference(&after).cloned().collect();
        for socket in &mut self.sockets {
            socket.subscriptions.unsubscribe(&removed);
            socket.subscriptions.subscribe(&added);
        }
    }

    fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
        for book in self.feeds.iter_mut().filter_map(|feed| feed.book.as_mut()) {
            book.set_pressure(pressure);
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
        let Some(Feed { instrument, book: Some(book), .. }) = self.feeds.iter_mut().find(is_it) else {
            return false;
        };
        book.resync(&mut Context { instrument, now, out });
        true
    }

    fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.feeds.iter_mut().for_each(|feed| feed.drain(now, out));
    }

    fn is_subscribed(&self, link: Link) -> bool {
        self.sockets.iter().any(|socket| socket.link == link && socket.subscriptions.is_complete())
    }

    fn status(&self, now: Timestamp) -> Vec<StreamStatus> {
        let status = |feed: &Feed| {
            let of_stream = |stream: &Stream| {
                let arg = feed.arg(stream.channel);
                let has_it = |socket: &Socket| socket.subscriptions.is_acknowledged(&arg);
                feed.status(stream, self.sockets.iter().any(has_it), now)
            };
            feed.streams.iter().map(of_stream).collect::<Vec<_>>()
        };
        self.feeds.iter().flat_map(status).collect()
    }
}

impl OkxSession {
    /// An instrument that comes while sockets are open.
    fn begin(&self, instrument: Instrument, now: Timestamp) -> Feed {
        let mut feed = Feed::new(instrument, self.integration, &self.config);
        if let Some(book) = &mut feed.book {
            book.set_pressure(self.pressure);
        }
        for (at, socket) in self.sockets.iter().enumerate() {
            feed.opened(socket.link, at == 0, now);
        }
        feed
    }
}
