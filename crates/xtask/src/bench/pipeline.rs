//! The whole pipeline by the demo: what it stores, how late, and what each process uses for it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::pieces::output;
use super::table::Row;
use crate::Failure;

/// One run at `rate` messages a second; it fails when anything was lost or duplicated.
pub(crate) fn run(programs: &Path, scratch: &Path, rate: u64, quick: bool) -> Result<Vec<Row>, Failure> {
    let mut command = Command::new(programs.join("marketprism-demo"));
    command.args(["--json", "--no-console", "--ports", "free", "--for", if quick { "10s" } else { "60s" }]);
    command.arg("--rate").arg(rate.to_string()).arg("--folder").arg(scratch.join("demo"));
    let text = output(&mut command)?;
    let result: Value = serde_json::from_str(text.lines().last().unwrap_or_default())?;
    let number = |pointer: &str| result.pointer(pointer).and_then(Value::as_u64);
    let need = |pointer: &str| number(pointer).ok_or_else(|| format!("the demo's JSON has no {pointer}"));
    let name = |what: &str| format!("pipeline at {rate}/s: {what}");
    let (stored, millis) = (need("/totals/cold")?, need("/usage/watched_milliseconds")?.max(1));
    let mut rows = vec![
        Row::new(name("stored in both tiers"), stored * 1_000 / millis, "messages/s"),
        Row::new(name("lost"), need("/totals/lost")?, "messages"),
        Row::new(name("duplicated"), need("/totals/duplicated")?, "messages"),
    ];
    for data_type in ["trade", "orderbook"] {
        for percentile in ["p50", "p99"] {
            if let Some(lag) = number(&format!("/usage/lag/{data_type}/{percentile}_milliseconds")) {
                rows.push(Row::new(name(&format!("{data_type} event to hot row {percentile}")), lag, "ms"));
            }
        }
    }
    for (process, usage) in
        result.pointer("/usage/processes").and_then(Value::as_object).into_iter().flatten()
    {
        let of = |field| usage.get(field).and_then(Value::as_u64).unwrap_or_default();
        let cpu_millis = of("cpu_milliseconds");
        rows.extend([
            Row::new(name(&format!("{process} CPU of one core")), cpu_millis * 1_000 / millis, "per mille"),
            Row::new(
                name(&format!("{process} CPU a message")),
                (cpu_millis * 1_000_000).checked_div(stored).unwrap_or_default(),
                "ns",
            ),
            Row::new(name(&format!("{process} RSS peak")), of("resident_bytes_peak") >> 20, "MiB"),
        ]);
    }
    Ok(rows)
}
