//! Faults in force, and how many were injected and had effect. What there is to inject is `fault.rs`.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::catalogue::Catalogue;
use crate::exchange::Exchange;
use crate::fault::{Fault, FaultKind, Selector};
use crate::instrument::MarketType;
use crate::lock::lock;
use crate::record::{DataType, Frame};
use crate::streams::{Feed, Stream};

/// Why an event was kept from its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Withheld {
    SkipDiff,
    DropTrade,
    CorruptFrame,
    Silence,
}

/// What to do with an event that somebody subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    SendTwice,
    /// Keep it until the stream's next one was sent.
    Hold,
    Corrupt,
    Withhold(Withheld),
}

/// What a REST request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestRefusal {
    pub(crate) status: u16,
    pub(crate) retry_after_seconds: Option<u64>,
}

/// A fault that means nothing that is served.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("instrument_id: {instrument_id:?} is not served here (see instruments in /control/status)")]
pub(crate) struct NothingSelected {
    instrument_id: String,
}

/// Faults in force, and counts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Mutex<Active>,
    injected: Mutex<BTreeMap<&'static str, u64>>,
    withheld: Mutex<BTreeMap<(usize, DataType, Withheld), u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Trick {
    Skip,
    Duplicate,
    Reorder,
}

#[derive(Debug, Default)]
struct Active {
    /// How often a stream is still to be tricked. Bounded: streams times tricks.
    counted: HashMap<(Stream, Trick), u64>,
    /// Frames that wait for their successor, at most one a stream.
    held: HashMap<Stream, Frame>,
    /// Frames to corrupt, of the instruments named; used up ones are removed.
    corrupt: Vec<(Vec<usize>, u64)>,
    stalled_until: HashMap<usize, Instant>,
    /// The newest of each of these stands for the same selector; those that are over are removed.
    refuse: Timed<()>,
    silence: Timed<()>,
    rest_refusal: Timed<RestRefusal>,
    slow_rest: Timed<Duration>,
    burst: Option<(Instant, u64)>,
    skew_ms: BTreeMap<Exchange, i64>,
}

/// Something that holds for some sockets until a time.
#[derive(Debug)]
struct Timed<T>(Vec<(Selector, Instant, T)>);

impl<T> Default for Timed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Timed<T> {
    fn set(&mut self, at: &Selector, until: Instant, what: T) {
        let now = Instant::now();
        self.0.retain(|(selector, until, _)| selector != at && *until > now);
        self.0.push((at.clone(), until, what));
    }

    /// What holds now, and until when.
    fn of(&self, exchange: Exchange, market_type: Option<MarketType>) -> Option<(Instant, T)> {
        let now = Instant::now();
        let mut matching =
            self.0.iter().filter(|(at, until, _)| *until > now && at.means_socket(exchange, market_type));
        matching.next_back().map(|(_, until, what)| (*until, *what))
    }
}

const TRADE_FEEDS: [Feed; 2] = [Feed::Trade, Feed::AggregateTrade];
const SEQUENCED_FEEDS: [Feed; 3] = [Feed::Trade, Feed::AggregateTrade, Feed::Depth];

impl Faults {
    /// Puts `fault` in force and says what it will do. What happens to open connections at once is carried out by the
    /// caller, who holds them.
    ///
    /// # Errors
    /// When it names an instrument that is not served.
    pub(crate) fn inject(&self, fault: &Fault, catalogue: &Catalogue) -> Result<String, NothingSelected> {
        let instruments = catalogue.selected(&fault.at);
        if let Some(instrument_id) = &fault.at.instrument_id
            && instruments.is_empty()
        {
            return Err(NothingSelected { instrument_id: instrument_id.clone() });
        }
        let at = &fault.at;
        let mut active = lock(&self.active);
        let mut trick = |trick, feeds: &[Feed], count: NonZeroU64| {
            for &instrument in &instruments {
                for &feed in feeds {
                    *active.counted.entry((Stream { instrument, feed }, trick)).or_default() += count.get();
                }
            }
        };
        let effect = match fault.kind {
            FaultKind::Disconnect => "drops the connections".to_owned(),
            FaultKind::ServerShutdown => "announces the shutdown on every connection".to_owned(),
            FaultKind::MaintenanceReset => "does what the exchange does at a maintenance".to_owned(),
            FaultKind::SkipDiff { count } => {
                trick(Trick::Skip, &[Feed::Depth], count);
                format!("keeps back the next {count} diffs")
            }
            FaultKind::DropTrade { count } => {
                trick(Trick::Skip, &TRADE_FEEDS, count);
                format!("keeps back the next {count} of each trade stream")
            }
            FaultKind::DuplicateDiff { count } => {
                trick(Trick::Duplicate, &[Feed::Depth], count);
                format!("sends the next {count} diffs twice")
            }
            FaultKind::DuplicateTrade { count } => {
                trick(Trick::Duplicate, &TRADE_FEEDS, count);
                format!("sends the next {count} of each trade stream twice")
            }
            FaultKind::Reorder { count } => {
                trick(Trick::Reorder, &SEQUENCED_FEEDS, count);
                format!("swaps the next two of each trade and book stream, {count} times")
            }
            FaultKind::CorruptFrame { count } => {
                active.corrupt.push((instruments.clone(), count.get()));
                format!("the next {count} data frames are cut in half")
            }
            FaultKind::Silence { for_ms } => {
                active.silence.set(at, after(for_ms), ());
                format!("the sockets are silent for {for_ms} ms")
            }
            FaultKind::Stall { for_ms } => {
                let until = after(for_ms);
                active.stalled_until.extend(instruments.iter().map(|&instrument| (instrument, until)));
                format!("the instruments are silent for {for_ms} ms")
            }
            FaultKind::Refuse { for_ms } => {
                active.refuse.set(at, after(for_ms), ());
                format!("WebSocket handshakes are answered 503 for {for_ms} ms")
            }
            FaultKind::RateLimit { for_ms, status, retry_after_seconds } => {
                active.rest_refusal.set(at, after(for_ms), RestRefusal { status, retry_after_seconds });
                format!("REST answers {status}, Retry-After {retry_after_seconds:?}, for {for_ms} ms")
            }
            FaultKind::SlowRest { for_ms, delay_ms } => {
                active.slow_rest.set(at, after(for_ms), Duration::from_millis(delay_ms.min(DAY_MS)));
                format!("REST answers {delay_ms} ms late for {for_ms} ms")
            }
            FaultKind::ClockSkew { skew_ms } => {
                let exchanges = Exchange::ALL.into_iter().filter(|one| at.means_exchange(*one));
                active.skew_ms.extend(exchanges.map(|one| (one, skew_ms)));
                format!("the exchange's clock is off by {skew_ms} ms from now on")
            }
            FaultKind::Burst { factor, for_ms } => {
                active.burst = Some((after(for_ms), factor));
                format!("{factor} times the rate for {for_ms} ms")
            }
        };
        drop(active);
        *lock(&self.injected).entry(fault.kind.name()).or_default() += 1;
        Ok(effect)
    }

