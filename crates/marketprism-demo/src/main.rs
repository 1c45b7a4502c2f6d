//! The whole pipeline on one machine: starts it, shows it live, stops it in order, and reconciles what the exchange sent
//! with what both tiers hold.
//!
//! It runs the real binaries with real configuration files; it is no part of them and imports only the vocabulary.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a command for people: its output is its result"
)]

mod capture;
mod failure;
mod folder;
mod http;
mod live;
mod measured;
mod options;
mod ports;
mod process;
mod reconcile;
mod report;
mod run;
mod sample;
mod settings;
mod stack;
mod usage;

use std::process::ExitCode;

use clap::Parser;

/// Exit code when the pipeline could not be started or run.
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
        Ok(verdict) if verdict.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
