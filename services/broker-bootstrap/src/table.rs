//! The plan, for a person: one row a stream.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table};
use marketprism_bus::topology::Step;

/// Writes the plan to standard output.
pub(crate) fn print(steps: &[Step]) -> io::Result<()> {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(["stream", "action", "changes"]);
    for step in steps {
        let changes: Vec<_> = step.changes.iter().map(ToString::to_string).collect();
        table.add_row([step.stream.clone(), step.action.to_string(), changes.join("\n")]);
    }
    writeln!(io::stdout().lock(), "{table}")
}
