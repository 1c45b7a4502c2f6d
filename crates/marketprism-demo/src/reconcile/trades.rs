//! Trades: each one that was sent, by identity and content.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use marketprism_core::Decimal;
use serde::Serialize;

use super::findings::Findings;
use super::gaps::{Declared, Gaps};
use super::windows::Windows;
use super::{Account, Tier};
use crate::failure::Failure;
use crate::http::Http;
use crate::sample::Key;

/// Which tier is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Hot,
    Cold,
}

/// Who a trade is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) exchange: &'a str,
    pub(super) market_type: &'a str,
    pub(super) instrument_id: &'a str,
    pub(super) aggregated: bool,
    pub(super) trade_id: &'a str,
}

/// What a trade says, reduced to a hash of its values (not of their texts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content(u64);

impl Content {
    pub(super) fn of(price: &str, quantity: &str, side: &str, event_us: i64) -> Option<Self> {
        let units = |text: &str| text.parse::<Decimal>().ok().map(Decimal::units);
        let mut hasher = DefaultHasher::new();
        (units(price)?, units(quantity)?, side, event_us).hash(&mut hasher);
        Some(Self(hasher.finish()))
    }
}

/// One trade: 24 bytes beside its key, so that an hour at 5,000/s fits in a laptop.
#[derive(Debug, Clone, Copy)]
struct Known {
    content: Content,
    event_us: i64,
    hot: u16,
    cold: u16,
}

/// The trade ids of one stream that are in the hot tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IdRange {
    pub(crate) exchange: String,
    pub(crate) market_type: String,
    pub(crate) instrument_id: String,
    /// Ids of aggregates, which count their own.
    pub(crate) aggregated: bool,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Ids between first and last that are not stored as sent: backfilled, or declared in a gap.
    pub(crate) missing: u64,
}

type Stream = (String, String, String, bool);

/// All trades known, by stream and id.
#[derive(Debug, Default)]
pub(crate) struct Trades {
    streams: HashMap<Stream, u32>,
    known: HashMap<(u32, u64), Known>,
    /// Counts that are not per trade.
    accounts: BTreeMap<Key, Account>,
    /// The exchange keeps no ledger: what is stored in hot is taken for what was sent.
    unknown_exchange: bool,
    findings: Findings,
}

impl Trades {
    pub(super) fn of_unknown_exchange() -> Self {
        Self { unknown_exchange: true, ..Self::default() }
    }

