//! One open socket of a connection: in service, leaving, or closing.

use std::task::{Context, Poll};
use std::time::Duration;

use marketprism_exchanges::Link;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::socket::Socket;

/// How long a successor and its predecessor both run once every stream is acknowledged: what the exchange sends at the seam
/// comes on both.
const OVERLAP: Duration = Duration::from_secs(2);
/// A predecessor is closed after so long even where its successor has not all streams acknowledged: subscribing the
/// most streams at the slowest pace takes less.
const OVERLAP_MAX: Duration = Duration::from_secs(60);
/// How long the exchange may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Lives differ by up to this share, so that connections that began together do not all end together.
const LIFE_JITTER_PERCENT: u32 = 10;

#[derive(Debug)]
pub(super) struct OpenLink {
    pub(super) link: Link,
    /// The number of its line.
    pub(super) line: usize,
    socket: Socket,
    opened: Instant,
    /// When it leaves.
    old_at: Option<Instant>,
    /// Since when everything wanted is acknowledged on it.
    complete_since: Option<Instant>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// A successor is wanted.
    Leaving,
    /// Our close frame is sent.
    Closing(Instant),
}

impl OpenLink {
    /// A socket that was opened now and is used for about `life`.
    pub(super) fn new(link: Link, line: usize, socket: Socket, life: Option<Duration>) -> Self {
        let now = Instant::now();
        let old_at = life.map(|life| now + life - life * rand::random_range(0..=LIFE_JITTER_PERCENT) / 100);
        let phase = Phase::Serving;
        Self { link, line, socket, opened: now, old_at, complete_since: None, phase }
    }

    pub(super) fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_))
    }

    /// In service for as long as it may be.
    pub(super) fn is_old(&self) -> bool {
        self.is_serving() && self.old_at.is_some_and(|old_at| old_at <= Instant::now())
    }

    /// The exchange does not answer our close frame.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(self.phase, Phase::Closing(since) if since.elapsed() > CLOSE_TIMEOUT)
    }

    /// Whether it brings what `leaving` does.
    pub(super) fn has_taken_over(&self, leaving: &Self) -> bool {
        let is_complete = self.complete_since.is_some_and(|since| since.elapsed() >= OVERLAP);
        self.is_serving()
            && self.line == leaving.line
            && (is_complete || self.opened.elapsed() >= OVERLAP_MAX)
    }

    /// How long it has been open.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Whether everything wanted is acknowledged on it now.
    pub(super) fn set_complete(&mut self, is_complete: bool) {
        self.complete_since = is_complete.then(|| self.complete_since.unwrap_or_else(Instant::now));
    }

    /// A successor is wanted from now on.
    pub(super) fn leave(&mut self) {
        self.phase = Phase::Leaving;
    }

    /// Sends our close frame, once.
    pub(super) fn close(&mut self) -> Result<(), String> {
        if self.is_closing() {
            return Ok(());
        }
        self.phase = Phase::Closing(Instant::now());
        self.socket.send(Message::Close(None))
    }

    /// Sends a text frame without waiting.
    pub(super) fn send(&mut self, text: String) -> Result<(), String> {
        self.socket.send(Message::text(text))
    }

    /// The next frame, or why there will be none any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, String>> {
        self.socket.poll(cx)
    }
}
