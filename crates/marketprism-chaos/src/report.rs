//! All rounds together: a table for people, one JSON object for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::{Value, json};

use crate::plan::Fault;
use crate::round::Outcome;

/// What the rounds came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rounds: u64,
    /// How often each thing was done to each.
    deeds: BTreeMap<String, u64>,
    sent: u64,
    messages: u64,
    gaps: u64,
    filled: u64,
    declared: u64,
    lost: u64,
    duplicated: u64,
    recovery_max: Duration,
    findings: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, faults: &[Fault], outcome: Outcome) {
        self.rounds += 1;
        for fault in faults {
            *self.deeds.entry(fault.deed.to_string()).or_default() += 1;
        }
        self.sent += outcome.sent;
        self.messages += outcome.messages;
        self.gaps += outcome.gaps;
        self.filled += outcome.filled;
        self.declared += outcome.declared;
        self.lost += outcome.lost;
        self.duplicated += outcome.duplicated;
        self.recovery_max = self.recovery_max.max(outcome.recovery);
        self.findings.extend(outcome.findings);
    }

    /// Adds what the last look at every row found.
    pub(crate) fn finish(&mut self, doubts: Vec<String>) {
        self.findings.extend(doubts);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.rounds > 0
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "rounds": self.rounds,
            "deeds": self.deeds,
            "events_sent": self.sent,
            "messages": self.messages,
            "gaps": self.gaps,
            "recovered": self.filled,
            "declared": self.declared,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "slowest_recovery_milliseconds": u64::try_from(self.recovery_max.as_millis()).unwrap_or(u64::MAX),
            "findings": self.findings,
            "clean": self.is_clean(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.add_row(["rounds".to_owned(), self.rounds.to_string()]);
        for (deed, count) in &self.deeds {
            table.add_row([deed.clone(), count.to_string()]);
        }
        for (name, value) in [
            ("events sent", self.sent),
            ("messages", self.messages),
            ("gaps declared", self.gaps),
            ("recovered by backfill", self.filled),
            ("missing and declared", self.declared),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
        ] {
            table.add_row([name.to_owned(), value.to_string()]);
        }
        table.add_row(["slowest recovery".to_owned(), format!("{:.1} s", self.recovery_max.as_secs_f64())]);
        writeln!(f, "{table}")?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        f.write_str(if self.is_clean() {
            "everything sent is stored exactly once in both tiers, or declared missing"
        } else {
            "NOT everything is stored exactly once or declared missing"
        })
    }
}