    /// Enters a trade the exchange sent. `None` for an id that is no number, or one sent twice with two contents.
    pub(super) fn sent(&mut self, identity: Identity<'_>, content: Content, event_us: i64) -> Option<()> {
        let key = (self.stream(identity), identity.trade_id.parse().ok()?);
        match self.known.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Known { content, event_us, hot: 0, cold: 0 });
                Some(())
            }
            // The exchange repeated itself (a fault): still one trade.
            Entry::Occupied(occupied) => (occupied.get().content == content).then_some(()),
        }
    }

    fn stream(&mut self, identity: Identity<'_>) -> u32 {
        let stream = (
            identity.exchange.to_owned(),
            identity.market_type.to_owned(),
            identity.instrument_id.to_owned(),
            identity.aggregated,
        );
        let next = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        *self.streams.entry(stream).or_insert(next)
    }

    fn stored(&mut self, identity: Identity<'_>, content: Option<Content>, backfilled: bool, side: Side) {
        let account = self.accounts.entry(key(identity.exchange, identity.market_type)).or_default();
        if side == Side::Hot {
            account.rows += 1;
        }
        let Ok(id) = identity.trade_id.parse() else {
            account.unexpected += 1;
            return;
        };
        let stream = self.stream(identity);
        if self.unknown_exchange
            && side == Side::Hot
            && let Some(content) = content
        {
            self.known.entry((stream, id)).or_insert(Known { content, event_us: 0, hot: 0, cold: 0 });
        }
        let account = self.accounts.entry(key(identity.exchange, identity.market_type)).or_default();
        let Some(known) = self.known.get_mut(&(stream, id)) else {
            if side == Side::Hot && backfilled {
                account.backfilled += 1;
            } else if side == Side::Hot {
                account.unexpected += 1;
                let Identity { exchange, market_type, instrument_id, trade_id, .. } = identity;
                self.findings.add(|| {
                    format!("unexpected: trade {trade_id} of {exchange} {market_type} {instrument_id}")
                });
            }
            return;
        };
        let count = if side == Side::Hot { &mut known.hot } else { &mut known.cold };
        *count = count.saturating_add(1);
        account.compared += 1;
        if content != Some(known.content) {
            account.different += 1;
            let Identity { exchange, market_type, instrument_id, trade_id, .. } = identity;
            self.findings.add(|| {
                format!("different in {side:?}: trade {trade_id} of {exchange} {market_type} {instrument_id}")
            });
        }
    }

    /// First and last id of each stream in the hot tier, and how many between them are not there.
    pub(super) fn ids(&self) -> Vec<IdRange> {
        let mut ranges: BTreeMap<&Stream, (u64, u64, u64)> = BTreeMap::new();
        let names: HashMap<u32, &Stream> =
            self.streams.iter().map(|(name, stream)| (*stream, name)).collect();
        for ((stream, id), _) in self.known.iter().filter(|(_, known)| known.hot > 0) {
            // OKX's merged trades stand for several ids each, and single ones for those between.
            let Some(name) = names.get(stream).filter(|(exchange, ..)| exchange != "okx") else { continue };
            let (first, last, count) = ranges.entry(name).or_insert((*id, *id, 0));
            (*first, *last, *count) = ((*first).min(*id), (*last).max(*id), *count + 1);
        }
        let range =
            |((exchange, market_type, instrument_id, aggregated), (first, last, count)): (&Stream, _)| {
                IdRange {
                    exchange: exchange.clone(),
                    market_type: market_type.clone(),
                    instrument_id: instrument_id.clone(),
                    aggregated: *aggregated,
                    first,
                    last,
                    missing: last - first + 1 - count,
                }
            };
        ranges.into_iter().map(range).collect()
    }

    /// Turns what was entered into accounts.
    pub(super) fn settle(self, gaps: &Gaps, accounts: &mut BTreeMap<Key, Account>) -> Findings {
        let Self { streams, known, accounts: counted, mut findings, .. } = self;
        accounts.extend(counted);
        let names: HashMap<u32, (Key, Declared<'_>, String)> = streams
            .iter()
            .map(|((exchange, market_type, instrument_id, _), stream)| {
                let declared = gaps.of(exchange, market_type, instrument_id, "trade");
                let place = format!("{exchange} {market_type} {instrument_id}");
                (*stream, (key(exchange, market_type), declared, place))
            })
            .collect();
        for ((stream, id), known) in &known {
            let Some((key, declared, place)) = names.get(stream) else { continue };
            let account = accounts.entry(key.clone()).or_default();
            account.sent += 1;
            account.hot += u64::from(known.hot > 0);
            account.cold += u64::from(known.cold > 0);
            match (known.hot, known.cold) {
                (1.., 1..) => {}
                // In neither tier: the collector never had it, and said so.
                (0, 0) if declared.has(*id, Some(known.event_us)) => account.declared += 1,
                (hot, cold) => {
                    account.lost += 1;
                    findings
                        .add(|| format!("lost: trade {id} of {place}, {hot} rows in hot, {cold} in cold"));
                }
            }
            let twice = u64::from(known.hot.saturating_sub(1)) + u64::from(known.cold.saturating_sub(1));
            account.duplicated += twice;
            if twice > 0 {
                let Known { hot, cold, .. } = known;
                findings
                    .add(|| format!("duplicated: trade {id} of {place}, {hot} rows in hot, {cold} in cold"));
            }
        }
        findings
    }
}

fn key(exchange: &str, market_type: &str) -> Key {
    let (exchange, market_type) = (exchange.to_owned(), market_type.to_owned());
    Key { data_type: "trade".to_owned(), exchange, market_type }
}

