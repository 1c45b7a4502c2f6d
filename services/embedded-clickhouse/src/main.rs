//! The ClickHouse engine behind its HTTP interface, for laptops, CI and tests.

use marketprism_embedded_clickhouse::app::{DESCRIPTOR, start};

fn main() -> std::process::ExitCode {
    marketprism_service::run(DESCRIPTOR, start)
}
