//! `marketprism-demo`: the command line of the demo.
#![allow(clippy::print_stderr, reason = "it is a command for people")]

use std::process::ExitCode;

use clap::Parser;
use marketprism_demo::options::Options;
use marketprism_demo::run::run;

/// Exit code when the pipeline could not be started or run.
const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    match runtime.block_on(run(&options)) {
        Ok(verdict) if verdict.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
