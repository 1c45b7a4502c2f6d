//! What the schema files add up to: `schema/columns.tsv`, one line a column.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::Tier;

/// `tier  table  column  type  default  comment`, as the engine prints them; the column `*` is the table itself.
const COLUMNS: &str = include_str!("../../schema/columns.tsv");

/// One column of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The table.
    pub table: &'static str,
    /// The column, or `*` for the table's own line.
    pub name: &'static str,
    /// ClickHouse type; of a table its engine family, partition and sorting key; of a view `View`.
    pub kind: &'static str,
    /// `ALIAS expression`, or empty for a column that is stored.
    pub default: &'static str,
    /// What it means.
    pub comment: &'static str,
}

impl Column {
    /// Whether this line is a table, which holds rows, rather than a view or a column.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.name == "*" && self.kind != "View"
    }

    /// Whether the column is stored, not computed.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.name != "*" && self.default.is_empty()
    }
}

/// The tables and columns of a tier, in the order of the engine's own listing.
#[must_use]
pub fn columns(tier: Tier) -> Vec<Column> {
    let line = |line: &'static str| {
        let mut fields = line.split('\t');
        let tiers = fields.next()?;
        let mut next = || fields.next().unwrap_or_default();
        let column = Column { table: next(), name: next(), kind: next(), default: next(), comment: next() };
        (tiers == "both" || tiers == tier.as_str()).then_some(column)
    };
    COLUMNS.lines().filter_map(line).collect()
}

/// The stored columns of a message table, as a list for SQL.
pub(crate) fn stored(table: &str) -> &'static str {
    static LISTS: OnceLock<Lists> = OnceLock::new();
    listed(LISTS.get_or_init(|| lists(|column| format!("`{}`", column.name))), table)
}

/// The stored columns of a message table as arguments of a hash function. A NULL among them would make the whole hash
/// NULL, which a sum leaves out; such a column is hashed by itself first.
pub(crate) fn hashed(table: &str) -> &'static str {
    static LISTS: OnceLock<Lists> = OnceLock::new();
    let argument = |column: &Column| {
        // `LowCardinality(Nullable(String))`, too.
        if column.kind.contains("Nullable(") {
            format!("ifNull(cityHash64(`{}`), 0)", column.name)
        } else {
            format!("`{}`", column.name)
        }
    };
    listed(LISTS.get_or_init(|| lists(argument)), table)
}

/// A list of columns for each table.
type Lists = BTreeMap<&'static str, String>;

fn lists(each: impl Fn(&Column) -> String) -> Lists {
    let mut lists = Lists::new();
    for column in columns(Tier::Hot).iter().filter(|column| column.is_stored()) {
        let list = lists.entry(column.table).or_default();
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&each(column));
    }
    lists
}

fn listed(lists: &'static Lists, table: &str) -> &'static str {
    lists.get(table).map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_column_that_may_be_null_makes_the_hash_of_its_row_null() {
        for column in columns(Tier::Hot).iter().filter(|column| column.is_stored()) {
            let by_itself =
                hashed(column.table).contains(&format!("ifNull(cityHash64(`{}`), 0)", column.name));
            assert_eq!(by_itself, column.kind.contains("Nullable("), "{column:?}");
        }
    }
}
