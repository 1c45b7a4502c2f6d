//! Drives a session through a script, and checks what must hold whatever arrives.

use std::time::Duration;

use marketprism_core::{
    Contract, ContractUnit, DataType, Decimal, Instrument, MarketType, Message, Timestamp,
};
use marketprism_exchanges::registry::{self, BookMode, Integration, SessionConfig, SessionOptions};
use marketprism_exchanges::{
    Effects, FetchFailed, Frame, LINKS_MAX, Link, Lost, Note, Pressure, Request, Session,
};

use crate::script::{Step, steps};

/// 2023-11-14 22:13:20 UTC.
const START: i64 = 1_700_000_000_000_000;
const TICK_MICROS: i64 = 100_000;
/// Requests of one session open at once: books, holes and polls together; it promises eight.
const REQUESTS_MAX: usize = 16;
/// What a session may send on account of one step: an hour of ticks of a socket's pings and subscriptions.
const SENDS_MAX: usize = 20_000;
/// The statuses that failed answers have.
const STATUSES: [u16; 6] = [400, 401, 403, 418, 429, 500];

/// Drives a session of `integration` through the script that `bytes` are.
///
/// # Panics
/// When an invariant is broken.
pub fn session(integration: &str, bytes: &[u8]) {
    let Some(integration) = registry::find(integration) else { panic!("no integration `{integration}`") };
    // The first byte says how the session is configured.
    let (first, script) = bytes.split_first().map_or((0, bytes), |(first, script)| (*first, script));
    for is_polled in [false, true] {
        if let Some(mut driven) = Driven::open(integration, first, is_polled) {
            steps(script).for_each(|step| driven.step(step));
            driven.end();
        }
    }
}

/// A session and its world.
struct Driven {
    session: Box<dyn Session>,
    instruments: Vec<Instrument>,
    now: Timestamp,
    links: Vec<Link>,
    next_link: u64,
    world: World,
}

#[derive(Default)]
struct World {
    requests: Vec<Request>,
    sends: usize,
    messages: u64,
    payload: Vec<u8>,
}

impl Effects for World {
    fn emit(&mut self, message: Message<'_>) {
        if let Err(invalid) = message.validate() {
            panic!("an invalid message: {invalid} in {message:?}");
        }
        let subject = message.subject().expect("a subject");
        assert!(!subject.as_str().is_empty());
        self.payload.clear();
        message.encode(&mut self.payload).expect("a message that encodes");
        self.messages += 1;
    }
    fn send(&mut self, _: Link, _: String) {
        self.sends += 1;
    }
    fn fetch(&mut self, request: Request) {
        assert!(request.path.starts_with('/'), "{request:?}");
        self.requests.push(request);
    }
    fn reconnect(&mut self, _: Link, _: Lost) {}
    fn note(&mut self, _: Note<'_>) {}
}

impl Driven {
    fn open(integration: &'static Integration, first: u8, is_polled: bool) -> Option<Self> {
        let options = SessionOptions {
            trade_stream: (first & 1 == 1 && integration.exchange == "binance")
                .then(|| "aggTrade".to_owned()),
            book_depth: 5,
            book_depth_max: 50,
            book_publish_interval: if first & 2 == 2 { Duration::ZERO } else { Duration::from_secs(1) },
            snapshot_levels: 100,
            book_mode: if first & 4 == 4 { BookMode::Snapshot } else { BookMode::Incremental },
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        };
        let paths = (integration.paths)(integration.data_types, &options);
        let paths = paths.into_iter().filter(|path| path.path.is_none() == is_polled);
        let data_types: Vec<DataType> = paths.flat_map(|path| path.data_types).collect();
        if data_types.is_empty() {
            return None;
        }
        let instruments = instruments(integration.id);
        let config =
            SessionConfig { instruments: instruments.clone(), data_types, options, seeds: Vec::new() };
        Some(Self {
            session: (integration.open)(config),
            instruments,
            now: Timestamp::from_micros(START)?,
            links: Vec::new(),
            next_link: 0,
            world: World::default(),
        })
    }

