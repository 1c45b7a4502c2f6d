//! Development only: what `deploy/` ships, read as data, and the pipeline with everything that watches it.
//!
//! The tests of this crate are the contract: each name in a rule, a dashboard or the runbook exists in a running pipeline, each
//! alert fires and resolves, and reaches whom it is for; units, compose file and ports fit together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

pub mod compose;
pub mod dashboards;
pub mod documents;
pub mod hurry;
pub mod listeners;
pub mod rules;
pub mod selectors;
pub mod units;
pub mod watched;

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root").to_owned()
}
