//! Giving hot rows up once the cold tier holds them: what a day of the hot tier consists of, the log of what was let
//! go, and dropping a part. Whether a part may go is decided by cold-storage; nothing here decides it.
//!
//! A day is a partition. What is dropped are its parts, by name: a name stands for the same rows for ever, so that what
//! was proved is what is dropped, and a row that comes meanwhile is in a part of another name.

use std::time::Duration;

use clickhouse::Row;
use marketprism_core::DataType;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::insert::now_micros;
use crate::range::{Range, Summary};
use crate::schema::columns;
use crate::table::table;

/// Hashing a day of some hundred million rows with one thread takes minutes.
const DAY_TIMEOUT: Duration = Duration::from_secs(900);
/// What the server answers when a part was merged into another one or dropped.
const NO_SUCH_PART: u32 = 232;

/// One day of one table in the hot tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970 (UTC).
    pub number: u16,
    /// `2026-10-08`
    pub name: String,
}

/// The rows of one stream epoch in one part: a part made of rows of several epochs is several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRows {
    /// The part's name, such as `20261008_1_42_3`.
    pub part: String,
    /// Where its sequences lie; others may lie between them.
    pub range: Range,
    /// Rows.
    pub rows: u64,
    /// Sum, modulo 2^64, of the rows' hashes, as in [`Summary`].
    pub checksum: u64,
}

/// An entry of the release log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Days since 1970 (UTC).
    pub day: u16,
    /// What was to be dropped.
    pub rows: PartRows,
    /// The part was not dropped after all: this takes back the entry before it of the same part.
    pub kept: bool,
}

