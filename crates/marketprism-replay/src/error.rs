//! Why a replay ends early.

use std::io;
use std::path::PathBuf;

use marketprism_core::MarketType;
use marketprism_recording::ReadError;

/// Why a replay ends early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file could not be opened or read.
    #[error("failed to read {path}")]
    Read {
        /// The file; `-` is standard input.
        path: PathBuf,
        /// Why not.
        source: ReadError,
    },
    /// The messages could not be written.
    #[error("failed to write messages")]
    Write(#[source] io::Error),
    /// Nobody gives this market.
    #[error("no exchange `{exchange}` with market `{market_type}`; known: {known}")]
    UnknownMarket {
        /// As it was asked for.
        exchange: String,
        /// As it was asked for.
        market_type: MarketType,
        /// What could be asked for.
        known: String,
    },
    /// A capture does not say whose it is.
    #[error("a capture does not say whose it is: exchange and market must be given")]
    NoMarket,
    /// A recording names an integration that this program does not have.
    #[error("the recording is of `{0}`, which this program does not know")]
    UnknownIntegration(String),
    /// What a recording says a session was made of cannot be read.
    #[error("the session of {place} cannot be read")]
    Session {
        /// Integration and connection.
        place: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// An instrument list that was given cannot be read.
    #[error("the instrument list cannot be read: {0}")]
    Instruments(marketprism_exchanges::Rejected),
}
