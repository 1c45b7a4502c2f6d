//! One connection's protocol: subscribes, routes frames to the instruments, asks REST for them, notices silence.

use std::collections::BTreeMap;

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};
use serde::Deserialize;

use super::channel::{Channel, PLATFORM_STATE};
use super::feed::Feed;
use super::frame::{self, Incoming};
use super::socket::Socket;
use super::{CALL_CREDITS, CREDITS, rpc};
use crate::decode::{self, Levels};
use crate::liveness::Verdict;
use crate::registry::SessionConfig;
use crate::requests::Requests;
use crate::session::{
    Effects, FetchFailed, Frame, Link, Lost, Note, Pressure, Rejected, Request, RequestId, Session,
    StreamStatus,
};

/// A session for any of Deribit's instruments.
#[derive(Debug)]
pub(super) struct DeribitSession {
    config: SessionConfig,
    /// By instrument id.
    feeds: BTreeMap<String, Feed>,
    /// [`crate::LINKS_MAX`] at most; the first is open longest.
    sockets: BTreeMap<Link, Socket>,
    /// What each is about: an instrument's id.
    requests: Requests<String>,
    pressure: Pressure,
    levels: Levels,
}

impl DeribitSession {
    pub(super) fn new(mut config: SessionConfig) -> Self {
        let feed = |instrument: &Instrument| {
            (instrument.instrument_id.clone(), Feed::new(instrument.clone(), &config))
        };
        let feeds = config.instruments.iter().map(feed).collect();
        // An instrument that goes and comes again has brought more than its seed since.
        config.seeds.clear();
        Self {
            feeds,
            config,
            sockets: BTreeMap::new(),
            requests: Requests::default(),
            pressure: Pressure::None,
            levels: Levels::default(),
        }
    }

    fn event(
        &mut self,
        link: Link,
        channel: &str,
        data: &str,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        if channel == PLATFORM_STATE {
            return self.platform_state(link, data, out);
        }
        let (kind, instrument_id) = Channel::parse(channel)
            .ok_or_else(|| Rejected::new("unknown_event", format_args!("channel `{channel}`")))?;
        let feed = self
            .feeds
            .get_mut(instrument_id)
            .ok_or_else(|| Rejected::new("unknown_symbol", format_args!("channel `{channel}`")))?;
        feed.event(kind, link, data, &mut self.levels, now, out)
    }

    fn platform_state(&mut self, link: Link, data: &str, out: &mut dyn Effects) -> Result<(), Rejected> {
        let state: PlatformState = decode::from_str(data)?;
        match self.sockets.get_mut(&link).filter(|_| state.maintenance) {
            Some(socket) => socket.give_up(Lost::Announced, out),
            None => out.note(Note::Ignored { what: "platform_state" }),
        }
        Ok(())
    }

    /// Makes the REST requests that are due, as far as there are places.
    fn make_requests(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for (instrument_id, feed) in &mut self.feeds {
            if !self.requests.has_place() {
                return;
            }
            if let Some((data_type, path)) = feed.request(now, out) {
                let id = self.requests.open(instrument_id.clone(), now);
                out.fetch(Request { id, data_type, path, weight: CALL_CREDITS, limit: CREDITS });
            }
        }
    }

    fn answered(
        &mut self,
        instrument_id: &str,
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let answer = answer.map_err(|failure| failure.map(rpc::failure));
        match self.feeds.get_mut(instrument_id) {
            Some(feed) => feed.answered(answer, now, out),
            None => Ok(()),
        }
    }

    /// Subscribes again what stays silent; replaces a socket where that did not help.
    fn check_streams(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for (instrument_id, feed) in &mut self.feeds {
            let overdue: Vec<_> = feed.overdue(now).collect();
            for (data_type, verdict) in overdue {
                let Some(channel) = Channel::of(data_type).map(|channel| channel.name(instrument_id)) else {
                    continue;
                };
                match &mut feed.book {
                    Some(book) if data_type == DataType::OrderBook => book.sync.renew(now),
                    _ => {
                        for socket in self.sockets.values_mut() {
                            socket.subscriptions.subscribe([channel.clone()]);
                        }
                    }
                }
                // Every channel but trades brings something when it is subscribed: trades may just not happen. And a channel
                // the exchange does not know it knows on no other socket.
                let is_refused =
                    self.sockets.values().any(|socket| socket.subscriptions.is_refused(&channel));
                if verdict == Verdict::Replace
                    && data_type != DataType::Trade
                    && !is_refused
                    && let Some(mut socket) = self.sockets.first_entry()
                {
                    socket.get_mut().give_up(Lost::Stale(channel), out);
                }
            }
        }
    }

