//! Raw exchange traffic in files: what was received, sent and asked for, with its time.
//!
//! One shape, [`Record`], whatever the file: our own format is written by [`Writer`] and read by [`Reader`] (`docs/recording.md`
//! describes it byte by byte); captures made by others are only read ([`capture`]). Nothing here knows an exchange's
//! protocol, opens a socket or reads a clock.

mod block;
pub mod capture;
mod error;
mod header;
mod reader;
mod record;
mod writer;

pub use error::{Cut, ReadError};
pub use reader::Reader;
pub use record::{Payload, Record, What};
pub use writer::{BLOCK_AGE_MICROS_MAX, BLOCK_BYTES_MAX, Writer};
