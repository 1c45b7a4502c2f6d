//! What an exchange is to the collector: a [`Session`] that turns what arrives into [`Effects`].

use std::fmt;

use marketprism_core::{DataType, GapReason, Instrument, MarketType, Message, Timestamp};

/// A frame as it came from the socket.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// A text frame.
    Text(&'a str),
    /// A binary frame.
    Binary(&'a [u8]),
}

/// Names one open socket of a session. Usually there is one; while a connection is rolled over, or with A/B redundancy,
/// there are more, and each brings the same streams. The collector counts them up: a number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Link(pub u64);

/// Sockets one session has at once at most: two for A/B redundancy, and a successor of each.
pub const LINKS_MAX: usize = 4;

/// Names a REST request of a session; the session chooses it and recognises the answer by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A REST request a session wants made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer.
    pub id: RequestId,
    /// What the answer is for.
    pub data_type: DataType,
    /// Path and query below the integration's REST base, such as `/api/v3/depth?symbol=BTCUSDT&limit=1000`.
    pub path: String,
    /// What the exchange charges for it against its limit.
    pub weight: u32,
    /// Which of the integration's limits it counts against: the name of one of its [`RestLimit`]s.
    ///
    /// [`RestLimit`]: crate::registry::RestLimit
    pub limit: &'static str,
}

/// Why a REST request brought no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchFailed {
    /// The exchange answered with an error status.
    #[error("status {status}: {body}")]
    Status {
        /// HTTP status.
        status: u16,
        /// The start of the body.
        body: String,
        /// Seconds to wait, where the exchange said so.
        retry_after_seconds: Option<u64>,
    },
    /// No answer in time.
    #[error("{0}")]
    TimedOut(String),
    /// No answer.
    #[error("{0}")]
    Transport(String),
}

/// Why a connection is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Nothing came for longer than the streams' cadence allows, although the socket is open.
    Silence,
    /// One stream stays silent although it was asked for again; the others flow: open the successor first.
    Stale(String),
    /// The exchange announced that it will close (Binance `serverShutdown`): open the successor first.
    Announced,
    /// The exchange refused something the session cannot do without.
    Refused(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("silence"),
            Self::Stale(stream) => write!(f, "stale: {stream}"),
            Self::Announced => f.write_str("announced shutdown"),
            Self::Refused(what) => write!(f, "refused: {what}"),
        }
    }
}

/// A frame or answer that could not be used. Counted and logged; everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejected {
    /// One of a small closed set, used as a metric label: `not_json`, `unknown_event`, `invalid_field`,
    /// `unknown_symbol`, `unexpected`.
    pub reason: &'static str,
    /// The field and value, or the start of the frame.
    pub detail: String,
}

impl Rejected {
    /// How much of an unusable frame is kept for the log.
    const EXCERPT_CHARS_MAX: usize = 160;

    pub(crate) fn new(reason: &'static str, detail: impl fmt::Display) -> Self {
        Self { reason, detail: detail.to_string() }
    }

    /// A text that is no JSON, or JSON of another shape.
    pub(crate) fn decode(error: &serde_json::Error, text: &str) -> Self {
        use serde_json::error::Category;
        let reason = match error.classify() {
            Category::Data => "invalid_field",
            Category::Io | Category::Syntax | Category::Eof => "not_json",
        };
        Self::new(reason, format_args!("{error}: {}", Self::start_of(text)))
    }

    /// The start of a frame, for the log.
    pub(crate) fn start_of(text: &str) -> String {
        text.chars().take(Self::EXCERPT_CHARS_MAX).collect()
    }
}

impl From<marketprism_core::InvalidField> for Rejected {
    fn from(invalid: marketprism_core::InvalidField) -> Self {
        Self::new("invalid_field", invalid)
    }
}

/// Something worth counting that is neither a message nor an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note<'a> {
    /// A book was thrown away and is being built again.
    Resync {
        /// Canonical symbol.
        symbol: &'a str,
        /// Why.
        reason: GapReason,
    },
    /// A book became valid.
    Synced {
        /// Canonical symbol.
        symbol: &'a str,
    },
    /// One update was applied to a valid book.
    BookUpdated {
        /// Canonical symbol.
        symbol: &'a str,
    },
    /// An event that was already published was seen again and dropped.
    Duplicate {
        /// Of which type.
        data_type: DataType,
    },
    /// A frame that carries nothing to store by design, such as a placeholder or a keep-alive.
    Ignored {
        /// What it was; one of a small closed set.
        what: &'static str,
    },
    /// Missing trades were fetched and published.
    Backfilled {
        /// Canonical symbol.
        symbol: &'a str,
        /// How many.
        count: u64,
    },
    /// The exchange acknowledged a subscription request.
    Subscribed {
        /// Number of streams in it.
        streams: usize,
    },
}

