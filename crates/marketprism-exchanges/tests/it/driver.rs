//! Drives a session as the collector would and records its effects. The clock is a number.

use std::time::Duration;

use marketprism_core::message::{Gap, OrderBook, Trade};
use marketprism_core::{DataType, Instrument, MarketType, Message, Timestamp};
use marketprism_exchanges::registry::{self, BookMode, Seed, SessionConfig, SessionOptions};
use marketprism_exchanges::{
    Effects, FetchFailed, Frame, Link, Lost, Note, Pressure, Rejected, Request, RequestId, Session,
    StreamState,
};

/// What a session asked for, in order of type. Messages are kept as the wire carries them.
#[derive(Debug, Default)]
pub struct Recorded {
    pub messages: Vec<String>,
    pub sent: Vec<String>,
    /// The socket of each.
    pub sent_on: Vec<Link>,
    pub requests: Vec<Request>,
    pub reconnects: Vec<Lost>,
    /// The socket of each.
    pub reconnected: Vec<Link>,
    pub notes: Vec<String>,
}

impl Effects for Recorded {
    fn emit(&mut self, message: Message<'_>) {
        message.validate().unwrap_or_else(|error| panic!("{error} in {message:?}"));
        let mut payload = Vec::new();
        message.encode(&mut payload).unwrap();
        self.messages.push(String::from_utf8(payload).unwrap());
    }
    fn send(&mut self, link: Link, text: String) {
        self.sent.push(text);
        self.sent_on.push(link);
    }
    fn fetch(&mut self, request: Request) {
        self.requests.push(request);
    }
    fn reconnect(&mut self, link: Link, reason: Lost) {
        self.reconnects.push(reason);
        self.reconnected.push(link);
    }
    fn note(&mut self, note: Note<'_>) {
        self.notes.push(format!("{note:?}"));
    }
}

impl Recorded {
    pub fn of<'r, T: serde::Deserialize<'r>>(&'r self, data_type: DataType) -> Vec<T> {
        let prefix = format!("{{\"data_type\":\"{data_type}\"");
        let wanted = self.messages.iter().filter(|payload| payload.starts_with(&prefix));
        wanted.map(|payload| serde_json::from_str(payload).unwrap()).collect()
    }
    pub fn trades(&self) -> Vec<Trade<'_>> {
        self.of(DataType::Trade)
    }
    pub fn books(&self) -> Vec<OrderBook<'_>> {
        self.of(DataType::OrderBook)
    }
    pub fn gaps(&self) -> Vec<Gap<'_>> {
        self.of(DataType::Gap)
    }
    pub fn trade_ids(&self) -> Vec<u64> {
        self.trades().iter().map(|trade| trade.trade_id.parse().unwrap()).collect()
    }
    pub fn notes_of(&self, name: &str) -> usize {
        self.notes.iter().filter(|note| note.starts_with(name)).count()
    }
}

pub struct Driver {
    session: Box<dyn Session>,
    pub now: Timestamp,
    pub recorded: Recorded,
}

/// 2023-11-14 22:13:20 UTC.
pub const START: i64 = 1_700_000_000_000_000;

pub fn options() -> SessionOptions {
    SessionOptions {
        trade_stream: None,
        book_depth: 20,
        book_depth_max: 5_000,
        book_publish_interval: Duration::ZERO,
        snapshot_levels: 1000,
        book_mode: BookMode::Incremental,
        poll_interval: Duration::from_secs(30),
        ratio_period: "5m".to_owned(),
    }
}

pub fn pair(market_type: MarketType, base: &str, quote: &str) -> Instrument {
    Instrument::pair("binance", market_type, base, quote, &format!("{base}{quote}")).unwrap()
}

/// The socket of a session that has one.
pub const LINK: Link = Link(0);

pub const BOTH: &[DataType] = &[DataType::Trade, DataType::OrderBook];

impl Driver {
    /// A session of BTC-USDT and ETH-USDT, open.
    pub fn open(integration: &str, options: SessionOptions) -> Self {
        Self::open_seeded(integration, options, Vec::new())
    }

    pub fn open_seeded(integration: &str, options: SessionOptions, seeds: Vec<Seed>) -> Self {
        let market_type = registry::find(integration).unwrap().market_types[0];
        let instruments = vec![pair(market_type, "BTC", "USDT"), pair(market_type, "ETH", "USDT")];
        let mut driver =
            Self::new(integration, SessionConfig { instruments, data_types: BOTH.to_vec(), options, seeds });
        driver.opened();
        driver
    }

    pub fn new(integration: &str, config: SessionConfig) -> Self {
        let session = (registry::find(integration).unwrap().open)(config);
        Self { session, now: Timestamp::from_micros(START).unwrap(), recorded: Recorded::default() }
    }

    pub fn opened(&mut self) {
        self.opened_on(LINK);
    }
    pub fn opened_on(&mut self, link: Link) {
        self.session.opened(link, self.now, &mut self.recorded);
    }
    pub fn closed(&mut self) {
        self.closed_on(LINK);
    }
    pub fn closed_on(&mut self, link: Link) {
        self.session.closed(link, self.now, &mut self.recorded);
    }
    pub fn set_instruments(&mut self, instruments: Vec<Instrument>) {
        self.session.set_instruments(instruments, self.now, &mut self.recorded);
    }
    pub fn set_pressure(&mut self, pressure: Pressure) {
        self.session.set_pressure(pressure);
    }
    pub fn resync(&mut self, market_type: MarketType, symbol: &str) -> bool {
        self.session.resync(market_type, symbol, self.now, &mut self.recorded)
    }
    pub fn drain(&mut self) {
        self.session.drain(self.now, &mut self.recorded);
    }
    pub fn frame(&mut self, text: &str) -> Result<(), Rejected> {
        self.frame_on(LINK, text)
    }
    pub fn frame_on(&mut self, link: Link, text: &str) -> Result<(), Rejected> {
        self.session.frame(link, Frame::Text(text), self.now, &mut self.recorded)
    }
    pub fn binary(&mut self, bytes: &[u8]) -> Result<(), Rejected> {
        self.session.frame(LINK, Frame::Binary(bytes), self.now, &mut self.recorded)
    }
    pub fn fetched(&mut self, id: RequestId, answer: Result<&[u8], FetchFailed>) -> Result<(), Rejected> {
        self.session.fetched(id, answer, self.now, &mut self.recorded)
    }
    pub fn tick(&mut self) {
        self.session.tick(self.now, &mut self.recorded);
    }

    /// Lets time pass, with a tick every 100 ms.
    pub fn pass(&mut self, millis: i64) {
        for _ in 0..millis / 100 {
            self.now = self.now.saturating_add_micros(100_000);
            self.tick();
        }
    }

    /// The requests made so far, taken.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.recorded.requests)
    }

    /// The one request that is made within the next ticks.
    pub fn request(&mut self) -> Request {
        for _ in 0..15 {
            if self.recorded.requests.is_empty() {
                self.pass(100);
            }
        }
        let mut requests = self.take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The one request that was made meanwhile.
    pub fn request_taken(&mut self) -> RequestId {
        let requests = self.take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].id
    }

    pub fn state(&self, symbol: &str, data_type: DataType) -> StreamState {
        let status = self.session.status(self.now);
        status.iter().find(|status| status.symbol == symbol && status.data_type == data_type).unwrap().state
    }
}
