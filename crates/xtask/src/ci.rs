//! The list that CI and a laptop share. Every step runs, also after one failed; the end says which and how long.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Failure, docs, tidy, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct CiArgs {
    /// Leave this step out; may be given several times
    #[arg(long, value_name = "STEP", value_parser = names())]
    skip: Vec<String>,
    /// Run only this step; may be given several times
    #[arg(long, value_name = "STEP", value_parser = names())]
    only: Vec<String>,
}

struct Step {
    name: &'static str,
    run: fn() -> Result<(), Failure>,
}

/// Cheap ones first.
const STEPS: &[Step] = &[
    Step { name: "fmt", run: || cargo(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", run: tidy::run },
    Step {
        name: "clippy",
        run: || cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step { name: "tests", run: || succeed(Command::new("scripts/test.sh")) },
    Step { name: "doctests", run: || cargo(&["test", "--locked", "--workspace", "--doc", "--quiet"]) },
    Step { name: "docs", run: || docs::run(&docs::DocsArgs { check: true }) },
    Step { name: "rustdoc", run: rustdoc },
    Step { name: "deny", run: deny },
    Step { name: "each-crate", run: each_crate },
];

fn names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

pub(crate) fn run(args: &CiArgs) -> Result<(), Failure> {
    let wanted = |step: &&Step| {
        let named = |list: &[String]| list.iter().any(|name| name == step.name);
        !named(&args.skip) && (args.only.is_empty() || named(&args.only))
    };
    let mut summary = Vec::new();
    for step in STEPS.iter().filter(wanted) {
        println!("── {}", step.name);
        let begun = Instant::now();
        let result = (step.run)();
        if let Err(failure) = &result {
            eprintln!("{}: {failure}", step.name);
        }
        summary.push((step.name, result.is_ok(), begun.elapsed()));
    }
    conclude(&summary)
}

fn conclude(summary: &[(&str, bool, Duration)]) -> Result<(), Failure> {
    println!("── summary");
    for (name, passed, took) in summary {
        println!("{:>6} s  {}  {name}", took.as_secs(), if *passed { "ok    " } else { "FAILED" });
    }
    let failed: Vec<_> = summary.iter().filter(|(_, passed, _)| !passed).map(|(name, ..)| *name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

fn rustdoc() -> Result<(), Failure> {
    let mut command = Command::new("cargo");
    command
        .args(["doc", "--locked", "--workspace", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings");
    succeed(command)
}

/// `tidy` already checks licences, bans and sources offline; the tool adds known vulnerabilities.
fn deny() -> Result<(), Failure> {
    if workspace::output_of("cargo", &["deny", "--version"]).is_none() {
        println!("cargo-deny is not installed: no advisories checked (cargo install cargo-deny --locked)");
        return Ok(());
    }
    cargo(&["deny", "--locked", "check"])
}

/// Each crate with the features it asks for itself: none compiles only because another one is built beside it.
///
/// Other features mean other builds: of the 440 libraries about 300 are looked at once more here. Checking is enough: what
/// a feature leaves out is missed by the compiler, not by the linker.
fn each_crate() -> Result<(), Failure> {
    for package in workspace::metadata()?.workspace_packages() {
        let begun = Instant::now();
        cargo(&["check", "--locked", "--quiet", "--package", package.name.as_str()])?;
        println!("{:>6} s  {}", begun.elapsed().as_secs(), package.name);
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("cargo");
    command.args(arguments);
    succeed(command)
}

fn succeed(mut command: Command) -> Result<(), Failure> {
    let status = command.current_dir(workspace::root()?).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}
