//! The session of what is only polled by REST: ratios, open interest, books in `snapshot` mode. It never has a socket, so it
//! lives when none can be opened. What is asked for and how answers are read is the exchange's ([`Polled`]); when, and
//! what of an answer is news, is here.

use std::collections::BTreeMap;
use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};

use crate::context::Context;
use crate::decode::Levels;
use crate::liveness::Liveness;
use crate::poll::Poll;
use crate::publication::SLOW_TURNS;
use crate::registry::{Seed, SessionConfig, SessionOptions};
use crate::requests::Requests;
use crate::session::{
    Effects, FetchFailed, Frame, Link, Pressure, Rejected, Request, RequestId, Session, StreamState,
    StreamStatus,
};
use crate::snapshot_book::{self, Snapshot};

/// Books are polled no more often than this, however often they are to be published: each costs weight.
const BOOK_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How one data type is polled: each exchange has a list of them.
#[derive(Debug)]
pub(crate) struct Polled {
    pub(crate) data_type: DataType,
    /// What to ask for.
    pub(crate) call: fn(&Instrument, &SessionOptions) -> Call,
    /// Reads an answer and publishes what is news in it.
    pub(crate) read: fn(&[u8], &mut Reading<'_>, &mut Context<'_>) -> Result<(), Rejected>,
}

/// A request without its id.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) weight: u32,
    pub(crate) limit: &'static str,
}

/// What reading an answer needs besides its body.
#[derive(Debug)]
pub(crate) struct Reading<'r> {
    pub(crate) options: &'r SessionOptions,
    /// A buffer for a book.
    pub(crate) levels: &'r mut Levels,
    poll: &'r mut Poll,
    liveness: &'r mut Liveness,
    published_book: &'r mut Option<u64>,
}

impl Reading<'_> {
    /// The values that were not published yet, by time.
    pub(crate) fn news<T>(
        &mut self,
        values: Vec<T>,
        time: impl Fn(&T) -> Timestamp,
        now: Timestamp,
    ) -> Vec<T> {
        self.liveness.received(now, values.iter().map(&time).max());
        self.poll.news(values, time)
    }

    /// Publishes the book in `levels`.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn book(
        &mut self,
        last_update_id: u64,
        event: Option<Timestamp>,
        context: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        self.liveness.received(context.now, event);
        let snapshot = Snapshot { levels: self.levels, last_update_id, event };
        snapshot_book::publish(snapshot, self.options.book_depth, self.published_book, context)
    }
}

/// One data type of one instrument.
#[derive(Debug)]
struct Item {
    polled: &'static Polled,
    poll: Poll,
    liveness: Liveness,
    published_book: Option<u64>,
}

/// By instrument id.
type Feeds = BTreeMap<String, (Instrument, Vec<Item>)>;

/// A session without a socket.
#[derive(Debug)]
pub(crate) struct PolledSession {
    polled: &'static [Polled],
    offers: fn(&Instrument, DataType) -> bool,
    config: SessionConfig,
    /// By instrument id.
    feeds: Feeds,
    /// Where the next requests begin, so that none is left out for ever when places are few.
    turn: String,
    requests: Requests<(String, DataType)>,
    pressure: Pressure,
    levels: Levels,
}

impl PolledSession {
    /// Polls those of the wanted data types that are in the exchange's list, of the instruments that have them
    /// ([`Integration::offers`](crate::registry::Integration::offers)).
    pub(crate) fn new(
        polled: &'static [Polled],
        offers: fn(&Instrument, DataType) -> bool,
        mut config: SessionConfig,
    ) -> Self {
        let instruments = std::mem::take(&mut config.instruments);
        let mut session = Self {
            polled,
            offers,
            config,
            feeds: BTreeMap::new(),
            turn: String::new(),
            requests: Requests::default(),
            pressure: Pressure::None,
            levels: Levels::default(),
        };
        // Nothing was there before.
        drop(session.take(instruments));
        // An instrument that goes and comes again has brought more than its seed since.
        session.config.seeds.clear();
        session
    }

    /// Keeps what is known of instruments that stay; those that do not are given back.
    fn take(&mut self, instruments: Vec<Instrument>) -> Feeds {
        let mut before = std::mem::take(&mut self.feeds);
        for instrument in instruments {
            let items = match before.remove(&instrument.instrument_id) {
                Some((_, items)) => items,
                None => self.items(&instrument),
            };
            self.feeds.insert(instrument.instrument_id.clone(), (instrument, items));
        }
        before
    }

