//! Messages to rows: one insert is one table, one day, one block, so that it is stored whole or not at all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use marketprism_core::{DataType, Message};
use tokio::time::Instant;

use crate::client::Store;
use crate::config::ClickHouseConfig;
use crate::error::StoreError;
use crate::native::Block;
use crate::rows::{
    FromEntries, FundingRates, Gaps, Liquidations, LsrAllAccounts, LsrTopPositions, OpenInterests,
    OrderBooks, Trades, VolatilityIndices,
};
use crate::schema::columns;
use crate::table::table;

/// A message and which message of its stream it is.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// Incarnation of the stream.
    pub stream_epoch: u32,
    /// Sequence in the stream.
    pub stream_seq: u64,
}

impl Entry<'_> {
    /// Days since 1970 of the message's event time: the partition its row belongs to.
    #[must_use]
    pub fn day(&self) -> i64 {
        self.message.common().ts_event_us.day()
    }
}

/// How much longer than the server we wait, so that its own answer about a slow insert still arrives.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

impl ClickHouseConfig {
    /// The longest that an insert can take; by then it is stored, or never will be.
    #[must_use]
    pub const fn insert_ends_within(&self) -> Duration {
        self.insert_timeout.saturating_add(ANSWER_GRACE)
    }
}

impl Store {
    /// Inserts messages of one data type and one day. Stored whole when this returns `Ok`; when it does not, nobody
    /// knows, unless the error says that the data was refused.
    ///
    /// # Errors
    /// [`StoreError::MixedBatch`] before anything is sent; [`StoreError::Request`] when the server refuses or is away.
    pub async fn insert(&self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let (data_type, day) = (first.message.data_type(), first.day());
        if entries.iter().any(|entry| entry.message.data_type() != data_type || entry.day() != day) {
            return Err(StoreError::MixedBatch { table: table(data_type) });
        }
        let began = Instant::now();
        let written = self.write(data_type, entries).await;
        let written = written.map_err(|error| {
            self.failed(&format!("insert {} rows into {}", entries.len(), table(data_type)), error)
        });
        self.insert_ended(data_type, began, written.as_ref().err());
        written
    }

    async fn write(&self, data_type: DataType, entries: &[Entry<'_>]) -> clickhouse::error::Result<()> {
        let table = table(data_type);
        let limit = self.config.insert_timeout;
        let block = block_of(data_type, entries, now_micros()).encode();
        let mut insert = self
            .admitted(data_type)
            .insert_formatted_with(format!(
                "INSERT INTO `{table}` ({}) FORMAT Native",
                columns::stored(table)
            ))
            .with_timeouts(Some(limit), Some(self.config.insert_ends_within()));
        insert.send(block.into()).await?;
        insert.end().await
    }
}

/// The columns of messages of one data type.
pub(crate) fn block_of(data_type: DataType, entries: &[Entry<'_>], created_at: i64) -> Block {
    match data_type {
        DataType::Trade => Trades::block(entries, created_at),
        DataType::OrderBook => OrderBooks::block(entries, created_at),
        DataType::FundingRate => FundingRates::block(entries, created_at),
        DataType::OpenInterest => OpenInterests::block(entries, created_at),
        DataType::Liquidation => Liquidations::block(entries, created_at),
        DataType::VolatilityIndex => VolatilityIndices::block(entries, created_at),
        DataType::LsrTopPosition => LsrTopPositions::block(entries, created_at),
        DataType::LsrAllAccount => LsrAllAccounts::block(entries, created_at),
        DataType::Gap => Gaps::block(entries, created_at),
    }
}

/// Now, in µs since 1970.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
