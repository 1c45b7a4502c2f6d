//! Order books: the updates that were sent, against those that the stored books contain, and the touch at each of them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use marketprism_core::Decimal;

use super::findings::Findings;
use super::gaps::{Declared, Gaps};
use super::windows::Windows;
use super::{Account, Tier};
use crate::failure::Failure;
use crate::http::Http;
use crate::sample::Key;

/// Best bid and ask with their quantities, reduced to a hash of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Touch(u64);

impl Touch {
    /// From bid price, bid quantity, ask price, ask quantity.
    pub(super) fn of(texts: [&str; 4]) -> Option<Self> {
        let mut hasher = DefaultHasher::new();
        for text in texts {
            text.parse::<Decimal>().ok()?.units().hash(&mut hasher);
        }
        Some(Self(hasher.finish()))
    }
}

/// What the exchange sent of one book.
#[derive(Debug, Default)]
pub(crate) struct SentBook {
    /// Ids of the updates, rising.
    pub(super) updates: Vec<u64>,
    /// The last update id.
    pub(super) last: Option<u64>,
    /// The exchange's own best bid and ask after an update.
    pub(super) touches: HashMap<u64, Touch>,
}

type Instrument = (String, String, String);

/// What the exchange sent, by instrument.
#[derive(Debug, Default)]
pub(crate) struct Books(BTreeMap<Instrument, SentBook>);

/// How far each book was compared: the last update sent, and the last one that a stored book contains.
#[derive(Debug, Clone, Default)]
pub(super) struct BooksMark(BTreeMap<Instrument, (Option<u64>, u64)>);

impl Books {
    /// Continues after a mark.
    pub(super) fn after(mark: &BooksMark) -> Self {
        let book = |(last, _): &(Option<u64>, u64)| SentBook { last: *last, ..SentBook::default() };
        Self(mark.0.iter().map(|(instrument, of_it)| (instrument.clone(), book(of_it))).collect())
    }

    pub(super) fn entry(&mut self, exchange: &str, market_type: &str, instrument_id: &str) -> &mut SentBook {
        self.0.entry((exchange.to_owned(), market_type.to_owned(), instrument_id.to_owned())).or_default()
    }

    /// The mark after these and what a tier holds of them.
    pub(super) fn mark(&self, before: &BooksMark, stored: &StoredBooks) -> BooksMark {
        let of = |(instrument, sent): (&Instrument, &SentBook)| {
            let before = before.stored_to(instrument);
            let stored = stored.get(instrument).and_then(|book| book.rows.keys().next_back().copied());
            (instrument.clone(), (sent.last, stored.map_or(before, |stored| stored.max(before))))
        };
        BooksMark(self.0.iter().map(of).collect())
    }
}

impl BooksMark {
    fn stored_to(&self, instrument: &Instrument) -> u64 {
        self.0.get(instrument).map_or(0, |(_, stored_to)| *stored_to)
    }
}

/// The rows of one `last_update_id`.
#[derive(Debug, Clone, Copy)]
struct Row {
    touch: Option<Touch>,
    update_count: u64,
    rows: u64,
}

/// What a tier holds of one book.
#[derive(Debug, Default)]
pub(crate) struct StoredBook {
    /// By `last_update_id`.
    rows: BTreeMap<u64, Row>,
}

pub(super) type StoredBooks = BTreeMap<Instrument, StoredBook>;

/// One tier's rows against the updates sent.
#[derive(Debug, Default)]
struct Comparison {
    contained: u64,
    declared: u64,
    lost: u64,
    /// Contained in more rows than one.
    surplus: u64,
    first_lost: Option<(u64, u64)>,
}

impl StoredBook {
    fn row(&mut self, update_id: u64, update_count: u64, touch: Option<Touch>) {
        self.rows.entry(update_id).or_insert(Row { touch, update_count, rows: 0 }).rows += 1;
    }

    fn rows(&self) -> u64 {
        self.rows.values().map(|row| row.rows).sum()
    }

    fn updates(&self) -> u64 {
        self.rows.values().map(|row| row.rows * row.update_count).sum()
    }

    fn duplicates(&self) -> u64 {
        self.rows.values().map(|row| row.rows - 1).sum()
    }

