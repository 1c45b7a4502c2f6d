//! Development commands: ci, tidy, docs, bench, chaos.
//!
//! Laptop and CI run the same lists; whatever must run before cargo exists is in `scripts/`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a command for people: its output is its result"
)]

mod bench;
mod chaos;
mod ci;
mod docs;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// What can go wrong in a development command; its text is for the developer.
type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development commands of MarketPrism.", version)]
enum Command {
    /// Everything CI checks: formatting, lints, tests, documentation, dependencies, every crate on its own
    Ci(ci::CiArgs),
    /// Rules no compiler knows: who may import whom, file sizes and names, licences, nothing of this machine in the tree
    Tidy,
    /// Writes docs/reference and Grafana's dashboards from the code
    Docs(docs::DocsArgs),
    /// Rates, lag, CPU and memory of the pieces and of the whole pipeline, in one table
    Bench(bench::BenchArgs),
    /// Kills the processes of the running pipeline at random, round after round, and proves that nothing is lost or doubled
    Chaos(chaos::ChaosArgs),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Ci(args) => ci::run(&args),
        Command::Tidy => tidy::run(),
        Command::Docs(args) => docs::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Chaos(args) => chaos::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
