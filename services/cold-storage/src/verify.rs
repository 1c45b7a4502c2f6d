//! `--verify`: every range of the ledger against the rows that are in the cold tier now. Changes nothing.

use marketprism_core::DataType;
use marketprism_service::Report;
use marketprism_store::{Store, table};

use crate::replicator::Shown;

/// Fails when a range is not what it was when it was copied.
pub(crate) async fn verify(cold: &Store) -> Result<(), Report> {
    let (mut ranges, mut rows, mut differing) = (0_u64, 0_u64, 0_u64);
    for data_type in DataType::ALL.iter().copied() {
        for (range, entered) in cold.ranges(data_type).await? {
            let found = cold.summary(&range).await?;
            ranges += 1;
            rows += found.rows;
            if found != entered {
                differing += 1;
                tracing::error!(
                    table = table(data_type),
                    epoch = range.stream_epoch,
                    from = range.from_seq,
                    to = range.to_seq,
                    ledger = %Shown(&entered),
                    found = %Shown(&found),
                    "range differs from the ledger"
                );
            }
        }
    }
    if differing > 0 {
        return Err(Report::message(format!("{differing} of {ranges} ranges differ from the ledger")));
    }
    tracing::info!(ranges, rows, "the cold tier is what the ledger says");
    Ok(())
}