    /// Each row contains so many of the updates after the row before it; what it does not contain must be declared.
    fn compare(&self, stored_to: u64, updates: &[u64], declared: Declared<'_>) -> Comparison {
        let mut comparison = Comparison::default();
        let (mut rest, mut after) = (updates, stored_to);
        for (last, row) in &self.rows {
            let (of_row, later) = rest.split_at(rest.partition_point(|update| update <= last));
            comparison.enter(of_row, row.update_count, (after, *last), declared);
            (rest, after) = (later, *last);
        }
        comparison.enter(rest, 0, (after, u64::MAX), declared);
        comparison
    }
}

impl Comparison {
    fn enter(&mut self, updates: &[u64], contained: u64, place: (u64, u64), declared: Declared<'_>) {
        let sent = updates.len() as u64;
        self.contained += contained.min(sent);
        self.surplus += contained.saturating_sub(sent);
        let missing = sent.saturating_sub(contained);
        if missing > 0 {
            let told = updates.iter().filter(|update| declared.has(**update, None)).count() as u64;
            self.declared += missing.min(told);
            self.lost += missing.saturating_sub(told);
            if missing > told {
                self.first_lost.get_or_insert(place);
            }
        }
    }
}

/// Reads every book a tier holds.
pub(super) async fn read_tier(
    http: &Http,
    tier: &Tier,
    windows: Windows<'_>,
) -> Result<StoredBooks, Failure> {
    let sql = format!(
        "SELECT exchange, market_type, instrument_id, last_update_id, update_count, best_bid_price, best_bid_quantity, \
         best_ask_price, best_ask_quantity FROM {}.orderbooks WHERE {}",
        tier.database,
        windows.condition("orderbooks")
    );
    let mut books = StoredBooks::new();
    http.query(&tier.url, &sql, |line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let instrument = (next().to_owned(), next().to_owned(), next().to_owned());
        let (update_id, update_count) =
            (next().parse().unwrap_or_default(), next().parse().unwrap_or_default());
        let touch = Touch::of([next(), next(), next(), next()]);
        books.entry(instrument).or_default().row(update_id, update_count, touch);
    })
    .await?;
    Ok(books)
}

/// Compares both tiers with what was sent after a mark.
pub(super) fn settle(
    sent: &Books,
    mark: &BooksMark,
    [hot, cold]: [&StoredBooks; 2],
    gaps: &Gaps,
    accounts: &mut BTreeMap<Key, Account>,
) -> Findings {
    let (mut findings, nothing) = (Findings::default(), StoredBook::default());
    for (instrument, sent) in &sent.0 {
        let (exchange, market_type, instrument_id) = instrument;
        let place = || format!("orderbook of {exchange} {market_type} {instrument_id}");
        let declared = gaps.of(exchange, market_type, instrument_id, "orderbook");
        let account = accounts.entry(key(instrument)).or_default();
        account.sent += sent.updates.len() as u64;
        let mut lost = 0;
        for (tier, stored) in [("hot", hot), ("cold", cold)] {
            let book = stored.get(instrument).unwrap_or(&nothing);
            let found = book.compare(mark.stored_to(instrument), &sent.updates, declared);
            if tier == "hot" {
                account.hot += found.contained;
                account.declared += found.declared;
                account.rows += book.rows();
            } else {
                account.cold += found.contained;
            }
            lost = lost.max(found.lost);
            if let Some((after, to)) = found.first_lost {
                let count = found.lost;
                findings.add(|| {
                    format!(
                        "lost in {tier}: {}: {count} updates, the first after {after} up to {to}",
                        place()
                    )
                });
            }
            let twice = book.duplicates() + found.surplus;
            account.duplicated += twice;
            if twice > 0 {
                findings.add(|| format!("duplicated in {tier}: {}: {twice} updates or rows", place()));
            }
            for (update_id, row) in &book.rows {
                let Some(expected) = sent.touches.get(update_id) else { continue };
                account.compared += 1;
                if row.touch != Some(*expected) {
                    account.different += 1;
                    findings.add(|| format!("different in {tier}: {} at {update_id}", place()));
                }
            }
        }
        account.lost += lost;
    }
    for (instrument, book) in hot.iter().filter(|(instrument, _)| !sent.0.contains_key(*instrument)) {
        accounts.entry(key(instrument)).or_default().unexpected += book.rows();
        findings.add(|| format!("unexpected: orderbook of {instrument:?}"));
    }
    findings
}