/// The entries of a log, oldest first, that were not taken back.
#[must_use]
pub fn in_effect(log: &[Release]) -> Vec<&Release> {
    let mut entries: Vec<&Release> = Vec::with_capacity(log.len());
    for release in log {
        let PartRows { part, range, .. } = &release.rows;
        let same =
            |one: &&Release| one.rows.part == *part && one.rows.range.stream_epoch == range.stream_epoch;
        match entries.iter().rposition(same) {
            Some(at) if release.kept => drop(entries.remove(at)),
            _ if release.kept => {}
            _ => entries.push(release),
        }
    }
    entries
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct ReleaseRow {
    table_name: String,
    day: u16,
    part: String,
    stream_epoch: u32,
    from_seq: u64,
    to_seq: u64,
    rows: u64,
    checksum: u64,
    kept: bool,
    released_at: i64,
}

impl Store {
    /// The days before a day (days since 1970) of which there are rows, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn days_before(&self, data_type: DataType, day: u16) -> Result<Vec<Day>, StoreError> {
        let table = table(data_type);
        let question = format!(
            "SELECT DISTINCT toUInt16(toDate(partition)) AS day, partition FROM system.parts \
             WHERE database = currentDatabase() AND table = '{table}' AND active AND rows > 0 AND day < {day} ORDER BY day"
        );
        let found = self.client.query_raw(&question).fetch_all::<(u16, String)>();
        let found = self.ask(&format!("list the days of {table}"), found).await?;
        Ok(found.into_iter().map(|(number, name)| Day { number, name }).collect())
    }

    /// The parts of a day as they are at one moment, by name.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn parts_of(&self, data_type: DataType, day: &Day) -> Result<Vec<PartRows>, StoreError> {
        let table = table(data_type);
        let question = format!(
            "SELECT _part, stream_epoch, min(stream_seq), max(stream_seq), count(), sum(cityHash64({})) FROM `{table}` \
             WHERE toDate(timestamp) = toDate({}) GROUP BY _part, stream_epoch ORDER BY _part, stream_epoch",
            columns::hashed(table),
            day.number
        );
        let found = self.unhurried(&question).fetch_all::<(String, u32, u64, u64, u64, u64)>();
        let operation = format!("sum up the parts of {table} {}", day.name);
        let found = self.within(DAY_TIMEOUT, &operation, found).await?;
        let part = |(part, stream_epoch, from_seq, to_seq, rows, checksum)| {
            let range = Range { data_type, stream_epoch, from_seq, to_seq };
            PartRows { part, range, rows, checksum }
        };
        Ok(found.into_iter().map(part).collect())
    }

    /// Counts and checksum of a range as far as it lies in one day.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn summary_of_day(&self, range: &Range, day: &Day) -> Result<Summary, StoreError> {
        let table = table(range.data_type);
        let question = format!(
            "SELECT count(), uniqExact(stream_seq), sum(cityHash64({})) FROM `{table}` \
             WHERE {} AND toDate(timestamp) = toDate({})",
            columns::hashed(table),
            range.condition(),
            day.number
        );
        let found = self.unhurried(&question).fetch_one::<(u64, u64, u64)>();
        let operation = format!("sum up {table} {}", day.name);
        let (rows, sequences, checksum) = self.within(DAY_TIMEOUT, &operation, found).await?;
        Ok(Summary { rows, sequences, checksum })
    }

    /// The log of what was let go of a table, oldest first; of one day, or of all.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn releases(&self, data_type: DataType, day: Option<&Day>) -> Result<Vec<Release>, StoreError> {
        let (from, to) = day.map_or((0, u16::MAX), |day| (day.number, day.number));
        let question = format!(
            "SELECT ?fields FROM release_log WHERE table_name = '{}' AND day BETWEEN toDate({from}) AND toDate({to}) \
             ORDER BY released_at, part, stream_epoch",
            table(data_type)
        );
        let found = self.client.query(&question).fetch_all::<ReleaseRow>();
        let release = |row: ReleaseRow| {
            let ReleaseRow { day, part, stream_epoch, from_seq, to_seq, rows, checksum, kept, .. } = row;
            let range = Range { data_type, stream_epoch, from_seq, to_seq };
            Release { day, rows: PartRows { part, range, rows, checksum }, kept }
        };
        Ok(self.ask("read release_log", found).await?.into_iter().map(release).collect())
    }

    /// Enters a part that is to be dropped, or, with `kept`, that it was not dropped after all.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm it; it may be entered nevertheless.
    pub async fn enter_release(&self, day: &Day, part: &[PartRows], kept: bool) -> Result<(), StoreError> {
        let released_at = now_micros();
        let written = async {
            let mut insert = self.inserter.insert::<ReleaseRow>("release_log").await?;
            for PartRows { part, range, rows, checksum } in part {
                let row = ReleaseRow {
                    table_name: table(range.data_type).to_owned(),
                    day: day.number,
                    part: part.clone(),
                    stream_epoch: range.stream_epoch,
                    from_seq: range.from_seq,
                    to_seq: range.to_seq,
                    rows: *rows,
                    checksum: *checksum,
                    kept,
                    released_at,
                };
                insert.write(&row).await?;
            }
            insert.end().await
        };
        self.within(self.config.insert_timeout, "insert into release_log", written).await
    }

    /// Drops one part; `false` when there is none of that name any more.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm it; it may be dropped nevertheless.
    pub async fn drop_part(&self, data_type: DataType, part: &str) -> Result<bool, StoreError> {
        let table = table(data_type);
        // The server's limit is against drops by mistake.
        let dropped = self
            .client
            .query(&format!("ALTER TABLE `{table}` DROP PART ?"))
            .bind(part)
            .with_setting("max_partition_size_to_drop", "0")
            .execute();
        match self.within(self.config.insert_timeout, &format!("drop part {part} of {table}"), dropped).await
        {
            Ok(()) => Ok(true),
            Err(StoreError::Request { code: Some(NO_SUCH_PART), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A question about a whole day: one thread, so that it takes no other's turn.
    fn unhurried(&self, question: &str) -> clickhouse::query::Query {
        self.client
            .query_raw(question)
            .with_setting("max_threads", "1")
            .with_setting("max_execution_time", DAY_TIMEOUT.as_secs().to_string())
    }
}
