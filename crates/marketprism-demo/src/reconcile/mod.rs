//! What the exchange sent against what each tier holds: message by message, not count by count.
//!
//! The simulator's ledger has a line for every event that was written to a subscriber's socket. A trade must be in each tier
//! exactly once with the same price, quantity, side and time. A book's stored rows must add up to the updates sent
//! (`update_count`), none twice, and show the exchange's own best bid and ask at their update id. Of everything else the values
//! must be there at their time.

//!
//! What is in neither tier must be declared by a `gap` row: the collector never had it, and said so. A run of any length is
//! reconciled in parts ([`Reconciler::settle`]), so that memory is bounded by the longest part.

mod books;
mod events;
mod findings;
mod gaps;
mod ledger;
mod trades;
mod windows;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::PathBuf;

use serde::Serialize;

use books::{Books, BooksMark};
use events::{Events, EventsMark};
use gaps::Gaps;
use ledger::Sent;
use trades::{Side, Trades};
pub use windows::TABLES;
use windows::{Positions, Windows};

use crate::failure::{Failure, io};
use crate::http::Http;
use crate::sample::Key;

/// A tier to read.
#[derive(Debug, Clone)]
pub struct Tier {
    /// Its HTTP interface.
    pub url: String,
    /// Its database.
    pub database: &'static str,
}

/// The result for one data type of one exchange's market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Events the exchange wrote to a socket of ours.
    pub sent: u64,
    /// Of them (or, for order books, of the updates), contained in the hot tier.
    pub hot: u64,
    /// Contained in the cold tier.
    pub cold: u64,
    /// Sent, in neither tier, and declared missing by a gap.
    pub declared: u64,
    /// Sent, missing in either tier, and not declared.
    pub lost: u64,
    /// Rows too many, in both tiers together.
    pub duplicated: u64,
    /// Stored with another content than was sent, in both tiers together.
    pub different: u64,
    /// Stored contents that were compared with what was sent.
    pub compared: u64,
    /// Rows in the hot tier of events that happened while nobody was connected, fetched afterwards.
    pub backfilled: u64,
    /// Rows in the hot tier that nobody sent and nobody fetched.
    pub unexpected: u64,
    /// Rows in the hot tier.
    pub rows: u64,
}

impl Account {
    /// True where every message is stored exactly once and unchanged.
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.different == 0 && self.unexpected == 0
    }

    /// Adds another account, for totals.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.hot += other.hot;
        self.cold += other.cold;
        self.declared += other.declared;
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
    /// Gaps by data type and reason.
    pub gaps: Vec<GapCount>,
    /// The first messages that are wrong, by name.
    pub findings: Vec<String>,
    pub(crate) trade_ids: Vec<trades::IdRange>,
    /// False for a run that sent nothing: an empty run proves nothing.
    pub(crate) proven: bool,
}

/// Gaps of one kind in the hot tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GapCount {
    pub(crate) data_type: String,
    pub(crate) reason: String,
    /// How many.
    pub gaps: u64,
    /// Messages recovered.
    pub filled: u64,
}

impl Verdict {
    /// True only for a run in which something was sent, and all of it is stored exactly once and unchanged, or declared.
    pub fn is_clean(&self) -> bool {
        self.proven && self.accounts.values().all(Account::is_clean)
    }

    /// All accounts together.
    pub fn total(&self) -> Account {
        let mut total = Account::default();
        self.accounts.values().for_each(|account| total.add(account));
        total
    }
}

/// A point up to which everything was compared. Only what came later is read again.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    ledger_bytes: u64,
    rows: Positions,
    books: BooksMark,
    events: EventsMark,
}

/// Compares the ledger with both tiers, part by part.
#[derive(Debug)]
pub struct Reconciler {
    http: Http,
    ledger: PathBuf,
    hot: Tier,
    cold: Tier,
    mark: Mark,
}

