//! What the tables are made with, and where: on one server, or on every replica of a cluster.

use crate::config::InvalidField;

/// Engine and cluster of a tier's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement<'a> {
    /// `MergeTree`, or `ReplicatedMergeTree` with or without its path and replica.
    pub engine: &'a str,
    /// The cluster on all of whose servers statements that make or change tables run.
    pub cluster: Option<&'a str>,
}

const PLAIN: &str = "MergeTree";
const REPLICATED: &str = "ReplicatedMergeTree";

impl Placement<'static> {
    /// A server without replicas.
    pub const SINGLE: Self = Self { engine: PLAIN, cluster: None };
}

impl Placement<'_> {
    /// The engine's name, without what is in parentheses.
    pub(crate) fn family(&self) -> &str {
        self.engine.split_once('(').map_or(self.engine, |(family, _)| family)
    }

    pub(crate) fn is_replicated(&self) -> bool {
        self.family() == REPLICATED
    }

    /// What stands behind a table's name: ` ON CLUSTER …` or nothing.
    pub(crate) fn on_cluster(&self) -> String {
        self.cluster.map(|name| format!(" ON CLUSTER `{name}`")).unwrap_or_default()
    }

    /// A system table, such as `system.processes`, of every server that may have written ours.
    pub(crate) fn everywhere(&self, system_table: &str) -> String {
        let all = |name: &str| format!("clusterAllReplicas('{name}', {system_table})");
        self.cluster.map_or_else(|| system_table.to_owned(), all)
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidField> {
        let refuse =
            |field, value: &str, reason| Err(InvalidField { field, value: value.to_owned(), reason });
        match self.engine.strip_prefix(self.family()).unwrap_or_default() {
            // Other engines of the family drop or merge rows; one of ours is a message, and stays.
            _ if ![PLAIN, REPLICATED].contains(&self.family()) => {
                return refuse("engine", self.engine, "is neither MergeTree nor ReplicatedMergeTree");
            }
            "" => {}
            arguments if !self.is_replicated() || !is_path_and_replica(arguments) => {
                return refuse("engine", self.engine, "is not ReplicatedMergeTree('/path', 'replica')");
            }
            arguments if !arguments.contains("{table}") && !arguments.contains("{uuid}") => {
                return refuse("engine", self.engine, "gives every table the same path: it needs {table}");
            }
            arguments if !arguments.contains("{replica}") => {
                return refuse(
                    "engine",
                    self.engine,
                    "gives every replica the same name: it needs {replica}",
                );
            }
            _ => {}
        }
        match self.cluster {
            Some(name) if name.is_empty() || !name.bytes().all(is_word) => {
                refuse("cluster", name, "is not a name of letters, digits, _ and -")
            }
            Some(name) if !self.is_replicated() => refuse(
                "cluster",
                name,
                "needs engine ReplicatedMergeTree: each server would have rows of its own",
            ),
            _ => Ok(()),
        }
    }
}

/// Two strings in parentheses, without anything that could end them early.
fn is_path_and_replica(arguments: &str) -> bool {
    let inside = arguments.strip_prefix("('").and_then(|rest| rest.strip_suffix("')"));
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| is_word(byte) || b"/{}.".contains(&byte));
    match inside.map(|inside| inside.split("', '").collect::<Vec<_>>()).as_deref() {
        Some([path, replica]) => plain(path) && plain(replica),
        _ => false,
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_that_drop_rows_or_share_paths_are_refused_with_the_reason() {
        let check = |engine: &str, cluster| Placement { engine, cluster }.validate();
        let path = "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')";
        assert_eq!(check("MergeTree", None), Ok(()));
        assert_eq!(check("ReplicatedMergeTree", None), Ok(()), "the server's own default path");
        assert_eq!(check(path, Some("market-data")), Ok(()));
        for (engine, cluster, told) in [
            ("ReplacingMergeTree", None, "engine: `ReplacingMergeTree` is neither"),
            ("MergeTree()", None, "engine: `MergeTree()` is not"),
            ("ReplicatedMergeTree('/t/{table}')", None, "is not ReplicatedMergeTree('/path', 'replica')"),
            ("ReplicatedMergeTree('/t/{table}', 'a') TTL", None, "is not ReplicatedMergeTree"),
            ("ReplicatedMergeTree('/t/{table}' || x, 'a')", None, "is not ReplicatedMergeTree"),
            ("ReplicatedMergeTree('/t/{shard}', '{replica}')", None, "needs {table}"),
            ("ReplicatedMergeTree('/t/{table}', 'one')", None, "needs {replica}"),
            ("MergeTree", Some("c"), "cluster: `c` needs engine ReplicatedMergeTree"),
            (path, Some("a`b"), "cluster: `a`b` is not a name"),
        ] {
            let error = check(engine, cluster).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
