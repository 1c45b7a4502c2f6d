//! How many rows a tier holds, by symbol and day, and how many of them the ledger proves: what people look at to see whether
//! something is missing.

use std::time::Duration;

use marketprism_core::{DataType, MarketType};

use crate::client::Store;
use crate::error::StoreError;
use crate::table::table;

/// A question of people must not hold up the writers: one thread, and given up after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Symbol-days in one answer: 1000 symbols over 30 days.
pub const LINES_MAX: usize = 30_000;

/// The symbols of one market from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census<'a> {
    /// The exchange's token, such as `binance`.
    pub exchange: &'a str,
    /// Its market.
    pub market_type: MarketType,
    /// First day, days since 1970 (UTC).
    pub from_day: u16,
}

/// The rows of one symbol on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolDay {
    /// Canonical symbol.
    pub symbol: String,
    /// Days since 1970 (UTC).
    pub day: u16,
    /// Rows.
    pub rows: u64,
}

/// What is declared missing of one symbol on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapDay {
    /// Canonical symbol.
    pub symbol: String,
    /// Days since 1970 (UTC).
    pub day: u16,
    /// Gaps declared.
    pub gaps: u64,
    /// Those of them in which something is missing still.
    pub open: u64,
}

impl Store {
    /// Rows of a data type, by symbol and day; at most 30 000 lines.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer within 10 s.
    pub async fn rows_by_day(
        &self,
        data_type: DataType,
        of: Census<'_>,
    ) -> Result<Vec<SymbolDay>, StoreError> {
        self.count_by_day(data_type, &format!("WHERE {}", of.condition()), of).await
    }

    /// Rows of a data type of the cold tier that the ledger covers, as [`Store::rows_by_day`].
    ///
    /// # Errors
    /// As [`Store::rows_by_day`].
    pub async fn proved_rows_by_day(
        &self,
        data_type: DataType,
        of: Census<'_>,
    ) -> Result<Vec<SymbolDay>, StoreError> {
        // The ledger of an epoch has no holes, or the copy has stopped.
        let proved = format!(
            "INNER JOIN (SELECT stream_epoch, max(to_seq) AS proved_seq FROM replication_log WHERE table_name = '{}' \
             GROUP BY stream_epoch) AS ledger USING stream_epoch WHERE {} AND stream_seq <= proved_seq",
            table(data_type),
            of.condition()
        );
        self.count_by_day(data_type, &proved, of).await
    }

    async fn count_by_day(
        &self,
        data_type: DataType,
        which: &str,
        of: Census<'_>,
    ) -> Result<Vec<SymbolDay>, StoreError> {
        let table = table(data_type);
        let question = format!(
            "SELECT symbol, toUInt16(toDate(timestamp)) AS day, count() AS rows FROM `{table}` \
             {which} GROUP BY symbol, day ORDER BY symbol, day LIMIT {LINES_MAX}"
        );
        let found = self.patient(&question).bind(of.exchange).fetch_all::<(String, u16, u64)>();
        let found = self.within(PATIENCE, &format!("count the rows of {table} by day"), found).await?;
        Ok(found.into_iter().map(|(symbol, day, rows)| SymbolDay { symbol, day, rows }).collect())
    }

    /// Gaps of a data type, by symbol and the day on which they were declared; at most 30 000 lines.
    ///
    /// # Errors
    /// As [`Store::rows_by_day`].
    pub async fn gaps_by_day(&self, data_type: DataType, of: Census<'_>) -> Result<Vec<GapDay>, StoreError> {
        // A gap without numbers was never filled; one with numbers is closed once all of them came back.
        let question = format!(
            "SELECT symbol, toUInt16(toDate(timestamp)) AS day, count() AS gaps, \
             countIf(ifNull(filled < to_sequence - from_sequence + 1, true)) AS open FROM gaps \
             WHERE {} AND missing_data_type = '{data_type}' GROUP BY symbol, day ORDER BY symbol, day LIMIT {LINES_MAX}",
            of.condition()
        );
        let found = self.patient(&question).bind(of.exchange).fetch_all::<(String, u16, u64, u64)>();
        let found = self.within(PATIENCE, "count the gaps by day", found).await?;
        Ok(found.into_iter().map(|(symbol, day, gaps, open)| GapDay { symbol, day, gaps, open }).collect())
    }

    fn patient(&self, question: &str) -> clickhouse::query::Query {
        self.client
            .query(question)
            .with_setting("max_threads", "1")
            .with_setting("max_execution_time", PATIENCE.as_secs().to_string())
    }
}

impl Census<'_> {
    /// A condition on the tables' sorting key; the exchange is bound to its `?`.
    fn condition(&self) -> String {
        let Self { market_type, from_day, .. } = self;
        format!("exchange = ? AND market_type = '{market_type}' AND toDate(timestamp) >= toDate({from_day})")
    }
}
