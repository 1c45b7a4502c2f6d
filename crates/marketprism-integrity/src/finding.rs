//! What can be wrong, in words and for machines.

use std::fmt;

use marketprism_core::{DataType, Timestamp};
use marketprism_store::table;
use serde::Serialize;

/// Where a row, or a message, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// JetStream.
    Stream,
    /// The hot tier.
    Hot,
    /// The cold tier.
    Cold,
}

/// One row: which message of which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Row {
    /// Data type of the table.
    pub data_type: DataType,
    /// Incarnation of the stream.
    pub stream_epoch: u32,
    /// Sequence in the stream.
    pub stream_seq: u64,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// One row.
    Row(Row),
    /// A range of the ledger.
    Range {
        /// Data type of the table.
        data_type: DataType,
        /// Incarnation of the stream.
        stream_epoch: u32,
        /// First sequence.
        from_seq: u64,
        /// Last sequence.
        to_seq: u64,
    },
    /// Sequences of a stream, of whatever table.
    Stream {
        /// The stream.
        stream: &'static str,
        /// Its incarnation.
        stream_epoch: u32,
        /// First sequence.
        from_seq: u64,
        /// Last sequence.
        to_seq: u64,
    },
    /// A market.
    Market {
        /// Data type of the table.
        data_type: DataType,
        /// Exchange token.
        exchange: String,
        /// Market type.
        market_type: String,
        /// Canonical symbol.
        symbol: String,
    },
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "trouble", rename_all = "snake_case")]
pub enum Trouble {
    /// A message has neither a row in this tier nor a dead letter.
    Missing {
        /// The tier.
        side: Side,
    },
    /// A message is in several rows of a tier.
    Duplicated {
        /// The tier.
        side: Side,
        /// How many rows.
        copies: u64,
    },
    /// The row is not what the other side says.
    Different {
        /// The one side.
        one: Side,
        /// The other side.
        other: Side,
    },
    /// A row of the hot tier that no message and no ledger tells of.
    Unexplained,
    /// The cold tier is not what the ledger says, and no single row says why.
    Ledger {
        /// Rows that the ledger says.
        rows_entered: u64,
        /// Rows that are there.
        rows: u64,
    },
    /// The stream dropped messages before they were stored, as hot-storage noticed and recorded.
    Lost {
        /// How many.
        messages: u64,
        /// Which limit of the stream it was.
        reason: String,
    },
    /// The same event of the exchange in several messages.
    Repeated {
        /// The tier.
        side: Side,
        /// What names the event.
        key: String,
        /// Epoch and sequence of up to ten rows.
        rows: Vec<(u32, u64)>,
    },
    /// Trade ids that nothing tells of.
    Hole {
        /// The tier.
        side: Side,
        /// First missing id.
        from_id: u64,
        /// Last missing id.
        to_id: u64,
        /// Event time of the trade before, µs since 1970.
        from_us: i64,
        /// Event time of the trade after, µs since 1970.
        to_us: i64,
    },
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Finding {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What.
    #[serde(flatten)]
    pub trouble: Trouble,
}

impl Trouble {
    /// One word, by which findings are counted.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Duplicated { .. } => "duplicated",
            Self::Different { .. } => "different",
            Self::Unexplained => "unexplained",
            Self::Ledger { .. } => "ledger",
            Self::Lost { .. } => "lost",
            Self::Repeated { .. } => "repeated",
            Self::Hole { .. } => "hole",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "the stream",
            Self::Hot => "the hot tier",
            Self::Cold => "the cold tier",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(Row { data_type, stream_epoch, stream_seq }) => {
                write!(f, "{} {stream_seq} of epoch {stream_epoch}", table(*data_type))
            }
            Self::Range { data_type, stream_epoch, from_seq, to_seq } => {
                write!(f, "{} {from_seq}…{to_seq} of epoch {stream_epoch}", table(*data_type))
            }
            Self::Stream { stream, stream_epoch, from_seq, to_seq } => {
                write!(f, "{stream} {from_seq}…{to_seq} of epoch {stream_epoch}")
            }
            Self::Market { data_type, exchange, market_type, symbol } => {
                write!(f, "{} of {exchange} {market_type} {symbol}", table(*data_type))
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { side } => write!(f, "missing in {side}"),
            Self::Duplicated { side, copies } => write!(f, "{copies} times in {side}"),
            Self::Different { one, other } => write!(f, "not the same in {one} and {other}"),
            Self::Unexplained => f.write_str("in the hot tier, but in no message and no ledger"),
            Self::Ledger { rows_entered, rows } => write!(
                f,
                "not what the ledger says: {rows_entered} rows were copied, {rows} are there, and another checksum"
            ),
            Self::Lost { messages, reason } => {
                write!(
                    f,
                    "{messages} messages lost: the stream dropped them ({reason}) before they were stored"
                )
            }
            Self::Repeated { side, key, rows } => {
                let rows: Vec<_> =
                    rows.iter().map(|(epoch, sequence)| format!("{epoch}/{sequence}")).collect();
                write!(f, "{key} in several messages (epoch/sequence {}) in {side}", rows.join(", "))
            }
            Self::Hole { side, from_id, to_id, from_us, to_us } => {
                let time = |micros: i64| Timestamp::from_micros(micros).unwrap_or_default();
                let (from, to) = (time(*from_us), time(*to_us));
                write!(
                    f,
                    "ids {from_id}…{to_id} missing in {side} between {from} and {to}, and no gap tells of it"
                )
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.trouble)
    }
}
