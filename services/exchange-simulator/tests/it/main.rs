//! The simulator as its clients see it: a real WebSocket client and a real HTTP client on a free port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_arithmetic,
    missing_docs
)]

mod captures;
mod client;
mod config;
mod control;
mod deribit;
mod deribit_client;
mod deribit_faults;
mod deribit_rest;
mod faults;
mod limits;
mod okx;
mod replay;
mod rest;
mod streams;
mod usdm_statistics;
