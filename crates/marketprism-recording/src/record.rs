//! One thing that happened on one connection, in every format the same.

use compact_str::CompactString;
use marketprism_core::Timestamp;

/// What happened, where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When, by the recorder's clock. Of a frame: when its bytes were read from the socket.
    pub at: Timestamp,
    /// The integration's id, such as `binance_spot`; empty in captures that do not say it.
    pub integration: CompactString,
    /// The connection's name within the integration, such as `public-0`; empty in captures that do not say it.
    pub connection: CompactString,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A session begins; or, at the start of a file, one goes on that began in an earlier one.
    Session {
        /// Which run of the collector it belongs to: the same connection in another run is another session.
        run: u64,
        /// How it was configured, as JSON: instruments, data types, options, seeds.
        config: String,
    },
    /// The session's instruments are these from now on, as JSON.
    Instruments(String),
    /// A socket is open; told again at the start of each file.
    Opened {
        /// Its number.
        link: u64,
    },
    /// A socket is gone.
    Closed {
        /// Its number.
        link: u64,
    },
    /// A frame came.
    Frame {
        /// From which socket.
        link: u64,
        /// As it was sent.
        payload: Payload,
    },
    /// A text frame went out.
    Sent {
        /// On which socket.
        link: u64,
        /// As it was sent.
        text: String,
    },
    /// A REST request was wanted.
    Request {
        /// Path and query below the exchange's REST base.
        path: String,
    },
    /// A REST request was answered.
    Answer {
        /// Path and query of the request.
        path: String,
        /// The body.
        body: Vec<u8>,
    },
    /// A REST request brought no body.
    Failed {
        /// Path and query of the request.
        path: String,
        /// HTTP status, where there was an answer at all.
        status: Option<u16>,
        /// Seconds to wait, where the exchange said so.
        retry_after_seconds: Option<u64>,
        /// Start of the error's body, or what kept the answer away.
        reason: String,
    },
    /// The recorder could not keep up, or the disk was full: so many records before this one are missing.
    Dropped {
        /// How many.
        records: u64,
    },
}

/// A frame's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Vec<u8>),
}
