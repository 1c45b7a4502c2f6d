//! Murders the whole pipeline, round after round: real binaries, real broker, real engines, simulated exchanges. After each
//! round the simulator's ledger, the streams, the hot and the cold tier must agree: nothing lost, nothing stored twice.
//!
//! It starts and reconciles the pipeline with `marketprism-demo`; `docs/chaos.md` says how to read and repeat a run.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a command for people: its output is its result"
)]

mod faults;
mod links;
mod options;
mod plan;
mod report;
mod round;
mod run;
mod totals;

use std::process::ExitCode;

use clap::Parser;

/// Exit code when the pipeline could not be started or watched.
const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    let options = options::Options::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    match runtime.block_on(run::run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