    fn items(&self, instrument: &Instrument) -> Vec<Item> {
        let SessionConfig { data_types, options, seeds, .. } = &self.config;
        let is_wanted = |polled: &&Polled| {
            data_types.contains(&polled.data_type) && (self.offers)(instrument, polled.data_type)
        };
        let item = |polled: &'static Polled| {
            let is_book = polled.data_type == DataType::OrderBook;
            let book_interval = options.book_publish_interval.max(BOOK_INTERVAL_MIN);
            let interval = if is_book { book_interval } else { options.poll_interval };
            let period = if is_ratio(polled.data_type) { options.ratio_period_micros() } else { 0 };
            let instrument_id = &instrument.instrument_id;
            let seed = Seed::of(seeds, instrument_id, polled.data_type);
            Item {
                polled,
                poll: Poll::new(interval, instrument_id, seed.map(|seed| seed.event)).of_period(period),
                liveness: Liveness::new(polled.data_type),
                published_book: seed.and_then(|seed| seed.sequence),
            }
        };
        self.polled.iter().filter(is_wanted).map(item).collect()
    }

    fn answered(
        &mut self,
        (instrument_id, data_type): &(String, DataType),
        answer: Result<&[u8], Option<FetchFailed>>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let Some((instrument, items)) = self.feeds.get_mut(instrument_id) else { return Ok(()) };
        let Some(item) = items.iter_mut().find(|item| item.polled.data_type == *data_type) else {
            return Ok(());
        };
        let body = match answer {
            Ok(body) => body,
            Err(failure) => {
                item.poll.failed(now, failure.as_ref());
                return Ok(());
            }
        };
        let mut reading = Reading {
            options: &self.config.options,
            levels: &mut self.levels,
            poll: &mut item.poll,
            liveness: &mut item.liveness,
            published_book: &mut item.published_book,
        };
        let read = (item.polled.read)(body, &mut reading, &mut Context { instrument, now, out });
        match &read {
            Ok(()) => item.poll.answered(),
            Err(_) => item.poll.failed(now, None),
        }
        read
    }
}

/// Whether the exchange makes it once a period.
const fn is_ratio(data_type: DataType) -> bool {
    matches!(data_type, DataType::LsrTopPosition | DataType::LsrAllAccount)
}

/// How many intervals a turn takes; `None` while it is not asked for at all.
fn intervals(data_type: DataType, pressure: Pressure) -> Option<i64> {
    match (data_type, pressure) {
        (DataType::OrderBook, Pressure::HoldBooks) => None,
        (DataType::OrderBook, Pressure::SlowBooks | Pressure::PausePolls) => Some(SLOW_TURNS),
        (_, Pressure::PausePolls | Pressure::HoldBooks) if is_ratio(data_type) => None,
        _ => Some(1),
    }
}

impl Session for PolledSession {
    fn opened(&mut self, _: Link, _: Timestamp, _: &mut dyn Effects) {}

    fn frame(&mut self, _: Link, _: Frame<'_>, _: Timestamp, _: &mut dyn Effects) -> Result<(), Rejected> {
        Err(Rejected::new("unexpected", "a frame for a session without a socket"))
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
        for purpose in self.requests.expired(now, out) {
            // An answer that never came cannot be wrong.
            let _nothing_to_reject = self.answered(&purpose, Err(None), now, out);
        }
        let (before, from) = self.feeds.iter_mut().partition::<Vec<_>, _>(|(id, _)| **id < self.turn);
        for (id, (instrument, items)) in from.into_iter().chain(before) {
            for item in items {
                if item.liveness.state(now) == StreamState::Disconnected {
                    item.liveness.opened(now);
                }
                if !self.requests.has_place() {
                    self.turn.clone_from(id);
                    return;
                }
                let data_type = item.polled.data_type;
                if let Some(intervals) = intervals(data_type, self.pressure)
                    && item.poll.is_due(now, intervals)
                {
                    let Call { path, weight, limit } = (item.polled.call)(instrument, &self.config.options);
                    item.poll.opened();
                    let id = self.requests.open((instrument.instrument_id.clone(), data_type), now);
                    out.fetch(Request { id, data_type, path, weight, limit });
                }
            }
        }
    }

    fn closed(&mut self, _: Link, _: Timestamp, _: &mut dyn Effects) {}

    fn set_instruments(&mut self, instruments: Vec<Instrument>, _: Timestamp, out: &mut dyn Effects) {
        let gone = self.take(instruments);
        self.requests.forget(|(instrument_id, _)| gone.contains_key(instrument_id), out);
    }

    fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// There is no local book.
    fn resync(&mut self, _: MarketType, _: &str, _: Timestamp, _: &mut dyn Effects) -> bool {
        false
    }

    fn drain(&mut self, _: Timestamp, _: &mut dyn Effects) {}

    fn is_subscribed(&self, _: Link) -> bool {
        true
    }

    fn status(&self, now: Timestamp) -> Vec<StreamStatus> {
        let items = self
            .feeds
            .values()
            .flat_map(|(instrument, items)| items.iter().map(move |item| (instrument, item)));
        items.map(|(instrument, item)| item.liveness.status(instrument, now)).collect()
    }
}
