//! The hot tier into the cold tier, in order of stream sequence, each range compared before it counts as copied.
//!
//! What is copied is written in the cold tier's `replication_log` and nowhere else: interrupted anywhere, the next run
//! goes on behind the last range in it. Full history is the same loop from sequence 0. The hot tier lets go of a day only
//! when it is older than the retention and proved, at that moment, to be in the cold tier.

mod app;
mod config;
mod frontier;
mod metrics;
mod pace;
mod progress;
mod proof;
mod release;
mod replicator;
mod verify;

use std::process::ExitCode;

use marketprism_service::{Descriptor, LegacyVariable};

const DESCRIPTOR: Descriptor = Descriptor {
    name: "cold-storage",
    about: "Copies the hot ClickHouse into the cold one in order of stream sequence, and compares every range.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[
        LegacyVariable { variable: "NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "HOT_CH_USER", key: "hot.user" },
        LegacyVariable { variable: "HOT_CH_PWD", key: "hot.password" },
        LegacyVariable { variable: "HOT_CH_DB", key: "hot.database" },
        LegacyVariable { variable: "COLD_CH_USER", key: "cold.user" },
        LegacyVariable { variable: "COLD_CH_PWD", key: "cold.password" },
        LegacyVariable { variable: "COLD_CH_DB", key: "cold.database" },
        LegacyVariable { variable: "COLD_STORAGE_METRICS_PORT", key: "admin.metrics_listen_port" },
    ],
};

fn main() -> ExitCode {
    marketprism_service::run(DESCRIPTOR, app::start)
}
