//! `cargo xtask chaos`: builds the pipeline optimized, and hands over to `marketprism-chaos`.

use std::ffi::OsString;
use std::process::Command;

use crate::{Failure, workspace};

/// Everything that a run starts.
const PACKAGES: [&str; 7] = [
    "marketprism-chaos",
    "marketprism-collector",
    "marketprism-hot-storage",
    "marketprism-cold-storage",
    "marketprism-broker-bootstrap",
    "marketprism-exchange-simulator",
    "marketprism-embedded-clickhouse",
];

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ChaosArgs {
    /// As `marketprism-chaos --help` says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &ChaosArgs) -> Result<(), Failure> {
    let mut build = Command::new("cargo");
    build.current_dir(workspace::root()?).args(["build", "--quiet", "--release", "--locked"]);
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    if !build.status()?.success() {
        return Err(format!("{build:?} failed").into());
    }
    let target = workspace::metadata()?.target_directory.into_std_path_buf();
    let status = Command::new(target.join("release/marketprism-chaos")).args(&args.arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("chaos ended with {status}").into()) }
}
