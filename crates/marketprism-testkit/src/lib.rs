//! Development only: real servers on free ports, fixtures, telemetry assertions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod clickhouse;
mod nats;
mod poll;
mod process;
mod proxy;
mod tools;

pub use clickhouse::ClickHouse;
pub use nats::{NatsServer, nats_server_executable};
pub use poll::poll_until;
pub use process::Process;
pub use proxy::Proxy;
pub use tools::{binary, captures_dir, libchdb};
