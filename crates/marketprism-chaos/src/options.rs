//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use marketprism_demo::options::{Market, Servers, simulated};

/// Kills, freezes and cuts off the processes of the running pipeline at random, and compares what the simulated exchanges sent
/// with the streams, the hot and the cold tier after every round. Exit code 1 when anything was lost or stored twice.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos", version)]
pub(crate) struct Options {
    /// How many rounds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rounds: u64,
    /// Decides what happens in which round: equal seeds, equal rounds
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Number of the first round: 17 repeats round 17 and what follows
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Messages a second the simulated exchanges send
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Symbols of each market
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    symbols: u16,
    /// Markets that are collected, separated by spaces or commas
    #[arg(long, value_enum, value_name = "MARKET", num_args = 1.., value_delimiter = ',', default_values_t = Market::ALL)]
    pub(crate) markets: Vec<Market>,
    /// How long data flows undisturbed before the faults of a round
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) calm: Duration,
    /// Folder of data, logs and configuration; emptied at start, kept at the end
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Print the result as one JSON object on the last line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) servers: Servers,
}

impl Options {
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| self.servers.cache_folder().join("chaos"))
    }

    /// The simulator's command line.
    pub(crate) fn simulator(&self) -> Vec<OsString> {
        simulated(self.seed, self.rate, self.symbols, &self.markets)
    }
}
