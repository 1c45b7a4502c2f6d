//! Why a recording cannot be read, and where it was cut off.

use std::fmt;
use std::io;

/// A recording that cannot be read any further, although more of it is there.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or stream failed.
    #[error("failed to read")]
    Io(#[from] io::Error),
    /// The bytes are no block of this format, or not as they were written.
    #[error("block at byte {at_byte}: {reason}")]
    Block {
        /// Where the block begins.
        at_byte: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A record within a good block is not what we write.
    #[error("block at byte {at_byte}, record {record}: {reason}")]
    Record {
        /// Where the block begins.
        at_byte: u64,
        /// Which record of the block, from 1.
        record: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A line is longer than any line of a capture.
    #[error("line {line} is longer than {bytes_max} bytes")]
    LongLine {
        /// Which line, from 1.
        line: u64,
        /// What would be accepted.
        bytes_max: u64,
    },
}

/// Where a recording ends in the middle of something: its writer was killed, or the copy is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// So many bytes of an unfinished block follow the last whole one.
    Block {
        /// Where the unfinished block begins.
        at_byte: u64,
        /// How much of it is there.
        bytes: u64,
    },
    /// The compressed stream of a capture ends early; its lines up to this one were read.
    Line {
        /// The last whole line, from 1.
        line: u64,
    },
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block { at_byte, bytes } => {
                write!(f, "cut off at byte {at_byte}: {bytes} bytes of an unfinished block follow")
            }
            Self::Line { line } => write!(f, "cut off after line {line}: the compressed stream ends early"),
        }
    }
}
