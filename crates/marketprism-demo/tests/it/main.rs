//! The whole pipeline, end to end: real binaries, real broker, real engine; simulated and recorded exchanges.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod beside;
mod captures;
mod runs;
mod simulated;
