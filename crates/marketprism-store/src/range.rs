//! Ranges of stream sequences: the unit in which the cold tier is filled and compared.

use marketprism_core::DataType;

use crate::client::Store;
use crate::error::StoreError;
use crate::schema::columns;
use crate::table::table;

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
        let table = table(data_type);
        let all = Range { data_type, stream_epoch, from_seq: after.saturating_add(1), to_seq: upper };
        let question = format!(
            "SELECT stream_seq FROM `{table}` WHERE {} ORDER BY stream_seq LIMIT {}",
            all.condition(),
            rows_max.saturating_add(1)
        );
        let question = format!("SELECT count(), max(stream_seq) FROM ({question})");
        let found = self.client.query_raw(&question).fetch_one::<(u64, u64)>();
        let (rows, last) = self.ask(&format!("find the next range of {table}"), found).await?;
        Ok(match rows {
            0 => None,
            rows if rows <= rows_max => Some(all),
            // The row beyond the limit begins the range after this one.
            _ => Some(Range { to_seq: last.saturating_sub(1).max(all.from_seq), ..all }),
        })
    }

    /// Counts and checksum of a range.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn summary(&self, range: &Range) -> Result<Summary, StoreError> {
        let table = table(range.data_type);
        // As bytes of RowBinary, because a NULL among a hash function's arguments makes the whole hash NULL.
        let question = format!(
            "SELECT count(), uniqExact(stream_seq), sum(cityHash64(formatRow('RowBinary', {}))) FROM `{table}` WHERE {}",
            columns::stored(table),
            range.condition()
        );
        let found = self.client.query_raw(&question).fetch_one::<(u64, u64, u64)>();
        let (rows, sequences, checksum) = self.ask(&format!("sum up a range of {table}"), found).await?;
        Ok(Summary { rows, sequences, checksum })
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
