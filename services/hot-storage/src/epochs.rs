//! Which stream epoch rows are written in, and from where on a message is certainly new.

use std::sync::Arc;

use marketprism_bus::{Bus, BusError};
use marketprism_core::{DataType, topology};
use marketprism_store::{Store, StoreError, epoch};
use tokio::sync::Mutex;

/// Where a lane is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Epoch of the rows to write.
    pub(crate) epoch: u32,
    /// Highest sequence stored in it: only messages above are certainly new.
    pub(crate) highest: Option<u64>,
}

/// Why the position could not be found; trying again is all that can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocateError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds positions; shared by the lanes, which enter a new epoch one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Locator {
    bus: Bus,
    store: Store,
    entering: Arc<Mutex<()>>,
}

impl Locator {
    pub(crate) fn new(bus: Bus, store: Store) -> Self {
        Self { bus, store, entering: Arc::default() }
    }

    /// Compares the stream with what is stored of it; enters a new epoch where its sequences began anew.
    pub(crate) async fn locate(&self, data_type: DataType) -> Result<Position, LocateError> {
        let stream = topology::stream_of(data_type);
        let entering = self.entering.lock().await;
        // First what is stored, then what the broker has: the other way round, rows stored in between would look like
        // a stream that came back shorter.
        let known = self.store.newest_epoch(stream).await?;
        let state = self.bus.stream_state(stream).await?;
        let (known, highest) = known.map_or((None, None), |(epoch, highest)| (Some(epoch), highest));
        let begins = epoch::begins(known.as_ref(), state.created_us, state.last_sequence, highest);
        let epoch = match (known, begins) {
            (Some(known), None) => known.number,
            (known, reason) => {
                let reason = reason.unwrap_or(epoch::Reason::First);
                let epoch = epoch::Epoch {
                    number: known.map_or(1, |known| known.number.saturating_add(1)),
                    stream_created_us: state.created_us,
                    last_sequence: state.last_sequence,
                };
                self.store.enter_epoch(stream, &epoch, reason).await?;
                tracing::warn!(
                    stream,
                    epoch = epoch.number,
                    reason = reason.as_str(),
                    "a stream epoch begins"
                );
                epoch.number
            }
        };
        drop(entering);
        let highest = self.store.highest_sequence(data_type, epoch).await?;
        Ok(Position { epoch, highest })
    }
}
