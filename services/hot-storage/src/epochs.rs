//! Which stream epoch rows are written in, and from where on a message is certainly new.

use std::collections::BTreeMap;
use std::sync::Arc;

use marketprism_bus::{Bus, BusError};
use marketprism_core::{DataType, topology};
use marketprism_store::{Entry, Store, StoreError, epoch};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::lane::read;

/// So many messages behind the end of a stream something of most tables is stored: what lies before need not be read to find the
/// highest sequence.
const NEAR_MESSAGES: u64 = 1_000_000;

/// Where a lane is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Epoch of the rows to write.
    pub(crate) epoch: u32,
    /// Highest sequence stored, in it or before it: only messages above are certainly new.
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

impl LocateError {
    /// Whether ClickHouse is merely away: what waits meanwhile is kept by the stream.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// Finds positions; shared by the lanes, which enter a new epoch one after the other. When the broker comes back all of them
/// ask at once: what one found out of the stream since then is good for the others, or the last of them would wait until its
/// messages are no longer its own.
#[derive(Debug, Clone)]
pub(crate) struct Locator {
    bus: Bus,
    store: Store,
    /// Of each stream what was found last, and when the looking for it began.
    found: Arc<Mutex<BTreeMap<&'static str, (Instant, Found)>>>,
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy)]
struct Found {
    epoch: u32,
    /// A sequence that has probably been reached by what is stored.
    near: u64,
}

impl Locator {
    pub(crate) fn new(bus: Bus, store: Store) -> Self {
        Self { bus, store, found: Arc::default() }
    }

    /// Which epoch the stream is in, as of now or later, and what is stored of the data type.
    pub(crate) async fn locate(&self, data_type: DataType) -> Result<Position, LocateError> {
        let stream = topology::stream_of(data_type);
        let asked = Instant::now();
        let mut found = self.found.lock().await;
        let known = match found.get(stream) {
            Some((began, known)) if *began >= asked => *known,
            _ => {
                let began = Instant::now();
                let known = self.epoch_of(stream).await?;
                found.insert(stream, (began, known));
                known
            }
        };
        drop(found);
        // An insert of another instance, which runs or has just ended, counts.
        self.store.settled(data_type).await?;
        let highest = self.store.highest_near(data_type, None, known.near).await?;
        Ok(Position { epoch: known.epoch, highest })
    }

    /// Compares the stream with what is stored of it; enters a new epoch where its sequences began anew.
    async fn epoch_of(&self, stream: &str) -> Result<Found, LocateError> {
        let near = self.bus.stream_state(stream).await?.last_sequence.saturating_sub(NEAR_MESSAGES);
        // First what is stored, then what the broker has: the other way round, rows stored in between would look like
        // a stream that came back shorter.
        let known = self.store.newest_epoch(stream, near).await?;
        let state = self.bus.stream_state(stream).await?;
        let (known, highest) = known.map_or((None, None), |(epoch, highest)| (Some(epoch), highest));
        let mut begins = epoch::begins(known.as_ref(), state.created_us, state.last_sequence, highest);
        if let (None, Some(known), Some(highest)) = (begins, known, highest)
            && self.replaced(stream, known.number, highest).await?
        {
            begins = Some(epoch::Reason::Replaced);
        }
        if let (Some(known), None) = (known, begins) {
            return Ok(Found { epoch: known.number, near });
        }
        let reason = begins.unwrap_or(epoch::Reason::First);
        let epoch = epoch::Epoch {
            number: known.map_or(1, |known| known.number.saturating_add(1)),
            stream_created_us: state.created_us,
            last_sequence: state.last_sequence,
        };
        self.store.enter_epoch(stream, &epoch, reason).await?;
        tracing::warn!(stream, epoch = epoch.number, reason = reason.as_str(), "a stream epoch begins");
        Ok(Found { epoch: epoch.number, near })
    }

    /// Whether the stream has another message where the highest sequence is stored. It is not asked of one that no longer
    /// has it: all it holds then is above.
    async fn replaced(&self, stream: &str, stream_epoch: u32, highest: u64) -> Result<bool, LocateError> {
        let Some(found) = self.bus.message(stream, highest).await? else { return Ok(false) };
        let Ok(message) = read(&found.subject, &found.payload) else { return Ok(true) };
        let entry = Entry { message: &message, stream_epoch, stream_seq: highest };
        Ok(!self.store.is_stored(&entry).await?)
    }
}
