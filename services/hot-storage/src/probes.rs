//! The checks `nats` and `clickhouse`: what the lanes depend on, looked at even when no message comes.

use std::time::Duration;

use marketprism_bus::{Bus, Status};
use marketprism_service::{CancellationToken, Check, Report};
use marketprism_store::Store;
use tokio::time::timeout;

/// How often ClickHouse is asked. Health must tell of a server that is gone before a person notices.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Reports the state of the broker's connection as it changes.
pub(crate) async fn watch_nats(bus: Bus, check: Check, token: CancellationToken) -> Result<(), Report> {
    let mut status = bus.status();
    loop {
        match *status.borrow_and_update() {
            Status::Connected => check.healthy(),
            Status::Disconnected => check.unhealthy("the connection is lost; reconnecting"),
            Status::Closed => check.unhealthy("the connection is closed"),
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() { token.cancelled().await },
        }
    }
}

/// Asks ClickHouse every few seconds whether it answers.
pub(crate) async fn watch_clickhouse(
    store: Store,
    check: Check,
    token: CancellationToken,
) -> Result<(), Report> {
    loop {
        match store.ping().await {
            Ok(()) => check.healthy(),
            // What waits is kept by the stream; for how long, the check of the stream says.
            Err(error) if error.is_transient() => check.degraded(Report::from(error).to_string()),
            Err(error) => check.unhealthy(Report::from(error).to_string()),
        }
        if timeout(PING_INTERVAL, token.cancelled()).await.is_ok() {
            return Ok(());
        }
    }
}
