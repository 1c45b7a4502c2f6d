//! What the collector declared missing: which ids and times of each stream.

use std::collections::{BTreeMap, HashMap};

use super::windows::Windows;
use super::{GapCount, Tier};
use crate::failure::Failure;
use crate::http::Http;

/// Bounds of one gap, inclusive.
#[derive(Debug, Clone, Copy)]
struct Span {
    ids: Option<(u64, u64)>,
    times_us: Option<(i64, i64)>,
}

type Stream = (String, String, String, String);

/// Every gap that was read.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    spans: HashMap<Stream, Vec<Span>>,
    counts: BTreeMap<(String, String), (u64, u64)>,
}

/// One stream's gaps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'g>(&'g [Span]);

impl Gaps {
    pub(super) async fn read(http: &Http, tier: &Tier, windows: Windows<'_>) -> Result<Self, Failure> {
        let sql = format!(
            "SELECT exchange, market_type, instrument_id, missing_data_type, reason, filled, from_sequence, to_sequence, \
             toUnixTimestamp64Micro(from_time), toUnixTimestamp64Micro(to_time) FROM {}.gaps WHERE {}",
            tier.database,
            windows.condition("gaps")
        );
        let mut gaps = Self::default();
        http.query(&tier.url, &sql, |line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or_default();
            let (exchange, market_type, instrument_id) = (next(), next(), next());
            let (data_type, reason, filled) = (next(), next(), next().parse::<u64>().unwrap_or_default());
            let ids = next().parse().ok().zip(next().parse().ok());
            let times_us = next().parse().ok().zip(next().parse().ok());
            gaps.add([exchange, market_type, instrument_id, data_type], Span { ids, times_us });
            let (count, recovered) =
                gaps.counts.entry((data_type.to_owned(), reason.to_owned())).or_default();
            *count += 1;
            *recovered += filled;
        })
        .await?;
        Ok(gaps)
    }

    fn add(&mut self, [exchange, market_type, instrument_id, data_type]: [&str; 4], span: Span) {
        let stream =
            (exchange.to_owned(), market_type.to_owned(), instrument_id.to_owned(), data_type.to_owned());
        self.spans.entry(stream).or_default().push(span);
    }

    /// What was declared of one stream.
    pub(super) fn of(
        &self,
        exchange: &str,
        market_type: &str,
        instrument_id: &str,
        data_type: &str,
    ) -> Declared<'_> {
        let stream =
            (exchange.to_owned(), market_type.to_owned(), instrument_id.to_owned(), data_type.to_owned());
        Declared(self.spans.get(&stream).map(Vec::as_slice).unwrap_or_default())
    }

    pub(super) fn counts(&self) -> Vec<GapCount> {
        let count = |((data_type, reason), (gaps, filled)): (&(String, String), &(u64, u64))| GapCount {
            data_type: data_type.clone(),
            reason: reason.clone(),
            gaps: *gaps,
            filled: *filled,
        };
        self.counts.iter().map(count).collect()
    }
}

impl Declared<'_> {
    /// Whether an event with an id is declared missing. A gap without ids (an exchange that counts anew) counts by time.
    pub(super) fn has(self, id: u64, event_us: Option<i64>) -> bool {
        self.0.iter().any(|span| match span.ids {
            Some((from, to)) => (from..=to).contains(&id),
            None => event_us.is_some_and(|event_us| span.has_time(event_us)),
        })
    }

    /// Whether an event without an id is declared missing.
    pub(super) fn has_time(self, event_us: i64) -> bool {
        self.0.iter().any(|span| span.has_time(event_us))
    }
}

impl Span {
    fn has_time(&self, event_us: i64) -> bool {
        self.times_us.is_some_and(|(from, to)| (from..=to).contains(&event_us))
    }
}

#[cfg(test)]
impl Gaps {
    /// One gap of trades of binance spot BTCUSDT.
    pub(super) fn of_trades(ids: (u64, u64)) -> Self {
        let mut gaps = Self::default();
        gaps.add(["binance", "spot", "BTCUSDT", "trade"], Span { ids: Some(ids), times_us: None });
        gaps
    }

    /// One gap of books of binance spot BTCUSDT.
    pub(super) fn of_books(ids: (u64, u64)) -> Self {
        let mut gaps = Self::default();
        gaps.add(["binance", "spot", "BTCUSDT", "orderbook"], Span { ids: Some(ids), times_us: None });
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_where_there_are_some_and_times_elsewhere() {
        let mut gaps = Gaps::default();
        let stream = ["okx", "spot", "BTC-USDT", "trade"];
        gaps.add(stream, Span { ids: Some((5, 7)), times_us: Some((0, 100)) });
        let trades = gaps.of("okx", "spot", "BTC-USDT", "trade");
        assert!(trades.has(5, None) && trades.has(7, Some(1_000)));
        assert!(!trades.has(8, Some(50)), "an id outside is not declared by its time");
        assert!(!gaps.of("okx", "perpetual", "BTC-USDT", "trade").has(5, None));
        gaps.add(stream, Span { ids: None, times_us: Some((200, 300)) });
        let trades = gaps.of("okx", "spot", "BTC-USDT", "trade");
        assert!(trades.has(8, Some(250)) && trades.has_time(200) && !trades.has_time(301));
    }
}