    /// Subscribes again the books that need a snapshot.
    fn renew_books(&mut self, now: Timestamp) {
        for (instrument_id, feed) in &mut self.feeds {
            let due = feed.book.iter_mut().flat_map(|book| book.sync.due(now));
            for link in due {
                if let Some(socket) = self.sockets.get_mut(&link) {
                    socket.subscriptions.renew(Channel::Book.name(instrument_id));
                }
            }
        }
    }
}

/// ```json
/// {"maintenance":true}
/// {"price_index":"alt_usdc","locked":false,"reasons":[]}
/// ```
#[derive(Deserialize)]
struct PlatformState {
    #[serde(default)]
    maintenance: bool,
}

impl Session for DeribitSession {
    fn opened(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        let mut socket = Socket::new(link, now, out);
        socket.subscriptions.subscribe([PLATFORM_STATE.to_owned()]);
        let is_first = self.sockets.is_empty();
        for feed in self.feeds.values_mut() {
            feed.opened(link, is_first, now);
            socket.subscriptions.subscribe(feed.channels());
        }
        socket.tick(now, out);
        self.sockets.insert(link, socket);
    }

    fn frame(
        &mut self,
        link: Link,
        frame: Frame<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Some(socket) = self.sockets.get_mut(&link) else {
            return Err(Rejected::new("unexpected", "frame of a socket that is not open"));
        };
        socket.received(now);
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
            Incoming::Event { channel, data } => self.event(link, &channel, data, now, out),
            Incoming::Answer(answer) => socket.subscriptions.answered(answer, now, out),
            Incoming::Heartbeat => {
                out.note(Note::Ignored { what: "heartbeat" });
                Ok(())
            }
            Incoming::TestRequest => {
                socket.subscriptions.test(out);
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
        let Some(instrument_id) = self.requests.close(id, out) else { return Ok(()) };
        self.answered(&instrument_id, answer.map_err(Some), now, out)
    }

    fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in self.feeds.values_mut() {
            feed.tick(now, out);
        }
        for instrument_id in self.requests.expired(now, out) {
            // An answer that never came cannot be wrong.
            let _nothing_to_reject = self.answered(&instrument_id, Err(None), now, out);
        }
        self.make_requests(now, out);
        self.check_streams(now, out);
        self.renew_books(now);
        for socket in self.sockets.values_mut() {
            socket.tick(now, out);
        }
    }

    fn closed(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects) {
        let heard = self.sockets.remove(&link).map_or(now, |socket| socket.last_frame());
        let is_last = self.sockets.is_empty();
        for feed in self.feeds.values_mut() {
            feed.closed((link, heard), is_last, now, out);
        }
    }

    fn set_instruments(&mut self, instruments: Vec<Instrument>, now: Timestamp, out: &mut dyn Effects) {
        let mut before = std::mem::take(&mut self.feeds);
        for instrument in instruments {
            let instrument_id = instrument.instrument_id.clone();
            let feed = match before.remove(&instrument_id) {
                // A changed contract takes effect with the next message.
                Some(mut feed) => {
                    feed.instrument = instrument;
                    feed
                }
                None => self.added(instrument, now),
            };
            self.feeds.insert(instrument_id, feed);
        }
        self.requests.forget(|instrument_id| before.contains_key(instrument_id), out);
        for mut feed in before.into_values() {
            feed.drain(now, out);
            for socket in self.sockets.values_mut() {
                socket.subscriptions.unsubscribe(feed.channels());
            }
        }
    }

    fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
        for feed in self.feeds.values_mut() {
            feed.set_pressure(pressure);
        }
    }

    fn resync(&mut self, market_type: MarketType, symbol: &str, now: Timestamp, _: &mut dyn Effects) -> bool {
        let is_it =
            |feed: &&mut Feed| feed.instrument.market_type == market_type && feed.instrument.symbol == symbol;
        let mut books = self.feeds.values_mut().filter(is_it).filter_map(|feed| feed.book.as_mut());
        books.next().map(|book| book.sync.renew(now)).is_some()
    }

    fn drain(&mut self, now: Timestamp, out: &mut dyn Effects) {
        for feed in self.feeds.values_mut() {
            feed.drain(now, out);
        }
    }

    fn is_subscribed(&self, link: Link) -> bool {
        self.sockets.get(&link).is_some_and(|socket| socket.subscriptions.is_complete())
    }

    fn status(&self, now: Timestamp) -> Vec<StreamStatus> {
        self.feeds.values().flat_map(|feed| feed.status(now)).collect()
    }
}

impl DeribitSession {
    /// A feed that joins while sockets are open.
    fn added(&mut self, instrument: Instrument, now: Timestamp) -> Feed {
        let mut feed = Feed::new(instrument, &self.config);
        feed.set_pressure(self.pressure);
        for (at, (link, socket)) in self.sockets.iter_mut().enumerate() {
            feed.opened(*link, at == 0, now);
            socket.subscriptions.subscribe(feed.channels());
        }
        feed
    }
}
