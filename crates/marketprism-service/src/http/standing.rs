//! Where a connection stands: idle since when, or busy with which request. Written by the connection's own task; read by its socket,
//! which times it, and by the listener when a connection has to make room.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// One connection's state.
#[derive(Debug)]
pub(super) struct Standing {
    /// When it was accepted; times are milliseconds from here.
    began: Instant,
    /// `BUSY`, or when it became idle.
    idle_since_ms: AtomicU64,
    /// Requests begun so far.
    requests: AtomicU64,
}

const BUSY: u64 = u64::MAX;

impl Standing {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), idle_since_ms: AtomicU64::new(0), requests: AtomicU64::new(0) }
    }

    /// A request's head is read.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.idle_since_ms.store(BUSY, Ordering::Relaxed);
    }

    /// Its answer is given.
    pub(super) fn end(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(BUSY - 1);
        self.idle_since_ms.store(since, Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.idle_since_ms.load(Ordering::Relaxed) == BUSY
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Since when it waits for a request or for the rest of one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let since = self.idle_since_ms.load(Ordering::Relaxed);
        (since != BUSY).then(|| self.began + std::time::Duration::from_millis(since))
    }
}
