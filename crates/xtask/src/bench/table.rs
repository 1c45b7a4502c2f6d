//! The result's shape: rows of one table.

use serde::Serialize;

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The figure.
    pub(crate) value: u64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The same without our code, in the same run: the broker's or the engine's own limit.
    pub(crate) limit: Option<u64>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: u64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, limit: None }
    }
}

/// The table for people; the last columns are the limit and our share of it.
pub(crate) fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    let mut text =
        format!("{:<width$} {:>12} {:<14} {:>12} {:>6}\n", "what", "value", "unit", "limit", "share");
    for Row { what, value, unit, limit } in rows {
        let share = limit.and_then(|limit| (value * 100).checked_div(limit));
        let limit = limit.map_or_else(String::new, |limit| limit.to_string());
        let share = share.map_or_else(String::new, |share| format!("{share} %"));
        text.push_str(&format!("{what:<width$} {value:>12} {unit:<14} {limit:>12} {share:>6}\n"));
    }
    text
}
