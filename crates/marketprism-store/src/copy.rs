//! Rows from one tier to the other, as they are, in constant memory: the bytes pass through and are not decoded.

use std::collections::HashSet;

use marketprism_core::DataType;

use crate::client::Store;
use crate::error::StoreError;
use crate::range::Range;
use crate::schema::columns;
use crate::table::table;

/// What went from one tier to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Rows.
    pub rows: u64,
    /// Bytes of the blocks they were sent in.
    pub bytes: u64,
}

impl Store {
    /// Copies into `self` those rows of a range that it lacks. What a run before this one left
    /// behind is found by its sequences: of each day all rows of an insert, or none.
    ///
    /// # Errors
    /// [`StoreError::Request`] of either tier; copying the range again then is safe.
    pub async fn copy_missing(&self, hot: &Self, range: &Range) -> Result<Copied, StoreError> {
        self.settled(range.data_type).await?;
        if self.rows_in(range).await? == 0 {
            let rows = hot.rows_in(range).await?;
            let bytes = self.copy_rows(hot, range.data_type, &range.condition()).await?;
            return Ok(Copied { rows, bytes });
        }
        let present = self.sequences_by_day(range).await?;
        let present: HashSet<u64> = present.into_iter().flat_map(|(_, sequences)| sequences).collect();
        let mut copied = Copied::default();
        for (day, sequences) in hot.sequences_by_day(range).await? {
            for (from_seq, to_seq, rows) in missing_spans(&sequences, &present) {
                let span = Range { from_seq, to_seq, ..*range }.condition();
                let condition = format!("{span} AND toDate(timestamp) = toDate({day})");
                copied.bytes += self.copy_rows(hot, range.data_type, &condition).await?;
                copied.rows += rows;
            }
        }
        Ok(copied)
    }

    /// One insert: rows of which this tier has none. Returns how many bytes were sent.
    pub(crate) async fn copy_rows(
        &self,
        hot: &Self,
        data_type: DataType,
        condition: &str,
    ) -> Result<u64, StoreError> {
        let table = table(data_type);
        let columns = columns::stored(table);
        let read_operation = format!("read rows of {table}");
        let write_operation = format!("copy rows into {table}");
        let question = format!("SELECT {columns} FROM `{table}` WHERE {condition}");
        let mut rows = hot
            .client
            .query_raw(&question)
            .fetch_bytes("Native")
            .map_err(|error| hot.failed(&read_operation, error))?;
        let limit = self.config.insert_timeout;
        let mut insert = self
            .inserter
            .insert_formatted_with(format!("INSERT INTO `{table}` ({columns}) FORMAT Native"))
            // Rows that were delivered late, or fetched afterwards, can be of any number of days.
            .with_setting("max_partitions_per_insert_block", "0")
            .with_timeouts(Some(limit), Some(limit));
        // Left early by an error, the insert is dropped unended: the server stores nothing of it.
        let mut sent = 0;
        while let Some(bytes) = hot.ask(&read_operation, rows.next()).await? {
            sent += bytes.len() as u64;
            insert.send(bytes).await.map_err(|error| self.failed(&write_operation, error))?;
        }
        insert.end().await.map_err(|error| self.failed(&write_operation, error))?;
        Ok(sent)
    }
}

/// The first and last sequence, and the number of rows, of each run of `sequences` of which none is present.
fn missing_spans(sequences: &[u64], present: &HashSet<u64>) -> Vec<(u64, u64, u64)> {
    sequences
        .chunk_by(|one, next| present.contains(one) == present.contains(next))
        .filter_map(|run| match (run.first(), run.last()) {
            (Some(first), Some(last)) if !present.contains(first) => Some((*first, *last, run.len() as u64)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runs_that_are_wholly_missing_are_copied() {
        let sequences = [2, 4, 6, 8, 10, 12];
        let spans = |present: &[u64]| missing_spans(&sequences, &present.iter().copied().collect());
        assert_eq!(spans(&[]), [(2, 12, 6)]);
        assert_eq!(spans(&[2, 4]), [(6, 12, 4)]);
        assert_eq!(spans(&[6]), [(2, 4, 2), (8, 12, 3)]);
        assert_eq!(spans(&sequences), []);
        // Present in another day, between ours: no matter.
        assert_eq!(spans(&[3, 5]), [(2, 12, 6)]);
    }
}
