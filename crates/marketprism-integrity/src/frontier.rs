//! How far the hot tier is complete: only what lies below may be copied, so that no late row is ever missed.

use marketprism_bus::{Bus, StreamState};
use marketprism_core::{DataType, topology};
use marketprism_store::Store;
use marketprism_store::epoch::Epoch;

use crate::IntegrityError;

/// One epoch of a table, and the last sequence up to which every row of it is in the hot tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frontier {
    /// The epoch.
    pub epoch: u32,
    /// The last sequence.
    pub upper: u64,
}

/// The frontiers of a table, oldest epoch first. Of an epoch that is over, what is in the ledger of the cold tier is not looked at
/// again.
///
/// # Errors
/// When the broker or the hot tier does not answer.
pub async fn frontiers(
    bus: &Bus,
    hot: &Store,
    cold: &Store,
    data_type: DataType,
) -> Result<Vec<Frontier>, IntegrityError> {
    let stream = topology::stream_of(data_type);
    let epochs = hot.epochs(stream).await?;
    let mut frontiers = Vec::with_capacity(epochs.len());
    let Some((newest, ended)) = epochs.split_last() else { return Ok(frontiers) };
    for epoch in ended {
        // The stream is gone, so what is stored is all there will ever be.
        let copied = cold.watermark(data_type, epoch.number).await?;
        let upper = hot.highest_after(data_type, Some(epoch.number), copied).await?.unwrap_or(copied);
        frontiers.push(Frontier { epoch: epoch.number, upper });
    }
    // Everything at or below the floor was acknowledged, and hot-storage acknowledges only what is stored.
    let floor = bus.ack_floor(stream, &topology::hot_consumer(data_type)).await?.unwrap_or_default();
    let state = bus.stream_state(stream).await?;
    if belongs(newest, floor, &state) {
        frontiers.push(Frontier { epoch: newest.number, upper: floor });
    }
    Ok(frontiers)
}

/// Whether a floor tells of this epoch. A stream that was made anew has sequences of its own; hot-storage will enter
/// an epoch for them, and until then there is nothing new to copy.
const fn belongs(epoch: &Epoch, floor: u64, state: &StreamState) -> bool {
    epoch.stream_created_us == state.created_us && floor <= state.last_sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_of_another_stream_is_not_used() {
        let epoch = Epoch { number: 1, stream_created_us: 7, last_sequence: 0 };
        let state = |created_us, last_sequence| StreamState {
            first_sequence: 1,
            last_sequence,
            messages: 0,
            bytes: 0,
            created_us,
        };
        assert!(belongs(&epoch, 10, &state(7, 10)));
        assert!(!belongs(&epoch, 10, &state(8, 10)), "made anew");
        assert!(!belongs(&epoch, 10, &state(7, 9)), "shorter than what was acknowledged");
    }
}
