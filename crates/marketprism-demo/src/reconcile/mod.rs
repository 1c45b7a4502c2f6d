//! What the exchange sent against what each tier holds: message by message, not count by count.
//!
//! The simulator's ledger has a line for every event that was written to a subscriber's socket. A trade must be in each tier
//! exactly once with the same price, quantity, side and time. A book's stored rows must add up to the updates sent
//! (`update_count`), none twice, and show the exchange's own best bid and ask at their update id. Of everything else the values
//! must be there at their time.

mod books;
mod events;
mod ledger;
mod trades;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;
use crate::http::Http;
use crate::sample::Key;

/// A tier to read.
#[derive(Debug, Clone)]
pub struct Tier {
    pub(crate) url: String,
    pub(crate) database: &'static str,
}

/// The result for one data type of one exchange's market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Events the exchange wrote to a socket of ours.
    pub(crate) sent: u64,
    /// Of them (or, for order books, of the updates), contained in the hot tier.
    pub(crate) hot: u64,
    /// Contained in the cold tier.
    pub(crate) cold: u64,
    /// Sent and missing in either tier.
    pub(crate) lost: u64,
    /// Rows too many, in both tiers together.
    pub(crate) duplicated: u64,
    /// Stored with another content than was sent, in both tiers together.
    pub(crate) different: u64,
    /// Stored contents that were compared with what was sent.
    pub(crate) compared: u64,
    /// Rows in the hot tier of events that happened while nobody was connected, fetched afterwards.
    pub(crate) backfilled: u64,
    /// Rows in the hot tier that nobody sent and nobody fetched.
    pub(crate) unexpected: u64,
    /// Rows in the hot tier.
    pub(crate) rows: u64,
}

impl Account {
    /// True where every message is stored exactly once and unchanged.
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.different == 0 && self.unexpected == 0
    }

    /// Adds another account, for totals.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.hot += other.hot;
        self.cold += other.cold;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.different += other.different;
        self.compared += other.compared;
        self.backfilled += other.backfilled;
        self.unexpected += other.unexpected;
        self.rows += other.rows;
    }
}

/// Every account, and the gaps the collector declared.
#[derive(Debug, Default)]
pub struct Verdict {
    pub(crate) accounts: BTreeMap<Key, Account>,
    pub(crate) gaps: Vec<GapCount>,
    pub(crate) trade_ids: Vec<trades::IdRange>,
    /// False for a run that sent nothing: an empty run proves nothing.
    pub(crate) proven: bool,
}

/// Gaps of one kind in the hot tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GapCount {
    pub(crate) data_type: String,
    pub(crate) reason: String,
    pub(crate) gaps: u64,
    /// Messages recovered.
    pub(crate) filled: u64,
}

impl Verdict {
    /// True only for a run in which something was sent, and all of it is stored exactly once and unchanged.
    pub fn is_clean(&self) -> bool {
        self.proven && self.accounts.values().all(Account::is_clean)
    }
}

/// Reads the ledger and both tiers.
pub(crate) async fn reconcile(
    http: &Http,
    ledger: &Path,
    hot: &Tier,
    cold: &Tier,
) -> Result<Verdict, Failure> {
    let mut sent = ledger::read(ledger)?;
    trades::read_tier(&mut sent.trades, http, hot, trades::Side::Hot).await?;
    trades::read_tier(&mut sent.trades, http, cold, trades::Side::Cold).await?;
    sent.events.read_tier(http, hot, trades::Side::Hot).await?;
    sent.events.read_tier(http, cold, trades::Side::Cold).await?;
    let hot_books = books::read_tier(http, hot).await?;
    let cold_books = books::read_tier(http, cold).await?;
    let mut verdict = Verdict { trade_ids: sent.trades.ids(), ..Verdict::default() };
    sent.trades.settle(&mut verdict.accounts);
    sent.events.settle(&mut verdict.accounts);
    books::settle(&sent.books, &hot_books, &cold_books, &mut verdict.accounts);
    verdict.gaps = gaps(http, hot).await?;
    verdict.proven = verdict.accounts.values().any(|account| account.sent > 0);
    Ok(verdict)
}

/// What is stored, where nobody knows what was sent.
pub(crate) async fn stored_only(http: &Http, hot: &Tier, cold: &Tier) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    let mut trades = trades::Trades::of_unknown_exchange();
    trades::read_tier(&mut trades, http, hot, trades::Side::Hot).await?;
    trades::read_tier(&mut trades, http, cold, trades::Side::Cold).await?;
    verdict.trade_ids = trades.ids();
    trades.settle(&mut verdict.accounts);
    let (hot_books, cold_books) = (books::read_tier(http, hot).await?, books::read_tier(http, cold).await?);
    books::settle_unknown(&hot_books, &cold_books, &mut verdict.accounts);
    verdict.gaps = gaps(http, hot).await?;
    verdict.proven = verdict.accounts.values().any(|account| account.rows > 0);
    Ok(verdict)
}

async fn gaps(http: &Http, hot: &Tier) -> Result<Vec<GapCount>, Failure> {
    let sql = format!(
        "SELECT missing_data_type, reason, count(), sum(filled) FROM {}.gaps GROUP BY 1, 2 ORDER BY 1, 2",
        hot.database
    );
    let mut found = Vec::new();
    http.query(&hot.url, &sql, |line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (data_type, reason) = (next().to_owned(), next().to_owned());
        let (gaps, filled) = (next().parse().unwrap_or_default(), next().parse().unwrap_or_default());
        found.push(GapCount { data_type, reason, gaps, filled });
    })
    .await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_was_sent_proves_nothing() {
        let key = Key {
            data_type: "trade".to_owned(),
            exchange: "binance".to_owned(),
            market_type: "spot".to_owned(),
        };
        let accounts = BTreeMap::from([(key, Account::default())]);
        assert!(!Verdict { accounts: accounts.clone(), ..Verdict::default() }.is_clean());
        assert!(Verdict { accounts, proven: true, ..Verdict::default() }.is_clean());
    }
}