/// Compares the tiers with each other, where nobody knows what was sent.
pub(super) fn settle_unknown(hot: &StoredBooks, cold: &StoredBooks, accounts: &mut BTreeMap<Key, Account>) {
    for (instrument, in_hot) in hot {
        let account = accounts.entry(key(instrument)).or_default();
        let (in_hot_updates, in_cold) =
            (in_hot.updates(), cold.get(instrument).map_or(0, StoredBook::updates));
        account.sent += in_hot_updates;
        account.hot += in_hot_updates;
        account.cold += in_cold;
        account.lost += in_hot_updates.saturating_sub(in_cold);
        account.duplicated += in_hot.duplicates() + cold.get(instrument).map_or(0, StoredBook::duplicates);
        account.rows += in_hot.rows();
    }
}

fn key((exchange, market_type, _): &Instrument) -> Key {
    Key { data_type: "orderbook".to_owned(), exchange: exchange.clone(), market_type: market_type.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(bid: &str) -> Option<Touch> {
        Touch::of([bid, "1", "9", "1"])
    }

    fn account(hot: &[(u64, u64, &str)], cold: &[(u64, u64, &str)]) -> Account {
        account_with(&Gaps::default(), hot, cold)
    }

    fn account_with(gaps: &Gaps, hot: &[(u64, u64, &str)], cold: &[(u64, u64, &str)]) -> Account {
        let mut sent = Books::default();
        let book = sent.entry("binance", "spot", "BTCUSDT");
        book.updates = vec![1, 2, 3];
        book.touches = (1..=3).map(|id| (id, touch("5").unwrap())).collect();
        let stored = |rows: &[(u64, u64, &str)]| {
            let mut book = StoredBook::default();
            for (id, count, bid) in rows {
                book.row(*id, *count, touch(bid));
            }
            StoredBooks::from([(("binance".to_owned(), "spot".to_owned(), "BTCUSDT".to_owned()), book)])
        };
        let mut accounts = BTreeMap::new();
        settle(&sent, &BooksMark::default(), [&stored(hot), &stored(cold)], gaps, &mut accounts);
        accounts.into_values().next().unwrap()
    }

    #[test]
    fn updates_add_up_or_are_lost_or_double() {
        let clean = account(&[(1, 1, "5"), (3, 2, "5")], &[(1, 1, "5.0"), (3, 2, "5")]);
        assert!(clean.is_clean() && clean.compared == 4, "{clean:?}");
        assert_eq!(account(&[(1, 1, "5"), (3, 2, "5")], &[(1, 1, "5")]).lost, 2);
        assert_eq!(account(&[(1, 1, "5"), (3, 3, "5")], &[(3, 3, "5")]).duplicated, 1);
        assert_eq!(account(&[(3, 3, "5"), (3, 0, "5")], &[(3, 3, "5")]).duplicated, 1);
        assert_eq!(account(&[(3, 3, "4")], &[(3, 3, "5")]).different, 1);
    }

    #[test]
    fn what_a_gap_declares_is_not_lost_and_what_lies_outside_is() {
        let gaps = Gaps::of_books((2, 2));
        let found = account_with(&gaps, &[(1, 1, "5"), (3, 1, "5")], &[(1, 1, "5"), (3, 1, "5")]);
        assert!(found.is_clean() && found.declared == 1 && found.hot == 2, "{found:?}");
        assert_eq!(account_with(&gaps, &[(1, 1, "5")], &[(1, 1, "5")]).lost, 1, "3 is not declared");
        assert_eq!(account_with(&gaps, &[(3, 1, "5")], &[(3, 1, "5")]).lost, 1, "1 is not declared");
        // A row that is in one tier only, beside a declared update.
        assert_eq!(account_with(&gaps, &[(1, 1, "5"), (3, 1, "5")], &[(3, 1, "5")]).lost, 1);
    }
}
