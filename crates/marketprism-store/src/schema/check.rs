//! Compares the tables of a server with what this release needs. Changes nothing.

use std::collections::BTreeMap;

use super::{Column, Tier, columns};
use crate::client::Store;
use crate::error::StoreError;

/// What the server tells of a column, or of a table as its column `*`. Comments do not matter.
type Listing = BTreeMap<(String, String), String>;

/// Lists tables, views and columns the way `columns.tsv` does. A TTL of a table or a column would delete rows behind the
/// ledger's back; the word is looked for outside of comments.
const LISTING: &str = r"
SELECT table, name, type, if(default_kind = '', '', concat(default_kind, ' ', default_expression))
FROM system.columns WHERE database = currentDatabase()
UNION ALL
SELECT name, '*', if(engine = 'View', engine, concat(engine, ' PARTITION BY ', partition_key, ' ORDER BY ', sorting_key,
    if(match(replaceRegexpAll(create_table_query, '\'(\\\\.|[^\'\\\\])*\'', ''), '\\bTTL\\b'), ' with a TTL', ''))), ''
FROM system.tables WHERE database = currentDatabase() AND (engine LIKE '%MergeTree' OR engine = 'View')";

impl Store {
    /// Refuses a database whose tables are not as this release needs them: a column missing, too many, or of another
    /// type. Tables that are not ours may be there.
    ///
    /// # Errors
    /// [`StoreError::SchemaDiffers`] with every difference.
    pub async fn check_schema(&self, tier: Tier) -> Result<(), StoreError> {
        let found = self.client.query_raw(LISTING).fetch_all::<(String, String, String, String)>();
        let found: Listing = self
            .ask("read the tables of the database", found)
            .await?
            .into_iter()
            .map(|(table, column, kind, default)| ((table, column), described(&kind, &default)))
            .collect();
        let differences = differences(&columns(tier), self.config.placement().family(), &found);
        if differences.is_empty() {
            return Ok(());
        }
        Err(StoreError::SchemaDiffers { database: self.config.database.clone(), differences })
    }
}

fn described(kind: &str, default: &str) -> String {
    if default.is_empty() { kind.to_owned() } else { format!("{kind} {default}") }
}

fn differences(expected: &[Column], family: &str, found: &Listing) -> Vec<String> {
    let at = |table: &str, name: &str| found.get(&(table.to_owned(), name.to_owned()));
    let mut differences = Vec::new();
    for Column { table, name, kind, default, .. } in expected {
        // What is written down are the tables of a server without replicas.
        let wanted = match kind.strip_prefix("MergeTree") {
            Some(keys) if *name == "*" => format!("{family}{keys}"),
            _ => described(kind, default),
        };
        match at(table, name) {
            Some(kind) if *kind == wanted => {}
            Some(kind) => differences.push(format!("{table}.{name} is {kind}, needed is {wanted}")),
            None if *name == "*" => differences.push(format!("table {table} is missing")),
            // Of a missing table its own line is enough.
            None if at(table, "*").is_none() => {}
            None => differences.push(format!("{table}.{name} is missing, needed is {wanted}")),
        }
    }
    let known = |table: &str, name: &str| expected.iter().any(|one| one.table == table && one.name == name);
    for ((table, name), kind) in found {
        if known(table, "*") && !known(table, name) {
            differences.push(format!("{table}.{name} is {kind}, not needed and never written"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_told_once() {
        let expected = columns(Tier::Hot);
        let mut found: Listing = expected
            .iter()
            .map(|one| ((one.table.to_owned(), one.name.to_owned()), described(one.kind, one.default)))
            .collect();
        assert_eq!(differences(&expected, "MergeTree", &found), [""; 0]);

        let key = |table: &str, name: &str| (table.to_owned(), name.to_owned());
        found.retain(|(table, _), _| table != "gaps");
        found.remove(&key("trades", "side"));
        found.insert(key("trades", "price"), "Float64".to_owned());
        found.insert(key("trades", "venue"), "String".to_owned());
        found.insert(key("not_ours", "*"), "MergeTree".to_owned());
        let told = differences(&expected, "MergeTree", &found);
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(
            differences(&expected, "ReplicatedMergeTree", &found).len() > 10,
            "each table has another engine"
        );
        assert!(told.contains(&"table gaps is missing".to_owned()));
        assert!(told.contains(&"trades.price is Float64, needed is Decimal(38, 18)".to_owned()));
        assert!(told.iter().any(|line| line.starts_with("trades.venue is String, not needed")));
    }
}
