//! Ranges of stream sequences: the unit in which the cold tier is filled and compared.

use marketprism_core::DataType;

use crate::client::Store;
use crate::error::StoreError;
use crate::schema::columns;
use crate::table::table;

/// How much wider a range with few rows in it is tried next.
const WIDENING: u64 = 4;

/// Rows of one table whose sequences lie between two bounds, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The table's data type.
    pub data_type: DataType,
    /// Incarnation of the stream.
    pub stream_epoch: u32,
    /// First sequence.
    pub from_seq: u64,
    /// Last sequence.
    pub to_seq: u64,
}

/// What a range holds in one tier; equal in both when it was copied without a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Rows.
    pub rows: u64,
    /// Different sequences; fewer than rows means duplicates.
    pub sequences: u64,
    /// Sum, modulo 2^64, of a hash of every column of each row.
    pub checksum: u64,
}

impl Range {
    pub(crate) fn condition(&self) -> String {
        let Self { stream_epoch, from_seq, to_seq, .. } = self;
        format!("stream_epoch = {stream_epoch} AND stream_seq BETWEEN {from_seq} AND {to_seq}")
    }
}

impl Store {
    /// The longest range after `after`, up to `upper`, with at most `rows_max` rows; `None` where no row is.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn next_range(
        &self,
        data_type: DataType,
        stream_epoch: u32,
        after: u64,
        upper: u64,
        rows_max: u64,
    ) -> Result<Option<Range>, StoreError> {
        if upper <= after {
            return Ok(None);
        }
        let from_seq = after.saturating_add(1);
        // A sequence is in one row at most, so this is a full range where the stream has little else in it. Elsewhere it
        // is widened until it is half full: looking at all that is left, for each range of a long history, would cost more
        // than the copying.
        let mut width = rows_max;
        loop {
            let to_seq = after.saturating_add(width).min(upper);
            let range = Range { data_type, stream_epoch, from_seq, to_seq };
            match self.rows_in(&range).await? {
                0 if to_seq == upper => return Ok(None),
                rows if rows > rows_max => return self.shortened(range, rows_max).await.map(Some),
                rows if to_seq == upper || rows.saturating_mul(2) >= rows_max => return Ok(Some(range)),
                _ => width = width.saturating_mul(WIDENING),
            }
        }
    }

    /// How many rows a range holds.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn rows_in(&self, range: &Range) -> Result<u64, StoreError> {
        let table = table(range.data_type);
        let question = format!("SELECT count() FROM `{table}` WHERE {}", range.condition());
        let found = self.client.query_raw(&question).fetch_one::<u64>();
        self.ask(&format!("count the rows of a range of {table}"), found).await
    }

    /// A range of more than `rows_max` rows, ended before the first row that is too many.
    async fn shortened(&self, range: Range, rows_max: u64) -> Result<Range, StoreError> {
        let table = table(range.data_type);
        let question = format!(
            "SELECT stream_seq FROM `{table}` WHERE {} ORDER BY stream_seq LIMIT {rows_max}, 1",
            range.condition()
        );
        let found = self.client.query_raw(&question).fetch_one::<u64>();
        let beyond = self.ask(&format!("find the end of a range of {table}"), found).await?;
        Ok(Range { to_seq: beyond.saturating_sub(1).max(range.from_seq), ..range })
    }

    /// Counts and checksum of a range.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn summary(&self, range: &Range) -> Result<Summary, StoreError> {
        let table = table(range.data_type);
        let question = format!(
            "SELECT count(), uniqExact(stream_seq), sum(cityHash64({})) FROM `{table}` WHERE {}",
            columns::hashed(table),
            range.condition()
        );
        let found = self.client.query_raw(&question).fetch_one::<(u64, u64, u64)>();
        let (rows, sequences, checksum) = self.ask(&format!("sum up a range of {table}"), found).await?;
        Ok(Summary { rows, sequences, checksum })
    }

    /// The lowest sequence beyond `after` of a row written later than `than_us` (µs since 1970); `None` when all are older.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn first_younger(
        &self,
        data_type: DataType,
        stream_epoch: u32,
        after: u64,
        than_us: i64,
    ) -> Result<Option<u64>, StoreError> {
        let table = table(data_type);
        let question = format!(
            "SELECT minOrNull(stream_seq) FROM `{table}` WHERE stream_epoch = {stream_epoch} AND stream_seq > {after} \
             AND created_at > fromUnixTimestamp64Micro({than_us}, 'UTC')"
        );
        let found = self.client.query_raw(&question).fetch_one::<Option<u64>>();
        self.ask(&format!("find the first row of {table} that is too young"), found).await
    }

    /// When the oldest row beyond a sequence was written, µs since 1970; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn oldest_after(
        &self,
        data_type: DataType,
        stream_epoch: u32,
        after: u64,
    ) -> Result<Option<i64>, StoreError> {
        let table = table(data_type);
        let question = format!(
            "SELECT toUnixTimestamp64Micro(minOrNull(created_at)) FROM `{table}` \
             WHERE stream_epoch = {stream_epoch} AND stream_seq > {after}"
        );
        let found = self.client.query_raw(&question).fetch_one::<Option<i64>>();
        self.ask(&format!("find the oldest row of {table} that is not copied"), found).await
    }

    /// The sequences a range holds, by day (days since 1970), each ascending.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn sequences_by_day(&self, range: &Range) -> Result<Vec<(u32, Vec<u64>)>, StoreError> {
        let table = table(range.data_type);
        let question = format!(
            "SELECT DISTINCT toUInt32(toDate(timestamp)) AS day, stream_seq FROM `{table}` WHERE {} \
             ORDER BY day, stream_seq",
            range.condition()
        );
        let found = self.client.query_raw(&question).fetch_all::<(u32, u64)>();
        let found = self.ask(&format!("read the sequences of a range of {table}"), found).await?;
        let day = |pairs: &[(u32, u64)]| {
            let (day, _) = pairs.first()?;
            Some((*day, pairs.iter().map(|(_, sequence)| *sequence).collect()))
        };
        Ok(found.chunk_by(|(one, _), (next, _)| one == next).filter_map(day).collect())
    }
}
