//! Order books: the updates that were sent, against those that the stored books contain, and the touch at each of them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use marketprism_core::Decimal;

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
    pub(super) updates: u64,
    /// The last update id.
    pub(super) last: Option<u64>,
    /// The exchange's own best bid and ask after an update.
    pub(super) touches: HashMap<u64, Touch>,
}

type Instrument = (String, String, String);

/// What the exchange sent, by instrument.
#[derive(Debug, Default)]
pub(crate) struct Books(BTreeMap<Instrument, SentBook>);

impl Books {
    pub(super) fn entry(&mut self, exchange: &str, market_type: &str, instrument_id: &str) -> &mut SentBook {
        self.0.entry((exchange.to_owned(), market_type.to_owned(), instrument_id.to_owned())).or_default()
    }
}

/// What a tier holds of one book.
#[derive(Debug, Default)]
pub(crate) struct StoredBook {
    rows: u64,
    updates: u64,
    /// By `last_update_id`: the touch, and how many rows say so.
    touches: HashMap<u64, (Option<Touch>, u64)>,
}

pub(super) type StoredBooks = BTreeMap<Instrument, StoredBook>;

impl StoredBook {
    fn row(&mut self, update_id: u64, update_count: u64, touch: Option<Touch>) {
        self.rows += 1;
        self.updates += update_count;
        self.touches.entry(update_id).or_insert((touch, 0)).1 += 1;
    }

    fn duplicates(&self) -> u64 {
        self.rows - self.touches.len() as u64
    }
}

/// Reads every book a tier holds.
pub(super) async fn read_tier(http: &Http, tier: &Tier) -> Result<StoredBooks, Failure> {
    let sql = format!(
        "SELECT exchange, market_type, instrument_id, last_update_id, update_count, best_bid_price, best_bid_quantity, \
         best_ask_price, best_ask_quantity FROM {}.orderbooks",
        tier.database
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

/// Compares both tiers with what was sent.
pub(super) fn settle(
    sent: &Books,
    hot: &StoredBooks,
    cold: &StoredBooks,
    accounts: &mut BTreeMap<Key, Account>,
) {
    for (instrument, sent) in &sent.0 {
        let account = accounts.entry(key(instrument)).or_default();
        account.sent += sent.updates;
        let mut stored_in = [0, 0];
        for (tier, stored) in [hot, cold].into_iter().enumerate() {
            let Some(book) = stored.get(instrument) else { continue };
            if let Some(stored_in) = stored_in.get_mut(tier) {
                *stored_in = book.updates.min(sent.updates);
            }
            // More updates than were sent: some are contained in two rows.
            account.duplicated += book.duplicates() + book.updates.saturating_sub(sent.updates);
            for (update_id, (touch, _)) in &book.touches {
                let Some(expected) = sent.touches.get(update_id) else { continue };
                account.compared += 1;
                account.different += u64::from(*touch != Some(*expected));
            }
        }
        let [in_hot, in_cold] = stored_in;
        account.hot += in_hot;
        account.cold += in_cold;
        account.lost += sent.updates - in_hot.min(in_cold);
        account.rows += hot.get(instrument).map_or(0, |book| book.rows);
    }
    for (instrument, book) in hot.iter().filter(|(instrument, _)| !sent.0.contains_key(*instrument)) {
        accounts.entry(key(instrument)).or_default().unexpected += book.rows;
    }
}

/// Compares the tiers with each other, where nobody knows what was sent.
pub(super) fn settle_unknown(hot: &StoredBooks, cold: &StoredBooks, accounts: &mut BTreeMap<Key, Account>) {
    for (instrument, in_hot) in hot {
        let account = accounts.entry(key(instrument)).or_default();
        let in_cold = cold.get(instrument).map_or(0, |book| book.updates);
        account.sent += in_hot.updates;
        account.hot += in_hot.updates;
        account.cold += in_cold;
        account.lost += in_hot.updates.saturating_sub(in_cold);
        account.duplicated += in_hot.duplicates() + cold.get(instrument).map_or(0, StoredBook::duplicates);
        account.rows += in_hot.rows;
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
        let mut sent = Books::default();
        let book = sent.entry("binance", "spot", "BTCUSDT");
        book.updates = 3;
        book.touches = (1..=3).map(|id| (id, touch("5").unwrap())).collect();
        let stored = |rows: &[(u64, u64, &str)]| {
            let mut book = StoredBook::default();
            for (id, count, bid) in rows {
                book.row(*id, *count, touch(bid));
            }
            StoredBooks::from([(("binance".to_owned(), "spot".to_owned(), "BTCUSDT".to_owned()), book)])
        };
        let mut accounts = BTreeMap::new();
        settle(&sent, &stored(hot), &stored(cold), &mut accounts);
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
}
