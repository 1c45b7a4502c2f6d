//! Rows by their hashes: what a message must look like once it is stored, what is stored, and the few changes that put a row
//! right. Whether a row is wrong is decided by `marketprism-integrity`; nothing here decides it.

use marketprism_core::{DataType, Message};
use twox_hash::XxHash64;

use crate::client::Store;
use crate::error::StoreError;
use crate::insert::{Entry, block_of};
use crate::range::Range;
use crate::schema::columns;
use crate::table::table;

/// The one column that no message tells.
const WRITTEN_AT: &str = "created_at";

/// A stored row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Its sequence in the stream.
    pub stream_seq: u64,
    /// Hash of every column but `created_at`: equal to [`content`] of its message.
    pub content: u64,
    /// Hash of every column, of which [`crate::range::Summary`] is the sum.
    pub row: u64,
}

/// The hash that the row of a message must have, in every column but `created_at`.
#[must_use]
pub fn content(message: &Message<'_>, stream_epoch: u32, stream_seq: u64) -> u64 {
    let block = block_of(message.data_type(), &[Entry { message, stream_epoch, stream_seq }], 0);
    let mut bytes = Vec::with_capacity(512);
    for column in block.columns.iter().filter(|column| column.name() != WRITTEN_AT) {
        column.append_row_binary(&mut bytes);
    }
    XxHash64::oneshot(0, &bytes)
}

fn content_columns(table: &str) -> String {
    let all = columns::stored(table).split(", ");
    all.filter(|column| column.trim_matches('`') != WRITTEN_AT).collect::<Vec<_>>().join(", ")
}

impl Store {
    /// The rows of a range, by sequence; a sequence that is stored twice is there twice.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn fingerprints(&self, range: &Range) -> Result<Vec<Fingerprint>, StoreError> {
        let table = table(range.data_type);
        let question = format!(
            "SELECT stream_seq, xxHash64(formatRow('RowBinary', {})) AS content, cityHash64({}) AS row \
             FROM `{table}` WHERE {} ORDER BY stream_seq, row",
            content_columns(table),
            columns::hashed(table),
            range.condition()
        );
        let found = self.client.query_raw(&question).fetch_all::<(u64, u64, u64)>();
        let found = self.ask(&format!("read the hashes of a range of {table}"), found).await?;
        let fingerprint = |(stream_seq, content, row)| Fingerprint { stream_seq, content, row };
        Ok(found.into_iter().map(fingerprint).collect())
    }

    /// Copies into `self` the one row of a sequence that has this hash in `other`, whatever is here already. `still_ours` as in
    /// [`Store::copy_missing`].
    ///
    /// # Errors
    /// [`StoreError::Request`] of either tier, or what `still_ours` says.
    pub async fn copy_row<E, F>(
        &self,
        other: &Self,
        range: &Range,
        row: u64,
        still_ours: impl Fn() -> F,
    ) -> Result<(), E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<(), E>>,
    {
        self.copy_rows(other, range.data_type, &condition(range, row), still_ours).await.map(drop)
    }

    /// Deletes the rows of a range that have one of these hashes, and waits until that is done.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm it; it may be done nevertheless.
    pub async fn delete_rows(&self, range: &Range, rows: &[u64]) -> Result<(), StoreError> {
        for row in rows {
            self.delete(range.data_type, &condition(range, *row)).await?;
        }
        Ok(())
    }

    /// Leaves one of the rows of a sequence that are equal in every column. Rows that are equal cannot be told apart, so one is
    /// written with `created_at` a microsecond later, the equal ones are deleted, and it is written back: at every moment there
    /// is at least one, and a run that was interrupted is finished by the next one.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm a step.
    pub async fn keep_one(&self, range: &Range, row: u64) -> Result<(), StoreError> {
        let table = table(range.data_type);
        let Range { data_type, stream_epoch, from_seq, .. } = *range;
        let of_sequence = format!("stream_epoch = {stream_epoch} AND stream_seq = {from_seq}");
        let moved = |micros: i64| {
            let others = content_columns(table);
            format!(
                "INSERT INTO `{table}` ({others}, `{WRITTEN_AT}`) \
                 SELECT {others}, addMicroseconds(`{WRITTEN_AT}`, {micros}) FROM `{table}` WHERE {of_sequence}"
            )
        };
        let operation = format!("leave one of the equal rows of {table}");
        let equal = condition(range, row);
        self.execute(&operation, &format!("{} AND {} LIMIT 1", moved(1), hash_is(table, row))).await?;
        self.delete(data_type, &equal).await?;
        self.execute(&operation, &format!("{} LIMIT 1", moved(-1))).await?;
        self.delete(data_type, &format!("{of_sequence} AND NOT ({})", hash_is(table, row))).await
    }

    async fn delete(&self, data_type: DataType, condition: &str) -> Result<(), StoreError> {
        let table = table(data_type);
        let statement = format!("ALTER TABLE `{table}` DELETE WHERE {condition} SETTINGS mutations_sync = 2");
        self.execute(&format!("delete rows of {table}"), &statement).await
    }
}

fn hash_is(table: &str, row: u64) -> String {
    format!("cityHash64({}) = {row}", columns::hashed(table))
}

fn condition(range: &Range, row: u64) -> String {
    format!("{} AND {}", range.condition(), hash_is(table(range.data_type), row))
}
