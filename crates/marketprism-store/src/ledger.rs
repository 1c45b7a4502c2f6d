//! The ledger of the cold tier: which ranges were copied and compared. It is the state of the copying; there is no other.

use clickhouse::Row;
use marketprism_core::DataType;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::insert::now_micros;
use crate::range::{Range, Summary};
use crate::table::table;

#[derive(Debug, Row, Serialize, Deserialize)]
struct LedgerRow {
    table_name: String,
    stream_epoch: u32,
    from_seq: u64,
    to_seq: u64,
    rows: u64,
    checksum: u64,
    copied_at: i64,
}

impl Store {
    /// Everything up to this sequence is in the cold tier and was compared; 0 before the first range. Ranges may overlap: an
    /// entry that arrives late, of an instance that another one has taken over from, was as true as the other's.
    ///
    /// # Errors
    /// [`StoreError::LedgerBroken`] when the ranges have a hole; [`StoreError::Request`] when the server does not answer.
    pub async fn watermark(&self, data_type: DataType, stream_epoch: u32) -> Result<u64, StoreError> {
        let table = table(data_type);
        let question = format!(
            "SELECT max(to_seq), minIf(from_seq, from_seq > before + 1), countIf(from_seq > before + 1) FROM (\
             SELECT from_seq, to_seq, max(to_seq) OVER (ORDER BY from_seq, to_seq \
             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
             FROM replication_log WHERE table_name = '{table}' AND stream_epoch = {stream_epoch})"
        );
        let found = self.client.query_raw(&question).fetch_one::<(u64, u64, u64)>();
        let (to_seq, behind_hole, holes) = self.ask("read replication_log", found).await?;
        if holes > 0 {
            return Err(StoreError::LedgerBroken { table, epoch: stream_epoch, holes, behind_hole });
        }
        Ok(to_seq)
    }

    /// Enters a range that was compared.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm it.
    pub async fn enter_range(&self, range: &Range, summary: &Summary) -> Result<(), StoreError> {
        let row = LedgerRow {
            table_name: table(range.data_type).to_owned(),
            stream_epoch: range.stream_epoch,
            from_seq: range.from_seq,
            to_seq: range.to_seq,
            rows: summary.rows,
            checksum: summary.checksum,
            copied_at: now_micros(),
        };
        self.insert_one("replication_log", &row).await
    }

    /// The ranges of a table with what they held when they were compared, in order.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn ranges(&self, data_type: DataType) -> Result<Vec<(Range, Summary)>, StoreError> {
        let found = self
            .client
            .query("SELECT ?fields FROM replication_log WHERE table_name = ? ORDER BY stream_epoch, from_seq, to_seq, copied_at")
            .bind(table(data_type))
            .fetch_all::<LedgerRow>();
        let rows = self.ask("read replication_log", found).await?;
        let entry = |row: LedgerRow| {
            let LedgerRow { stream_epoch, from_seq, to_seq, rows, checksum, .. } = row;
            (Range { data_type, stream_epoch, from_seq, to_seq }, Summary { rows, sequences: rows, checksum })
        };
        Ok(rows.into_iter().map(entry).collect())
    }
}
