//! Reads what an exchange lists.

use std::time::Duration;

use marketprism_core::Instrument;
use marketprism_exchanges::registry::Integration;
use marketprism_exchanges::{FetchFailed, Rejected};
use marketprism_service::{Backoff, BackoffConfig};

use crate::board::{Board, Topic};
use crate::clock;
use crate::gate::Refusal;
use crate::rest::Rest;
use crate::tap::{Tap, TapEvent, Tapped};

/// Why there is no instrument list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListingError {
    #[error("no instrument list from {path}: {source}")]
    Fetch { path: &'static str, source: FetchFailed },
    #[error("the instrument list of {path} cannot be read: {source}")]
    Unreadable { path: &'static str, source: Rejected },
    /// An exchange in trouble; taking it at its word would end every stream.
    #[error("the instrument list is empty")]
    Empty,
}

impl ListingError {
    /// Whether the exchange wants to hear nothing of us for a while.
    const fn is_refusal(&self) -> bool {
        matches!(self, Self::Fetch { source: FetchFailed::Status { status, .. }, .. }
            if Refusal::of_status(*status).is_some())
    }
}

/// The instrument lists of one exchange.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) integration: &'static Integration,
    pub(crate) rest: Rest,
    pub(crate) tap: Tap,
}

impl Listing {
    /// Every instrument that trades now.
    pub(crate) async fn read(&self) -> Result<Vec<Instrument>, ListingError> {
        let mut instruments = Vec::new();
        for request in self.integration.instruments_requests {
            let path = request.path;
            let body = self.rest.get(path, request.weight, request.limit).await;
            let body = body.map_err(|source| ListingError::Fetch { path, source })?;
            self.tap.pass(|| Tapped {
                integration: self.integration.id,
                connection: "".into(),
                received: clock::now(),
                event: TapEvent::Listed(path, body.clone()),
            });
            let listed = (self.integration.instruments)(&body);
            instruments.extend(listed.map_err(|source| ListingError::Unreadable { path, source })?);
        }
        if instruments.is_empty() { Err(ListingError::Empty) } else { Ok(instruments) }
    }

    /// The same after a while, and asking until there is a list; what is wrong stands on the board meanwhile.
    pub(crate) async fn read_after(
        self,
        delay: Duration,
        board: Board,
        reconnect: BackoffConfig,
    ) -> Vec<Instrument> {
        let id = self.integration.id;
        let mut backoff = Backoff::new(reconnect);
        tokio::time::sleep(delay).await;
        loop {
            match self.read().await {
                Ok(instruments) => {
                    board.complain(id, Topic::Listing, None);
                    return instruments;
                }
                // The gate says what is wrong and what to do, and when it is tried again.
                Err(error) if error.is_refusal() => self.rest.gate().opened().await,
                Err(error) => {
                    let complaint = format!("{id}: {error}");
                    tracing::error!(exchange = id, complaint, "trying again");
                    board.complain(id, Topic::Listing, Some(complaint));
                    tokio::time::sleep(backoff.next_delay(Duration::ZERO)).await;
                }
            }
        }
    }
}
