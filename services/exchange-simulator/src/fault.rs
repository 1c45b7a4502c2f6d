//! Faults on demand. One enum is the whole list: a new fault is a variant here and the place that obeys it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::instrument::MarketType;
use crate::lock::lock;
use crate::record::DataType;
use crate::streams::{Catalogue, Feed, Stream};

/// What `POST /control/fault` takes: `{"fault":"skip_diff","instrument_id":"BTCUSDT","count":1}`.
/// Where `market_type` is absent the fault concerns both markets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// Drops connections now, without a Close frame.
    Disconnect {
        #[serde(default, alias = "market")]
        market_type: Option<MarketType>,
    },
    /// Announces `serverShutdown` on every connection; nothing closes by itself.
    ServerShutdown {
        #[serde(default, alias = "market")]
        market_type: Option<MarketType>,
    },
    /// Keeps back the next `count` diffs.
    SkipDiff {
        instrument_id: String,
        #[serde(default, alias = "market")]
        market_type: Option<MarketType>,
        count: u64,
    },
    /// Keeps back the next `count` messages of each trade stream.
    DropTrade {
        instrument_id: String,
        #[serde(default, alias = "market")]
        market_type: Option<MarketType>,
        count: u64,
    },
    /// Sends the next `count` messages of each trade stream twice.
    DuplicateTrade {
        instrument_id: String,
        #[serde(default, alias = "market")]
        market_type: Option<MarketType>,
        #[serde(default = "one")]
        count: u64,
    },
    /// Nothing happens on the instrument for so long; then it goes on where it stood.
    Stall {
        instrument_id: String,
        #[serde(default, alias = "market")]
        market_type: Option<MarketType>,
        for_ms: u64,
    },
    /// WebSocket handshakes are answered 503 for so long.
    Refuse { for_ms: u64 },
    /// REST is answered 429 for so long.
    RateLimit { for_ms: u64, retry_after_seconds: u64 },
    /// The next `count` data frames are cut in half.
    CorruptFrame { count: u64 },
}

fn one() -> u64 {
    1
}

/// Why an event was kept from its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Withheld {
    SkipDiff,
    DropTrade,
    CorruptFrame,
}

/// What to do with an event that somebody subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    SendTwice,
    Corrupt,
    Withhold(Withheld),
}

/// A fault that names something unknown.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("instrument_id: {0:?} is not served here (see instruments in /control/status)")]
pub(crate) struct UnknownInstrument(String);

/// Faults in force, and how many were injected and had effect.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Mutex<Active>,
    injected: Mutex<BTreeMap<&'static str, u64>>,
    withheld: Mutex<BTreeMap<(usize, DataType, Withheld), u64>>,
}

#[derive(Debug, Default)]
struct Active {
    skip: HashMap<Stream, u64>,
    duplicate: HashMap<Stream, u64>,
    stalled_until: HashMap<usize, Instant>,
    refuse_until: Option<Instant>,
    rate_limit: Option<(Instant, u64)>,
    corrupt: u64,
}

impl Faults {
    /// Puts `fault` in force and says what it will do. `Disconnect` and `ServerShutdown` are counted here and
    /// carried out by the caller, who holds the connections.
    ///
    /// # Errors
    /// When it names an instrument that is not served.
    pub(crate) fn inject(&self, fault: &Fault, catalogue: &Catalogue) -> Result<String, UnknownInstrument> {
        let (name, effect) = match fault {
            Fault::Disconnect { market_type } => {
                ("disconnect", format!("drops the connections of {}", market_name(*market_type)))
            }
            Fault::ServerShutdown { market_type } => {
                ("server_shutdown", format!("announces serverShutdown to {}", market_name(*market_type)))
            }
            Fault::SkipDiff { instrument_id, market_type, count } => {
                for instrument in named(catalogue, instrument_id, *market_type)? {
                    self.add_skips(instrument, &[Feed::Depth], *count);
                }
                ("skip_diff", format!("keeps back the next {count} diffs of {instrument_id}"))
            }
            Fault::DropTrade { instrument_id, market_type, count } => {
                for instrument in named(catalogue, instrument_id, *market_type)? {
                    self.add_skips(instrument, &TRADE_FEEDS, *count);
                }
                ("drop_trade", format!("keeps back the next {count} of each trade stream of {instrument_id}"))
            }
            Fault::DuplicateTrade { instrument_id, market_type, count } => {
                for instrument in named(catalogue, instrument_id, *market_type)? {
                    for feed in TRADE_FEEDS {
                        *lock(&self.active).duplicate.entry(Stream { instrument, feed }).or_default() +=
                            count;
                    }
                }
                (
                    "duplicate_trade",
                    format!("sends the next {count} of each trade stream of {instrument_id} twice"),
                )
            }
            Fault::Stall { instrument_id, market_type, for_ms } => {
                for instrument in named(catalogue, instrument_id, *market_type)? {
                    lock(&self.active).stalled_until.insert(instrument, after(*for_ms));
                }
                ("stall", format!("{instrument_id} is silent for {for_ms} ms"))
            }
            Fault::Refuse { for_ms } => {
                lock(&self.active).refuse_until = Some(after(*for_ms));
                ("refuse", format!("WebSocket handshakes are answered 503 for {for_ms} ms"))
            }
            Fault::RateLimit { for_ms, retry_after_seconds } => {
                lock(&self.active).rate_limit = Some((after(*for_ms), *retry_after_seconds));
                (
                    "rate_limit",
                    format!("REST answers 429, Retry-After {retry_after_seconds}, for {for_ms} ms"),
                )
            }
            Fault::CorruptFrame { count } => {
                lock(&self.active).corrupt += count;
                ("corrupt_frame", format!("the next {count} data frames are cut in half"))
            }
        };
        *lock(&self.injected).entry(name).or_default() += 1;
        Ok(effect)
    }

