//! The service as its clients see it: a real process, real HTTP, the real engine.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod bounds;
mod classified;
mod client;
mod client_crate;
mod compression;
mod cut;
mod doors;
mod errors;
mod foreign;
mod insert_data;
mod lifecycle;
mod outside;
mod sessions;
mod statements;
mod streaming;
