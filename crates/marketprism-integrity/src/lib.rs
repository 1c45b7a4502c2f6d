//! Whether every message is stored once, and the same everywhere: stream, hot tier and cold tier are compared, and what is wrong
//! is told row by row; what can be proved is put right.
//!
//! [`verify`](verify()) only reads. It looks at what is due: rows up to the acknowledgement floor of hot-storage's consumers, and
//! in the cold tier up to the watermark of its ledger. [`repair`](repair()) takes a row from whichever side still has it,
//! leaves at least one row at every moment, and touches nothing that the stream or the ledger does not prove. Both run beside
//! the services, in memory that does not grow with the range. In reading order: [`Scope`], [`Finding`], `stream` (stream ↔ hot),
//! `tiers` (hot ↔ cold ↔ ledger), `verify`, `repair`, `mending`
//! (of one row).

mod finding;
pub mod frontier;
mod mending;
mod repair;
mod scope;
mod stream;
mod tiers;
mod verify;

use marketprism_bus::{Bus, BusError};
use marketprism_store::{Store, StoreError};

pub use finding::{Finding, Place, Row, Side, Trouble};
pub use repair::{Repaired, repair};
pub use scope::{Bound, Scope, ScopeError};
pub use verify::{Listener, verify};

/// The three places a message can be in.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The broker.
    pub bus: Bus,
    /// The hot tier.
    pub hot: Store,
    /// The cold tier.
    pub cold: Store,
}

/// Why the comparison could not be finished. What was told until then holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The broker does not answer.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A tier does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another repair is at work, or was killed within the last seconds. Nothing was changed.
    #[error("another repair is at work")]
    RepairRuns,
}
