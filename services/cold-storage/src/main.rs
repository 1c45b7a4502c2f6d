//! The hot tier into the cold tier, in order of stream sequence, each range compared before it counts as copied.
//!
//! What is copied is written in the cold tier's `replication_log` and nowhere else: interrupted anywhere, the next run
//! goes on behind the last range in it. Full history is the same loop from sequence 0. The hot tier lets go of a day only
//! when it is older than the retention and proved, at that moment, to be in the cold tier.

mod app;
mod config;
mod integrity;
mod metrics;
mod pace;
mod progress;
mod proof;
mod release;
mod replicator;

use std::process::ExitCode;

use marketprism_service::{Descriptor, Invocation, LegacyVariable};

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

#[derive(Debug, clap::Args)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the binary can do beside copying.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare the stream, the hot tier and the cold tier row by row: 0 if nothing is wrong, 1 if something is. Changes nothing
    Verify(integrity::ScopeArgs),
    /// Put right what verify finds, where it can be proved: 0 if nothing is wrong any more, 1 if something is
    Repair(integrity::RepairArgs),
}

fn main() -> ExitCode {
    let invocation = match Invocation::<Arguments>::parse(DESCRIPTOR) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    match &invocation.arguments.command {
        Some(Command::Verify(arguments)) => {
            let arguments = arguments.clone();
            invocation.perform(|config, _: Arguments, stop| integrity::run_verify(config, arguments, stop))
        }
        Some(Command::Repair(arguments)) => {
            let arguments = arguments.clone();
            invocation.perform(|config, _: Arguments, stop| integrity::run_repair(config, arguments, stop))
        }
        None => invocation.serve(app::start),
    }
}
