//! JetStream messages in, rows of the hot tier out, each exactly once.
//!
//! One lane for each data type: pull a batch, insert it, and only then acknowledge. A message that may be stored
//! already is looked up by its stream sequence; one that can never be stored becomes a dead letter. Knows nothing of
//! exchanges: a new one needs no new release of this service.

mod app;
mod backlog;
mod claim;
mod config;
mod dead_letters;
mod epochs;
mod insertion;
mod lane;
mod metrics;
mod probes;
mod pulled;

use std::process::ExitCode;

use marketprism_service::{Descriptor, Invocation, LegacyVariable};

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

#[derive(Debug, clap::Args)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the binary can do beside storing.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Messages that could never be stored: list them, show them, publish them again after a fix
    DeadLetters(dead_letters::DeadLettersArgs),
}

fn main() -> ExitCode {
    let invocation = match Invocation::<Arguments>::parse(DESCRIPTOR) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    match &invocation.arguments.command {
        Some(Command::DeadLetters(arguments)) => {
            let arguments = arguments.clone();
            invocation.perform(|config, _: Arguments, stop| dead_letters::run(config, arguments, stop))
        }
        None => invocation.serve(app::start),
    }
}
