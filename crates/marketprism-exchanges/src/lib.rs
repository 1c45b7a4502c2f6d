//! Each exchange as a pure state machine: frames, REST answers and clock ticks in, effects out.
//!
//! Nothing here opens a socket, sleeps, spawns or reads a clock, so a capture, a simulation, a fuzzer and the
//! collector drive the same code. One folder per exchange, one line per integration in [`registry`].

mod backfill;
mod binance;
pub mod book;
mod context;
mod decode;
mod deribit;
mod expiry;
mod latest;
mod liveness;
mod okx;
mod phase;
mod poll;
mod polled;
mod publication;
#[cfg(test)]
mod recorded;
pub mod registry;
mod requests;
pub mod session;
mod snapshot_book;
pub mod stored_trades;
mod trade_line;
mod used_ids;

pub use session::{
    Effects, FetchFailed, Frame, LINKS_MAX, Link, Lost, Note, Pressure, Rejected, Request, RequestId,
    Session, StreamState, StreamStatus,
};