    fn step(&mut self, step: Step<'_>) {
        self.world.sends = 0;
        match step {
            Step::Open if self.links.len() < LINKS_MAX => {
                let link = Link(self.next_link);
                self.next_link += 1;
                self.links.push(link);
                self.session.opened(link, self.now, &mut self.world);
            }
            Step::Open => {}
            Step::Close(at) => {
                if let Some(at) = at.checked_rem(self.links.len()) {
                    let link = self.links.remove(at);
                    self.session.closed(link, self.now, &mut self.world);
                }
            }
            Step::Pass(tenths) => {
                for _ in 0..tenths {
                    self.now = self.now.saturating_add_micros(TICK_MICROS);
                    self.session.tick(self.now, &mut self.world);
                }
            }
            Step::Back(tenths) => self.now = self.now.saturating_add_micros(-tenths * TICK_MICROS),
            Step::Answer(at, text) => self.answer(at, Ok(text.as_bytes())),
            Step::Fail(at) => {
                let status = STATUSES.get(at % STATUSES.len()).copied().unwrap_or(500);
                let failed = FetchFailed::Status {
                    status,
                    body: "{\"code\":-2014}".to_owned(),
                    retry_after_seconds: (status == 429).then_some(3),
                };
                self.answer(at, Err(failed));
            }
            Step::Pressure(number) => {
                use Pressure::{HoldBooks, None, PausePolls, SlowBooks};
                let levels = [None, SlowBooks, PausePolls, HoldBooks];
                self.session.set_pressure(levels.get(number % levels.len()).copied().unwrap_or_default());
            }
            Step::Resync(number) => {
                let at = number % self.instruments.len().max(1);
                if let Some(Instrument { market_type, symbol, .. }) = self.instruments.get(at) {
                    self.session.resync(*market_type, symbol, self.now, &mut self.world);
                }
            }
            Step::Instruments(bits) => {
                let all = self.instruments.iter().enumerate();
                let wanted = all.filter(|(at, _)| bits >> at & 1 == 1).map(|(_, one)| one.clone()).collect();
                self.session.set_instruments(wanted, self.now, &mut self.world);
            }
            Step::Binary(bytes) => self.frame(None, Frame::Binary(bytes)),
            Step::Frame(at, text) => self.frame(at, Frame::Text(text)),
        }
        self.check();
    }

    fn frame(&mut self, at: Option<usize>, frame: Frame<'_>) {
        let newest = self.links.len().saturating_sub(1);
        let at = at.map_or(newest, |at| at % self.links.len().max(1));
        if let Some(link) = self.links.get(at).copied() {
            // A frame that is refused is refused; whether it should be is for other tests.
            let _refused = self.session.frame(link, frame, self.now, &mut self.world);
        }
    }

    fn answer(&mut self, at: usize, answer: Result<&[u8], FetchFailed>) {
        if let Some(at) = at.checked_rem(self.world.requests.len()) {
            let request = self.world.requests.remove(at);
            let _refused = self.session.fetched(request.id, answer, self.now, &mut self.world);
        }
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let streams = self.session.status(self.now).len();
        let most = self.instruments.len() * DataType::ALL.len();
        assert!(streams <= most, "{streams} streams of {most}");
        assert!(self.world.sends <= SENDS_MAX, "{} frames on account of one step", self.world.sends);
        // What is not answered the session gives up by itself; then nobody answers it any more.
        let old = self.world.requests.len().saturating_sub(REQUESTS_MAX);
        self.world.requests.drain(..old);
    }

    fn end(mut self) {
        for link in std::mem::take(&mut self.links) {
            self.session.closed(link, self.now, &mut self.world);
        }
        self.session.drain(self.now, &mut self.world);
    }
}

/// What an integration's session is about: of everything it takes, one or two.
fn instruments(integration: &str) -> Vec<Instrument> {
    use ContractUnit::{Base, Quote};
    use MarketType::{Futures, Options, Perpetual, Spot};
    type Row = (MarketType, &'static str, &'static str, Option<(&'static str, ContractUnit)>);
    let rows: &[Row] = match integration {
        "binance_spot" => &[(Spot, "BTC-USDT", "BTCUSDT", None), (Spot, "ETH-USDT", "ETHUSDT", None)],
        "binance_usdm" => &[
            (Perpetual, "BTC-USDT", "BTCUSDT", None),
            (Futures, "BTC-USDT-20261225", "BTCUSDT_261225", None),
        ],
        "okx_spot" => &[(Spot, "BTC-USDT", "BTC-USDT", None), (Spot, "ETH-USDT", "ETH-USDT", None)],
        "okx_swap" => &[
            (Perpetual, "BTC-USDT", "BTC-USDT-SWAP", Some(("0.01", Base))),
            (Perpetual, "BTC-USD", "BTC-USD-SWAP", Some(("100", Quote))),
            (Futures, "BTC-USD-20261225", "BTC-USD-261225", Some(("100", Quote))),
        ],
        _ => &[
            (Perpetual, "BTC-USD", "BTC-PERPETUAL", Some(("10", Quote))),
            (Options, "BTC-USD-20261225-60000-C", "BTC-25DEC26-60000-C", Some(("1", Base))),
            (Options, "BTC", "btc_usd", None),
        ],
    };
    let exchange = integration.split('_').next().unwrap_or_default();
    let instrument = |(market_type, symbol, id, contract): &Row| {
        let instrument = Instrument::new(exchange, *market_type, (*symbol).to_owned(), id).ok()?;
        let contract = contract
            .and_then(|(size, unit)| Some(Contract { size: Decimal::parse(size.as_bytes()).ok()?, unit }));
        Some(Instrument { contract, ..instrument })
    };
    rows.iter().filter_map(instrument).collect()
}