    /// What becomes of an event of `stream` that somebody subscribed. Uses up counted faults.
    pub(crate) fn verdict(&self, stream: Stream) -> Verdict {
        let mut active = lock(&self.active);
        if active.take(stream, Trick::Skip) {
            let reason = if stream.feed == Feed::Depth { Withheld::SkipDiff } else { Withheld::DropTrade };
            Verdict::Withhold(reason)
        } else if active.take_corrupt(stream.instrument) {
            Verdict::Corrupt
        } else if active.take(stream, Trick::Duplicate) {
            Verdict::SendTwice
        } else if !active.held.contains_key(&stream) && active.take(stream, Trick::Reorder) {
            Verdict::Hold
        } else {
            Verdict::Send
        }
    }

    /// Keeps `frame` until [`Self::take_held`].
    pub(crate) fn hold(&self, stream: Stream, frame: Frame) {
        lock(&self.active).held.insert(stream, frame);
    }

    /// The frame that waited for its successor on `stream`.
    pub(crate) fn take_held(&self, stream: Stream) -> Option<Frame> {
        lock(&self.active).held.remove(&stream)
    }

    /// Counts an event that its subscribers will never see.
    pub(crate) fn count_withheld(&self, stream: Stream, reason: Withheld) {
        if let Some(data_type) = stream.feed.data_type() {
            *lock(&self.withheld).entry((stream.instrument, data_type, reason)).or_default() += 1;
        }
    }

    /// Until when the instrument is silent, if it is now.
    pub(crate) fn stalled_until(&self, instrument: usize) -> Option<Instant> {
        lock(&self.active).stalled_until.get(&instrument).copied().filter(|until| *until > Instant::now())
    }

    /// Until when sockets are silent, if they are now.
    pub(crate) fn silent_until(
        &self,
        exchange: Exchange,
        market_type: Option<MarketType>,
    ) -> Option<Instant> {
        lock(&self.active).silence.of(exchange, market_type).map(|(until, ())| until)
    }

    /// Whether WebSocket handshakes are refused now.
    pub(crate) fn refuses(&self, exchange: Exchange, market_type: Option<MarketType>) -> bool {
        lock(&self.active).refuse.of(exchange, market_type).is_some()
    }

    /// What REST answers with in place of its answer, while that is in force.
    pub(crate) fn rest_refusal(
        &self,
        exchange: Exchange,
        market_type: Option<MarketType>,
    ) -> Option<RestRefusal> {
        lock(&self.active).rest_refusal.of(exchange, market_type).map(|(_, refusal)| refusal)
    }

    /// How much later REST answers now.
    pub(crate) fn rest_delay(&self, exchange: Exchange, market_type: Option<MarketType>) -> Duration {
        lock(&self.active).slow_rest.of(exchange, market_type).map_or(Duration::ZERO, |(_, delay)| delay)
    }

    /// How far off the exchange's clock is.
    pub(crate) fn skew_ms(&self, exchange: Exchange) -> i64 {
        lock(&self.active).skew_ms.get(&exchange).copied().unwrap_or(0)
    }

    /// By how much the rate is multiplied now.
    pub(crate) fn burst_factor(&self) -> u64 {
        lock(&self.active).burst.filter(|(until, _)| *until > Instant::now()).map_or(1, |(_, factor)| factor)
    }

    /// Faults injected, by name.
    pub(crate) fn injected(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.injected).clone()
    }

    /// Events kept back, by instrument, data type and reason.
    pub(crate) fn withheld(&self) -> BTreeMap<(usize, DataType, Withheld), u64> {
        lock(&self.withheld).clone()
    }
}

impl Active {
    fn take(&mut self, stream: Stream, trick: Trick) -> bool {
        let Some(left) = self.counted.get_mut(&(stream, trick)) else { return false };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.counted.remove(&(stream, trick));
        }
        true
    }

    fn take_corrupt(&mut self, instrument: usize) -> bool {
        let named = |(instruments, _): &(Vec<usize>, u64)| instruments.contains(&instrument);
        let Some(at) = self.corrupt.iter().position(named) else { return false };
        if let Some((_, left)) = self.corrupt.get_mut(at) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.corrupt.remove(at);
            }
        }
        true
    }
}

const DAY_MS: u64 = 86_400_000;

fn after(for_ms: u64) -> Instant {
    // A day at most: more is a typing error, and `Instant` must not overflow.
    Instant::now() + Duration::from_millis(for_ms.min(DAY_MS))
}
