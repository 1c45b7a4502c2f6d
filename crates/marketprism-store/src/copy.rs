//! Rows from one tier to the other, as they are, in constant memory: the bytes pass through and are not decoded.

use std::collections::HashSet;

use marketprism_core::DataType;
use tokio::time::Instant;

use crate::client::Store;
use crate::error::StoreError;
use crate::range::Range;
use crate::schema::columns;
use crate::table::table;

/// A server lists an insert as running, for [`Store::settled`] to see, once it has read so much of it (its `max_query_size`).
/// So much is sent at once: whoever is frozen behind it is seen by the instance that takes over.
const LISTED_BYTES: usize = 256 << 10;

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
    /// behind is found by its sequences: of each day all rows of an insert, or none. `still_ours` is asked right before each
    /// insert is sent, whether this process is still the one that copies; an insert that arrives later than
    /// [`Store::ADMITTED_AT_MOST`] after that is refused by the server.
    ///
    /// # Errors
    /// [`StoreError::Request`] of either tier, or what `still_ours` says; copying the range again then is safe.
    pub async fn copy_missing<E, F>(
        &self,
        hot: &Self,
        range: &Range,
        still_ours: impl Fn() -> F,
    ) -> Result<Copied, E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<(), E>>,
    {
        self.settled(range.data_type).await?;
        if self.rows_in(range).await? == 0 {
            let rows = hot.rows_in(range).await?;
            let bytes = self.copy_rows(hot, range.data_type, &range.condition(), &still_ours).await?;
            return Ok(Copied { rows, bytes });
        }
        let present = self.sequences_by_day(range).await?;
        let present: HashSet<u64> = present.into_iter().flat_map(|(_, sequences)| sequences).collect();
        let mut copied = Copied::default();
        for (day, sequences) in hot.sequences_by_day(range).await? {
            for (from_seq, to_seq, rows) in missing_spans(&sequences, &present) {
                let span = Range { from_seq, to_seq, ..*range }.condition();
                let condition = format!("{span} AND toDate(timestamp) = toDate({day})");
                copied.bytes += self.copy_rows(hot, range.data_type, &condition, &still_ours).await?;
                copied.rows += rows;
            }
        }
        Ok(copied)
    }

    /// One insert: rows of which this tier has none. Returns how many bytes were sent.
    pub(crate) async fn copy_rows<E, F>(
        &self,
        hot: &Self,
        data_type: DataType,
        condition: &str,
        still_ours: impl Fn() -> F,
    ) -> Result<u64, E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<(), E>>,
    {
        let table = table(data_type);
        let columns = columns::stored(table);
        let read_operation = format!("read rows of {table}");
        let question = format!("SELECT {columns} FROM `{table}` WHERE {condition}");
        let mut rows = hot
            .client
            .query_raw(&question)
            .fetch_bytes("Native")
            .map_err(|error| hot.failed(&read_operation, error))?;
        let mut first = Vec::new();
        while first.len() <= LISTED_BYTES
            && let Some(bytes) = hot.ask(&read_operation, rows.next()).await?
        {
            first.extend_from_slice(&bytes);
        }
        self.admit(data_type).await?;
        // Last, so that what was asked before is still true.
        still_ours().await?;
        let began = Instant::now();
        let copied = async {
            let failed = |error| self.failed(&format!("copy rows into {table}"), error);
            let mut insert = self
                .admitted(data_type)
                .insert_formatted_with(format!("INSERT INTO `{table}` ({columns}) FORMAT Native"))
                // Rows that were delivered late, or fetched afterwards, can be of any number of days.
                .with_setting("max_partitions_per_insert_block", "0")
                .with_timeouts(Some(self.config.insert_timeout), Some(self.config.insert_ends_within()));
            // Left early by an error, the insert is dropped unended: the server stores nothing of it.
            let mut sent = first.len() as u64;
            insert.send(first.into()).await.map_err(failed)?;
            while let Some(bytes) = hot.ask(&read_operation, rows.next()).await? {
                sent += bytes.len() as u64;
                insert.send(bytes).await.map_err(failed)?;
            }
            insert.end().await.map_err(failed)?;
            Ok(sent)
        };
        let copied: Result<u64, StoreError> = copied.await;
        self.insert_ended(data_type, began, copied.as_ref().err());
        Ok(copied?)
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
