//! Storing alone, by the example `storage_rate` of hot-storage: the whole path into both tiers on a full stream, and what
//! broker and engine do by themselves with the same messages.

use std::path::Path;
use std::process::Command;

use super::pieces::output;
use super::table::{Beside, Row};
use crate::Failure;

/// What we want of it, by the row's name.
const TARGETS: &[(&str, u64)] = &[
    ("trade into hot", 150_000),
    ("trade into hot: hot-storage CPU a row", 2_500),
    ("trade into hot: hot-storage RSS peak", 200),
    ("orderbook into hot: hot-storage RSS peak", 200),
    ("trade into cold", 1_000_000),
    ("trade into cold: cold-storage RSS peak", 200),
    ("orderbook into cold: cold-storage RSS peak", 200),
];

pub(super) fn run(programs: &Path, quick: bool) -> Result<Vec<Row>, Failure> {
    let mut command = Command::new(programs.join("examples/storage_rate"));
    command.args(if quick { ["200000", "10000"] } else { ["2000000", "50000"] });
    // The broker inherits it, as `deploy` starts it.
    command.env("GOGC", "400");
    let row = |line: &str| -> Result<Row, Failure> {
        let mut row: Row =
            serde_json::from_str(line).map_err(|error| format!("storage_rate printed `{line}`: {error}"))?;
        let target = TARGETS.iter().find(|(what, _)| *what == row.what);
        row.beside = target.map(|(_, target)| Beside { target: *target, rival: None, floor: None });
        Ok(row)
    };
    output(&mut command)?.lines().map(row).collect()
}
