//! What the engine's one user may do, as the engine's own grants: a list of what is allowed, so that what a later
//! engine adds is refused until somebody has looked at it.
//!
//! The engine asks for a grant wherever a statement names a source: table functions, table and database engines, file
//! names instead of tables, in views and subqueries, with every spelling. What it does not ask for, `confine.rs` refuses.

use std::fmt::Write as _;

use crate::config::Source;

/// Everything about the engine's own databases.
const GRANTS: &[&str] = &[
    "CHECK, SHOW, SELECT, INSERT, ALTER, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, dictGet ON *.*",
    "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE FUNCTION ON *.*",
    "CREATE ARBITRARY TEMPORARY TABLE, CREATE TEMPORARY VIEW ON *.*",
    "KILL QUERY, KILL TRANSACTION ON *.*",
    "SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM CLEANUP, SYSTEM VIEWS ON *.*",
    "SYSTEM FLUSH, SYSTEM DROP CACHE, SYSTEM RELOAD DICTIONARY, SYSTEM WAIT LOADING PARTS ON *.*",
    "SYSTEM LOAD PRIMARY KEY, SYSTEM UNLOAD PRIMARY KEY ON *.*",
    "SET DEFINER ON *",
];

/// No table declares a disk of its own.
const CONSTRAINTS: &str = "<constraints><merge_tree_disk><readonly/></merge_tree_disk><merge_tree_storage_policy><readonly/></merge_tree_storage_policy></constraints>";

/// What the kernel refuses once it refuses always: no use in trying again for minutes.
const NO_NETWORK: &str = "<http_max_tries>1</http_max_tries><s3_retry_attempts>0</s3_retry_attempts>";

/// The text of `users.xml`. The user has no password here: the engine logs every connection in without one, and who may
/// send statements is asked by the HTTP interface.
pub(crate) fn text(allowed: &[Source]) -> String {
    let (mut grants, mut profile) = (String::new(), String::new());
    // Without any, a user has every right.
    if !allowed.contains(&Source::All) {
        // Every dictionary has a source, and even that of a local table resolves a host name.
        let dictionaries = (!allowed.is_empty()).then(|| "CREATE DICTIONARY ON *.*".to_owned());
        let sources = allowed.iter().map(|source| format!("READ, WRITE ON {}", source.grant()));
        for grant in GRANTS.iter().map(|grant| (*grant).to_owned()).chain(sources).chain(dictionaries) {
            _ = writeln!(grants, "                <query>GRANT {grant}</query>");
        }
        CONSTRAINTS.clone_into(&mut profile);
        if !allowed.iter().any(|source| source.is_network()) {
            profile.push_str(NO_NETWORK);
        }
        grants = format!("            <grants>\n{grants}            </grants>\n");
    }
    format!(
        "<clickhouse>
    <profiles><default>{profile}</default></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password></password>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
{grants}        </default>
    </users>
</clickhouse>
"
    )
}
