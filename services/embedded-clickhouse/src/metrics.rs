//! Every metric of the service.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

use crate::execute::Ended;

/// Statements over HTTP.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_embedded_clickhouse")]
pub(crate) struct StatementMetrics {
    /// Statements that ran to their end.
    statements_done_total: Counter,
    /// Statements that ended with an exception.
    statements_failed_total: Counter,
    /// Statements whose client went away before their end.
    statements_cancelled_total: Counter,
    /// Statements refused because as many as allowed were running.
    statements_refused_total: Counter,
    /// Statements refused because they reached outside of the engine's own tables.
    statements_denied_total: Counter,
    /// Statements running now.
    statements_running: Gauge,
    /// Time from a statement's start to its end in seconds.
    statement_duration_seconds: Histogram,
    /// Rows stored by inserts.
    rows_inserted_total: Counter,
}

impl StatementMetrics {
    /// A statement's thread began.
    pub(crate) fn begun(&self) {
        self.statements_running.increment(1);
    }

    /// It ended.
    pub(crate) fn ended(&self, how: Ended, elapsed: Duration) {
        self.statements_running.decrement(1);
        self.statement_duration_seconds.record(elapsed);
        match how {
            Ended::Done { written_rows } => {
                self.statements_done_total.increment(1);
                self.rows_inserted_total.increment(written_rows);
            }
            // Counted where the response is made, with those that never got a thread.
            Ended::Failed { .. } => {}
            Ended::Cancelled => self.statements_cancelled_total.increment(1),
        }
    }

    /// An exception was sent.
    pub(crate) fn failed(&self, code: u32) {
        if code == crate::exception::Code::AccessDenied as u32 {
            self.statements_denied_total.increment(1);
        } else if code == crate::exception::Code::TooManySimultaneousQueries as u32 {
            self.statements_refused_total.increment(1);
        } else {
            self.statements_failed_total.increment(1);
        }
    }
}
