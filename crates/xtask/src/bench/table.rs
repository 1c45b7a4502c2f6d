//! The result's shape: rows of one table.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One figure; the examples that measure print it as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The figure.
    pub(crate) value: u64,
    /// Its unit.
    pub(crate) unit: Cow<'static, str>,
    /// The same without our code, in the same run: the broker's or the engine's own limit.
    pub(crate) limit: Option<u64>,
    /// What it is compared with and was not measured in this run.
    #[serde(skip_deserializing)]
    pub(crate) beside: Option<Beside>,
}

/// Figures of elsewhere, in the row's unit.
#[derive(Debug, Serialize)]
pub(crate) struct Beside {
    /// What we want.
    pub(crate) target: u64,
    /// The best of others, and its figure.
    pub(crate) rival: Option<(&'static str, u64)>,
    /// What the work costs at least.
    pub(crate) floor: Option<u64>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: u64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit: unit.into(), limit: None, beside: None }
    }
}

/// The table for people; after the figure its limit and our share of it, or what it is compared with.
pub(crate) fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    let mut text =
        format!("{:<width$} {:>12} {:<14} {:>12} {:>6}\n", "what", "value", "unit", "limit", "share");
    for row in rows {
        let Row { what, value, unit, limit, .. } = row;
        let share = limit.and_then(|limit| (value * 100).checked_div(limit));
        let limit = limit.map_or_else(String::new, |limit| limit.to_string());
        let share = share.map_or_else(String::new, |share| format!("{share} %"));
        let line = format!("{what:<width$} {value:>12} {unit:<14} {limit:>12} {share:>6}  {}", compared(row));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn compared(row: &Row) -> String {
    let Some(Beside { target, rival, floor }) = &row.beside else { return String::new() };
    let mut text = format!("target {target}");
    if let Some((name, figure)) = rival {
        let times = row.value * 10 / figure.max(&1);
        text.push_str(&format!(", {name} {figure} ({}.{} times)", times / 10, times % 10));
    }
    if let Some(floor) = floor {
        text.push_str(&format!(", floor {floor} ({} % of it)", row.value * 100 / floor.max(&1)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_figure_is_compared_with_stands_beside_it() {
        let mut row = Row::new("decode", 500, "messages/s");
        row.beside = Some(Beside { target: 450, rival: Some(("other", 200)), floor: Some(1_000) });
        let mut limited = Row::new("publish", 90, "messages/s");
        limited.limit = Some(100);
        let text = text(&[row, limited]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].ends_with("target 450, other 200 (2.5 times), floor 1000 (50 % of it)"), "{text}");
        assert!(lines[2].ends_with("100   90 %"), "{text}");
    }
}
