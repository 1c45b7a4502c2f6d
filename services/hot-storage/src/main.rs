//! JetStream messages in, rows of the hot tier out, each exactly once.
//!
//! One lane for each data type: pull a batch, insert it, and only then acknowledge. A message that may be stored
//! already is looked up by its stream sequence; one that can never be stored becomes a dead letter. Knows nothing of
//! exchanges: a new one needs no new release of this service.

mod app;
mod claim;
mod config;
mod epochs;
mod insertion;
mod lane;
mod metrics;
mod probes;

use std::process::ExitCode;

use marketprism_service::{Descriptor, LegacyVariable};

const DESCRIPTOR: Descriptor = Descriptor {
    name: "hot-storage",
    about: "Writes the messages of JetStream into the hot ClickHouse, each exactly once.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[
        LegacyVariable { variable: "NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "CLICKHOUSE_DATABASE", key: "clickhouse.database" },
        LegacyVariable { variable: "CLICKHOUSE_USER", key: "clickhouse.user" },
        LegacyVariable { variable: "CLICKHOUSE_PASSWORD", key: "clickhouse.password" },
    ],
};

fn main() -> ExitCode {
    marketprism_service::run(DESCRIPTOR, app::start)
}
