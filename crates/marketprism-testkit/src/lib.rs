//! Development only: real servers on free ports, fixtures, telemetry assertions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod answer_times;
mod clickhouse;
mod monitoring;
mod nats;
mod poll;
mod ports;
mod process;
mod proxy;
mod robot;
mod tools;

pub use answer_times::AnswerTimes;
pub use clickhouse::ClickHouse;
pub use monitoring::MonitoringServer;
pub use nats::{NatsServer, nats_server_executable};
pub use poll::{DEADLINE, poll_until};
pub use ports::free_port;
pub use process::Process;
pub use proxy::Proxy;
pub use robot::{ROBOT_SECRET, Robot};
pub use tools::{amtool, binary, captures_dir, chromium, libchdb, promtool};
