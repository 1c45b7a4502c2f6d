//! Where a recording listens: every frame and REST body as it came, before anything looked at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use marketprism_core::Timestamp;
use marketprism_exchanges::registry::SessionConfig;
use marketprism_exchanges::{FetchFailed, Link, Request, RequestId};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::clock;

/// One thing that happened on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Tapped {
    /// The integration's id.
    pub(crate) integration: &'static str,
    /// The connection's name in the plan; empty for an instrument list, which is nobody's.
    pub(crate) connection: Arc<str>,
    /// When it was read from the socket, or happened.
    pub(crate) received: Timestamp,
    pub(crate) event: TapEvent,
}

/// What happened. Bytes are shared with the collector, not copied.
#[derive(Debug, Clone)]
pub(crate) enum TapEvent {
    /// A session begins, with this configuration as JSON.
    Session(String),
    /// Its instruments are these from now on, as JSON.
    Instruments(String),
    /// A socket was opened.
    Opened(Link),
    /// A text frame.
    Text(Link, Utf8Bytes),
    /// A binary frame.
    Binary(Link, Bytes),
    /// A text frame of ours.
    Sent(Link, String),
    /// A socket is gone.
    Closed(Link),
    /// The session asked for something.
    Asked(Request),
    /// The answer to that.
    Answered(RequestId, Result<Bytes, FetchFailed>),
    /// An instrument list, by the path it was asked at.
    Listed(&'static str, Bytes),
}

/// The collector's end of a recording, where there is one. It never holds the data path up: what finds the channel full
/// is counted and missing in the recording.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tap(Option<Open>);

#[derive(Debug, Clone)]
struct Open {
    sender: mpsc::Sender<Tapped>,
    missed: Arc<AtomicU64>,
}

/// The recorder's end.
#[derive(Debug)]
pub(crate) struct Recording {
    /// What happened, in order within a connection. Ends when every connection has.
    pub(crate) events: mpsc::Receiver<Tapped>,
    /// How many found the channel full so far.
    pub(crate) missed: Arc<AtomicU64>,
}

impl Tap {
    /// Both ends, with room for so many events between them.
    pub(crate) fn open(events_max: usize) -> (Self, Recording) {
        let (sender, events) = mpsc::channel(events_max);
        let missed = Arc::<AtomicU64>::default();
        (Self(Some(Open { sender, missed: missed.clone() })), Recording { events, missed })
    }

    /// Passes on how a session is configured, before it begins.
    pub(crate) fn session(&self, integration: &'static str, connection: &str, config: &SessionConfig) {
        self.pass(|| Tapped {
            integration,
            connection: connection.into(),
            received: clock::now(),
            // A configuration always serialises.
            event: TapEvent::Session(serde_json::to_string(config).unwrap_or_default()),
        });
    }

    /// Passes on what `tapped` makes, which is called only when somebody listens.
    pub(crate) fn pass(&self, tapped: impl FnOnce() -> Tapped) {
        let Some(Open { sender, missed }) = &self.0 else { return };
        if sender.try_send(tapped()).is_err() {
            missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_the_channel_full_is_counted() {
        let tapped = || Tapped {
            integration: "binance_spot",
            connection: "stream-0".into(),
            received: Timestamp::default(),
            event: TapEvent::Opened(Link(1)),
        };
        Tap::default().pass(|| unreachable!("nobody listens"));
        let (tap, mut recording) = Tap::open(1);
        tap.pass(tapped);
        tap.pass(tapped);
        assert_eq!(recording.missed.load(Ordering::Relaxed), 1);
        assert!(recording.events.try_recv().is_ok() && recording.events.try_recv().is_err());
    }
}
