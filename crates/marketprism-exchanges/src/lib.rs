//! Each exchange as a pure state machine: frames, REST answers and clock ticks in, effects out.
//!
//! Nothing here opens a socket, sleeps, spawns or reads a clock, so a capture, a simulation, a fuzzer and the
//! collector drive the same code. One folder per exchange, one line per integration in [`registry`].

mod binance;
pub mod book;
pub mod registry;
pub mod session;

pub use session::{
    Effects, FetchFailed, Frame, Lost, Note, Rejected, Request, RequestId, Session, StreamState, StreamStatus,
};
