//! Everything of the engine that could be a way out is known: a later engine with a new one fails here, and somebody
//! looks at it.

use crate::client::Client;
use crate::doors::{REFUSED, WITHOUT_EFFECT};

/// Table functions that make or read rows of the engine itself. Expressions in their arguments are confined like all.
const FUNCTIONS_INSIDE: &[&str] = &[
    "SQLStandardValues",
    "arrowstream", // only what this process registers, which is nothing
    "dictionary",
    "fuzzJSON",
    "fuzzQuery",
    "generateRandom",
    "generateSeries",
    "generate_series",
    "loop",
    "merge",
    "mergeTreeAnalyzeIndexes",
    "mergeTreeAnalyzeIndexesUUID",
    "mergeTreeIndex",
    "mergeTreeProjection",
    "mergeTreeTextIndex",
    "null",
    "numbers",
    "numbers_mt",
    "primes",
    "prometheusQuery",
    "prometheusQueryRange",
    "timeSeriesData",
    "timeSeriesMetrics",
    "timeSeriesSamples",
    "timeSeriesSelector",
    "timeSeriesTags",
    "values",
    "view",
    "viewExplain",
    "viewIfPermitted",
    "zeros",
    "zeros_mt",
];

/// Table engines that keep rows in the data folder, or none.
const ENGINES_INSIDE: &[&str] = &[
    "Alias",
    "Buffer",
    "Dictionary",
    "FuzzJSON",
    "FuzzQuery",
    "GenerateRandom",
    "Join",
    "KeeperMap", // there is no keeper
    "Log",
    "Loop",
    "MaterializedView",
    "Memory",
    "Merge",
    "Null",
    "QueryRunner", // runs statements, which are confined
    "Set",
    "StripeLog",
    "TimeSeries",
    "TinyLog",
    "View",
    "WindowView",
    "ArrowStream",
];

/// Table engines that a test of `doors.rs` names, or that find no script: there is no folder of scripts, and no program
/// is started.
const ENGINES_CONFINED: &[&str] = &["EmbeddedRocksDB", "FileLog", "Executable", "ExecutablePool"];

const DATABASES_INSIDE: &[&str] =
    &["Atomic", "Dictionary", "Memory", "Ordinary", "Replicated", "Backup", "DataLakeCatalog"];

/// No dictionary can be created.
const DICTIONARY_SOURCES: &[&str] = &[
    "cassandra",
    "clickhouse",
    "executable",
    "executable_pool",
    "file",
    "http",
    "jdbc",
    "library",
    "mongodb",
    "mysql",
    "null",
    "odbc",
    "postgresql",
    "redis",
    "yamlregexptree",
    "ytsaurus",
];

/// Scalar functions that touch more than their arguments; those that read files are confined.
const FUNCTIONS_THAT_LOOK_OUT: &[&str] = &["file"];

async fn names(client: &Client, question: &str) -> Vec<String> {
    client.run(question).await.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_table_function_is_inside_or_tried() {
    let client = Client::start();
    assert_eq!(client.count("system.clusters").await, 0, "functions of clusters need one");
    for name in names(&client, "SELECT name FROM system.table_functions ORDER BY name").await {
        let call = format!("{name}(");
        let tried = REFUSED.iter().chain(WITHOUT_EFFECT).any(|statement| statement.contains(&call));
        let inside = FUNCTIONS_INSIDE.contains(&name.as_str())
            || name == "format"
            || name == "input"
            || name == "eval";
        let cluster = name.ends_with("Cluster") || name.starts_with("cluster");
        assert!(inside || tried || cluster, "the table function {name} is new: does it reach outside?");
    }
}

#[tokio::test]
async fn every_engine_is_inside_or_refused() {
    let client = Client::start();
    client.run("CREATE DATABASE inside").await;
    let mut outside = 0;
    for name in names(&client, "SELECT name FROM system.table_engines ORDER BY name").await {
        let inside = name.ends_with("MergeTree")
            || ENGINES_INSIDE.contains(&name.as_str())
            || ENGINES_CONFINED.contains(&name.as_str());
        if !inside {
            let statement =
                format!("CREATE TABLE inside.x (a String) ENGINE = {name}('http://127.0.0.1:1/bucket/x')");
            assert_eq!(client.fail("", statement).await.0, 497, "the table engine {name} is new, or open");
            outside += 1;
        }
    }
    assert!(outside > 20, "{outside}");
    for name in names(&client, "SELECT name FROM system.database_engines ORDER BY name").await {
        if !DATABASES_INSIDE.contains(&name.as_str()) {
            let statement = format!("CREATE DATABASE x ENGINE = {name}('127.0.0.1:1', 'd', 'u', 'p')");
            assert_eq!(client.fail("", statement).await.0, 497, "the database engine {name} is new, or open");
        }
    }
}

#[tokio::test]
async fn every_source_of_dictionaries_and_function_that_looks_out_is_known() {
    let client = Client::start();
    for name in names(&client, "SELECT name FROM system.dictionary_sources ORDER BY name").await {
        assert!(DICTIONARY_SOURCES.contains(&name.as_str()), "the source {name} is new");
    }
    let like_files = "SELECT name FROM system.functions WHERE NOT is_aggregate AND (match(name, '(?i)^(file|read_|load|http|url$|exec|shell|system)') AND NOT match(name, '(?i)^filesystem')) ORDER BY name";
    assert_eq!(names(&client, like_files).await, FUNCTIONS_THAT_LOOK_OUT);
}