/// What a session asks of the world. The collector performs it, a test records it.
pub trait Effects {
    /// A message to publish. Already valid ([`Message::validate`]).
    fn emit(&mut self, message: Message<'_>);
    /// A text frame to send on one of the session's sockets.
    fn send(&mut self, link: Link, text: String);
    /// A REST request; its answer comes back through [`Session::fetched`].
    fn fetch(&mut self, request: Request);
    /// The answer to a request is of no use any more: where it was not made yet, it need not be. Who cannot take it back
    /// does nothing, and the late answer is ignored.
    fn forget(&mut self, _id: RequestId) {}
    /// Replace a socket.
    fn reconnect(&mut self, link: Link, reason: Lost);
    /// Something to count.
    fn note(&mut self, note: Note<'_>);
}

/// How a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamState {
    /// No socket is open.
    Disconnected,
    /// Asked for, nothing came yet.
    Waiting,
    /// A book that is being (re)built.
    Syncing,
    /// Silent for longer than its own cadence allows, although a socket is open.
    Stale,
    /// Data flows, and a book is valid.
    Live,
}

/// What the collector asks sessions to do without while it is short of memory, queue places or time. Each level
/// includes those before it. Trades and liquidations are never given up by a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Pressure {
    /// Nothing.
    #[default]
    None,
    /// Books are published more rarely; every update is still counted in a message.
    SlowBooks,
    /// Besides, polled ratios are not asked for.
    PausePolls,
    /// Besides, books are not published at all until the pressure falls; they are kept up to date.
    HoldBooks,
}

/// One stream of a session: an instrument and a data type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// Where it trades.
    pub market_type: MarketType,
    /// Canonical symbol.
    pub symbol: String,
    /// Of which type.
    pub data_type: DataType,
    /// How it is doing.
    pub state: StreamState,
    /// When it last brought something.
    pub last_received: Option<Timestamp>,
    /// When that happened, by the exchange's clock.
    pub last_event: Option<Timestamp>,
    /// Events received since the session began.
    pub events: u64,
}

/// One connection's protocol. Lives across reconnects, so that sequences are checked across them too.
///
/// A connection has no socket while it reconnects, one in general, and several while it is rolled over or doubled (see
/// [`Link`]): the first to bring an event wins, the same event from another is a duplicate, and as long as one socket is open
/// nothing is missing. A connection that only polls REST never has one.
///
/// `now` is the receive time of what is passed in, µs UTC; it never goes back by more than the wall clock does.
pub trait Session: Send {
    /// A socket is open: subscribe on it, start snapshots.
    fn opened(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects);

    /// A frame arrived.
    ///
    /// # Errors
    /// When the frame cannot be used; the session is still good.
    fn frame(
        &mut self,
        link: Link,
        frame: Frame<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected>;

    /// The answer to a request arrived.
    ///
    /// # Errors
    /// When the answer cannot be used; the session is still good and asks again by itself.
    fn fetched(
        &mut self,
        id: RequestId,
        answer: Result<&[u8], FetchFailed>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected>;

    /// Time passed; called at least every 100 ms. Publishes the books that are due, asks again, notices silence.
    fn tick(&mut self, now: Timestamp, out: &mut dyn Effects);

    /// A socket is gone. Only when it was the last one do the streams have a break.
    fn closed(&mut self, link: Link, now: Timestamp, out: &mut dyn Effects);

    /// The instruments wanted from now on: new ones are subscribed, missing ones unsubscribed and what is pending of
    /// them published, changed ones (a contract's size) take effect at once; the others never notice.
    fn set_instruments(&mut self, instruments: Vec<Instrument>, now: Timestamp, out: &mut dyn Effects);

    /// What to do without from now on.
    fn set_pressure(&mut self, pressure: Pressure);

    /// Builds a book anew, because an operator asked for it. False when the symbol has none here.
    fn resync(
        &mut self,
        market_type: MarketType,
        symbol: &str,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> bool;

    /// The collector stops: publish what is pending, declare what is not published. Nothing is called afterwards.
    fn drain(&mut self, now: Timestamp, out: &mut dyn Effects);

    /// Whether everything that is wanted on a socket was acknowledged there, or refused.
    fn is_subscribed(&self, link: Link) -> bool;

    /// How each stream is doing at `now`.
    fn status(&self, now: Timestamp) -> Vec<StreamStatus>;
}