impl Reconciler {
    /// From the beginning.
    pub fn new(http: Http, ledger: PathBuf, hot: Tier, cold: Tier) -> Self {
        Self { http, ledger, hot, cold, mark: Mark::default() }
    }

    /// Compares what came since the last mark; gives the mark after it. The ledger is to be flushed and both tiers at rest,
    /// or what is on its way is called lost.
    ///
    /// # Errors
    /// When a tier does not answer, or the ledger cannot be read.
    pub async fn compare(&self) -> Result<(Verdict, Mark), Failure> {
        let Self { http, ledger, hot, cold, mark } = self;
        let rows = Positions::read(http, hot).await?;
        let windows = Windows::between(&mark.rows, &rows);
        let mut sent = Sent {
            trades: Trades::default(),
            books: Books::after(&mark.books),
            events: Events::after(&mark.events),
        };
        let ledger_bytes = ledger::read(ledger, mark.ledger_bytes, &mut sent)?;
        let Sent { mut trades, books, mut events } = sent;
        trades::read_tier(&mut trades, http, hot, Side::Hot, windows).await?;
        trades::read_tier(&mut trades, http, cold, Side::Cold, windows).await?;
        events.read_tier(http, hot, Side::Hot, windows).await?;
        events.read_tier(http, cold, Side::Cold, windows).await?;
        let hot_books = books::read_tier(http, hot, windows).await?;
        let cold_books = books::read_tier(http, cold, windows).await?;
        let gaps = Gaps::read(http, hot, windows).await?;
        let next =
            Mark { ledger_bytes, rows, books: books.mark(&mark.books, &hot_books), events: events.mark() };
        let mut verdict = Verdict { trade_ids: trades.ids(), gaps: gaps.counts(), ..Verdict::default() };
        let accounts = &mut verdict.accounts;
        let mut findings = trades.settle(&gaps, accounts).into_lines();
        findings.extend(events.settle(&gaps, accounts).into_lines());
        let of_books = books::settle(&books, &mark.books, [&hot_books, &cold_books], &gaps, accounts);
        findings.extend(of_books.into_lines());
        verdict.findings = findings;
        verdict.proven = verdict.accounts.values().any(|account| account.sent > 0);
        Ok((verdict, next))
    }

    /// Goes on after a mark. The ledger is emptied when nothing came after it, so that a long run does not fill the disk.
    ///
    /// # Errors
    /// When the ledger cannot be emptied.
    pub fn settle(&mut self, mark: Mark) -> Result<(), Failure> {
        self.mark = mark;
        // The simulator appends, so its next line is the first.
        let ledger = OpenOptions::new().write(true).open(&self.ledger).map_err(io("open the ledger"))?;
        if ledger.metadata().map_err(io("look at the ledger"))?.len() == self.mark.ledger_bytes {
            ledger.set_len(0).map_err(io("empty the ledger"))?;
            self.mark.ledger_bytes = 0;
        }
        Ok(())
    }
}

/// What is stored, where nobody knows what was sent.
pub(crate) async fn stored_only(http: &Http, hot: &Tier, cold: &Tier) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    let mut trades = trades::Trades::of_unknown_exchange();
    trades::read_tier(&mut trades, http, hot, Side::Hot, Windows::ALL).await?;
    trades::read_tier(&mut trades, http, cold, Side::Cold, Windows::ALL).await?;
    verdict.trade_ids = trades.ids();
    let gaps = Gaps::read(http, hot, Windows::ALL).await?;
    verdict.findings = trades.settle(&gaps, &mut verdict.accounts).into_lines();
    let hot_books = books::read_tier(http, hot, Windows::ALL).await?;
    let cold_books = books::read_tier(http, cold, Windows::ALL).await?;
    books::settle_unknown(&hot_books, &cold_books, &mut verdict.accounts);
    verdict.gaps = gaps.counts();
    verdict.proven = verdict.accounts.values().any(|account| account.rows > 0);
    Ok(verdict)
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