    /// What becomes of an event of `stream` that somebody subscribed. Uses up counted faults.
    pub(crate) fn verdict(&self, stream: Stream) -> Verdict {
        let mut active = lock(&self.active);
        if take_one(active.skip.get_mut(&stream)) {
            let reason = if stream.feed == Feed::Depth { Withheld::SkipDiff } else { Withheld::DropTrade };
            Verdict::Withhold(reason)
        } else if take_one(Some(&mut active.corrupt)) {
            Verdict::Corrupt
        } else if take_one(active.duplicate.get_mut(&stream)) {
            Verdict::SendTwice
        } else {
            Verdict::Send
        }
    }

    /// Counts an event that its subscribers will never see.
    pub(crate) fn count_withheld(&self, instrument: usize, data_type: DataType, reason: Withheld) {
        *lock(&self.withheld).entry((instrument, data_type, reason)).or_default() += 1;
    }

    /// Until when the instrument is silent, if it is now.
    pub(crate) fn stalled_until(&self, instrument: usize) -> Option<Instant> {
        lock(&self.active).stalled_until.get(&instrument).copied().filter(|until| *until > Instant::now())
    }

    /// Whether WebSocket handshakes are refused now.
    pub(crate) fn refuses(&self) -> bool {
        lock(&self.active).refuse_until.is_some_and(|until| until > Instant::now())
    }

    /// The Retry-After to answer REST with, while the rate limit is in force.
    pub(crate) fn rate_limited(&self) -> Option<u64> {
        let (until, retry_after_seconds) = lock(&self.active).rate_limit?;
        (until > Instant::now()).then_some(retry_after_seconds)
    }

    /// Faults injected, by name.
    pub(crate) fn injected(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.injected).clone()
    }

    /// Events kept back, by instrument, data type and reason.
    pub(crate) fn withheld(&self) -> BTreeMap<(usize, DataType, Withheld), u64> {
        lock(&self.withheld).clone()
    }

    fn add_skips(&self, instrument: usize, feeds: &[Feed], count: u64) {
        for &feed in feeds {
            *lock(&self.active).skip.entry(Stream { instrument, feed }).or_default() += count;
        }
    }
}

const TRADE_FEEDS: [Feed; 2] = [Feed::Trade, Feed::AggregateTrade];

fn after(for_ms: u64) -> Instant {
    // A day at most: more is a typing error, and `Instant` must not overflow.
    Instant::now() + Duration::from_millis(for_ms.min(86_400_000))
}

fn take_one(left: Option<&mut u64>) -> bool {
    match left {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        Some(_) | None => false,
    }
}

fn market_name(market_type: Option<MarketType>) -> &'static str {
    market_type.map_or("all markets", MarketType::as_str)
}

fn named(
    catalogue: &Catalogue,
    instrument_id: &str,
    market_type: Option<MarketType>,
) -> Result<Vec<usize>, UnknownInstrument> {
    let found: Vec<usize> = [MarketType::Spot, MarketType::Perpetual]
        .into_iter()
        .filter(|market| market_type.is_none_or(|wanted| wanted == *market))
        .filter_map(|market| catalogue.find(market, instrument_id))
        .collect();
    if found.is_empty() { Err(UnknownInstrument(instrument_id.to_owned())) } else { Ok(found) }
}
