//! Development only: real servers on free ports, fixtures, telemetry assertions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod nats;

pub use nats::NatsServer;
