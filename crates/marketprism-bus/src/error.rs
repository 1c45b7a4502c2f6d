//! What can go wrong on the bus, and the one question a caller asks of it: [`BusError::is_transient`].

/// A cause whose type is nobody's business: the NATS client's errors travel as this.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An operation on the bus that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The configuration cannot be used: a certificate or credentials file that is not there, for instance.
    #[error("invalid NATS configuration: {0}")]
    Config(#[from] crate::InvalidField),
    /// No connection could be made.
    #[error("failed to connect to NATS at {url}")]
    Connect {
        /// The servers that were tried.
        url: String,
        /// Why the last attempt failed.
        source: BoxError,
        /// Whether waiting may help: false when the server refuses our credentials.
        transient: bool,
    },
    /// The connection was drained; this bus is used up.
    #[error("the connection to NATS is closed")]
    Closed,
    /// The message is larger than the broker takes. Nothing was sent.
    #[error("message of {bytes} bytes on `{subject}` exceeds the broker's max_payload of {bytes_max} bytes")]
    PayloadTooLarge {
        /// Its subject.
        subject: String,
        /// Payload and headers, bytes.
        bytes: usize,
        /// The broker's limit, bytes.
        bytes_max: usize,
    },
    /// A subject that NATS cannot carry. Nothing was sent.
    #[error("`{0}` is no subject to publish on: empty, with an empty token, white space or a wildcard")]
    Subject(String),
    /// The task behind a [`crate::Publisher`] has ended, because the bus was closed or by a defect.
    #[error("the publisher has stopped: messages without an acknowledgement may be lost")]
    PublisherStopped,
    /// The broker has no such stream.
    #[error("stream {0} does not exist: run marketprism-broker-bootstrap")]
    StreamMissing(String),
    /// A stream is not as this version of MarketPrism needs it.
    #[error("stream {stream}: {difference}: run marketprism-broker-bootstrap")]
    StreamDiffers {
        /// The stream.
        stream: String,
        /// What differs: field, what it is, what it should be.
        difference: String,
    },
    /// A change of the streams' configuration that was not made; nothing else was changed either.
    #[error("stream {stream}: refused: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// What would be lost, and the flag that allows it, if one does.
        reason: String,
    },
    /// Another process has been given the lease, or the broker has forgotten it.
    #[error("the lease {0} is lost")]
    LeaseLost(String),
    /// The broker did not do what was asked.
    #[error("failed to {operation}")]
    Request {
        /// What was asked.
        operation: String,
        /// Why it failed.
        source: BoxError,
    },
    /// The broker answered a pull request with a refusal.
    #[error(
        "failed to pull from consumer {durable} of stream {stream}: the broker says {status} {description}"
    )]
    Pull {
        /// The stream.
        stream: String,
        /// The durable consumer.
        durable: String,
        /// NATS status code.
        status: u16,
        /// The broker's words.
        description: String,
    },
}

impl BusError {
    /// Whether the same call may succeed later without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Connect { transient, .. } => *transient,
            Self::Request { .. } | Self::Pull { .. } => true,
            Self::Config(_)
            | Self::Closed
            | Self::PayloadTooLarge { .. }
            | Self::Subject(_)
            | Self::PublisherStopped
            | Self::StreamMissing(_)
            | Self::StreamDiffers { .. }
            | Self::Refused { .. }
            | Self::LeaseLost(_) => false,
        }
    }

    pub(crate) fn request(operation: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Request { operation: operation.into(), source: source.into() }
    }
}