/// Enters every trade a tier holds.
pub(super) async fn read_tier(
    trades: &mut Trades,
    http: &Http,
    tier: &Tier,
    side: Side,
    windows: Windows<'_>,
) -> Result<(), Failure> {
    let sql = format!(
        "SELECT exchange, market_type, instrument_id, isNotNull(first_trade_id), \
         ifNull(toString(trade_sequence), trade_id), price, quantity, side, \
         toUnixTimestamp64Micro(timestamp), data_source FROM {}.trades WHERE {}",
        tier.database,
        windows.condition("trades")
    );
    http.query(&tier.url, &sql, |line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (exchange, market_type, instrument_id) = (next(), next(), next());
        let aggregated = matches!(next(), "1" | "true");
        let trade_id = next();
        let (price, quantity, taker_side) = (next(), next(), next());
        let event = next().parse::<i64>().ok();
        let content = event.and_then(|event| Content::of(price, quantity, taker_side, event));
        let identity = Identity { exchange, market_type, instrument_id, aggregated, trade_id };
        trades.stored(identity, content, next() == "backfill", side);
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity<'_> = Identity {
        exchange: "binance",
        market_type: "spot",
        instrument_id: "BTCUSDT",
        aggregated: false,
        trade_id: "7",
    };

    fn account(enter: impl FnOnce(&mut Trades)) -> Account {
        let mut trades = Trades::default();
        enter(&mut trades);
        let mut accounts = BTreeMap::new();
        trades.settle(&Gaps::of_trades((8, 9)), &mut accounts);
        accounts.into_values().next().unwrap()
    }

    #[test]
    fn digits_do_not_matter_and_values_do() {
        let content = Content::of("1.50", "2", "buy", 5);
        assert_eq!(content, Content::of("1.5", "2.000", "buy", 5));
        for other in [
            Content::of("1.51", "2", "buy", 5),
            Content::of("1.5", "2", "sell", 5),
            Content::of("1.5", "2", "buy", 6),
        ] {
            assert_ne!(content, other);
        }
    }

    #[test]
    fn every_way_to_be_wrong_is_seen() {
        let content = Content::of("1", "1", "buy", 1);
        let clean = account(|trades| {
            trades.sent(IDENTITY, content.unwrap(), 1).unwrap();
            trades.stored(IDENTITY, content, false, Side::Hot);
            trades.stored(IDENTITY, content, false, Side::Cold);
        });
        assert!(clean.is_clean() && clean.sent == 1 && clean.compared == 2, "{clean:?}");
        let lost_in_cold = account(|trades| {
            trades.sent(IDENTITY, content.unwrap(), 1).unwrap();
            trades.stored(IDENTITY, content, false, Side::Hot);
        });
        assert_eq!((lost_in_cold.lost, lost_in_cold.hot, lost_in_cold.cold), (1, 1, 0));
        let declared = account(|trades| {
            trades.sent(Identity { trade_id: "8", ..IDENTITY }, content.unwrap(), 1).unwrap();
        });
        assert!(declared.is_clean() && declared.declared == 1, "{declared:?}");
        let declared_and_lost_in_cold = account(|trades| {
            let identity = Identity { trade_id: "8", ..IDENTITY };
            trades.sent(identity, content.unwrap(), 1).unwrap();
            trades.stored(identity, content, true, Side::Hot);
        });
        assert_eq!((declared_and_lost_in_cold.lost, declared_and_lost_in_cold.declared), (1, 0));
        let twice = account(|trades| {
            trades.sent(IDENTITY, content.unwrap(), 1).unwrap();
            for side in [Side::Hot, Side::Hot, Side::Cold] {
                trades.stored(IDENTITY, content, false, side);
            }
        });
        assert_eq!(twice.duplicated, 1);
        let changed = account(|trades| {
            trades.sent(IDENTITY, content.unwrap(), 1).unwrap();
            trades.stored(IDENTITY, Content::of("2", "1", "buy", 1), false, Side::Hot);
            trades.stored(IDENTITY, content, false, Side::Cold);
        });
        assert_eq!(changed.different, 1);
        let made_up = account(|trades| trades.stored(IDENTITY, content, false, Side::Hot));
        assert_eq!(made_up.unexpected, 1);
        let fetched = account(|trades| trades.stored(IDENTITY, content, true, Side::Hot));
        assert!(fetched.is_clean() && fetched.backfilled == 1, "{fetched:?}");
    }
}
