//! One thread, frames to messages, by the example `decode_rate`; beside each rate what we want, what the best of others reaches
//! and what the same work costs at least.

use std::path::Path;
use std::process::Command;

use super::pieces::output;
use super::table::{Beside, Row};
use crate::Failure;

/// What the rate of a kind is compared with, messages a second; measured by others on the same frames and class of machine.
struct Known {
    kind: &'static str,
    target: u64,
    rival: (&'static str, u64),
    /// A hand-written loop without anything but this work.
    floor: Option<u64>,
}

const KNOWN: &[Known] = &[
    Known {
        kind: "binance_depth_book",
        target: 450_000,
        rival: ("barter-data 0.13", 223_000),
        floor: Some(663_000),
    },
    Known { kind: "binance_trade", target: 1_300_000, rival: ("nautilus 0.57", 991_000), floor: None },
    Known { kind: "okx_books_book", target: 300_000, rival: ("nautilus 0.57", 67_000), floor: Some(724_000) },
    Known { kind: "okx_trade", target: 1_000_000, rival: ("nautilus 0.57", 733_000), floor: None },
    Known { kind: "deribit_book", target: 350_000, rival: ("marketfeed", 162_000), floor: None },
];
/// ns that 99.9 per cent of frames of a book may take at most.
const BOOK_NANOS_TARGET: u64 = 20_000;

/// Rates and percentiles of every kind.
pub(super) fn run(programs: &Path, data: &Path, quick: bool) -> Result<Vec<Row>, Failure> {
    let mut command = Command::new(programs.join("examples/decode_rate"));
    command.arg(data).arg(if quick { "1" } else { "5" });
    let mut rows = Vec::new();
    for line in output(&mut command)?.lines().skip(1) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [kind, _, rate, half, most, nearly_all] = words.as_slice() else {
            return Err(format!("decode_rate printed `{line}`").into());
        };
        let mut row = Row::new(format!("decode {kind}"), rate.parse()?, "messages/s");
        let known = KNOWN.iter().find(|known| known.kind == *kind);
        row.beside =
            known.map(|known| Beside { target: known.target, rival: Some(known.rival), floor: known.floor });
        rows.push(row);
        if kind.contains("book") && !kind.contains("json") {
            for (percentile, nanos) in [("p50", half), ("p99", most), ("p99.9", nearly_all)] {
                let mut row = Row::new(format!("decode {kind} {percentile}"), nanos.parse()?, "ns");
                let target = (percentile == "p99.9").then_some(BOOK_NANOS_TARGET);
                row.beside = target.map(|target| Beside { target, rival: None, floor: None });
                rows.push(row);
            }
        }
    }
    Ok(rows)
}
