//! Replicated tables and clusters, as far as one engine without a keeper can tell: it parses every statement.

use marketprism_store::schema::{Placement, statements};
use marketprism_store::{ClickHouseConfig, Credential, Store, StoreError, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{Sql, config, tier};

const REPLICATED: Placement<'static> = Placement {
    engine: "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')",
    cluster: Some("market-data"),
};

#[tokio::test]
async fn every_statement_of_a_cluster_is_one_the_engine_understands() {
    let server = ClickHouse::start();
    let sql = Sql::new(&server, "default");
    for which in [Tier::Hot, Tier::Cold] {
        for statement in statements(which, "somewhere", REPLICATED) {
            assert!(statement.contains(" ON CLUSTER `market-data`"), "{statement}");
            assert_eq!(statement.contains("ENGINE"), statement.contains(REPLICATED.engine), "{statement}");
            let tree = sql.ask(&format!("EXPLAIN AST {statement}")).await;
            assert!(tree[0].contains("Query") || tree[0].contains("AlterQuery"), "{statement}: {tree:?}");
        }
    }
}

#[tokio::test]
async fn a_replicated_tier_is_asked_with_settings_and_functions_the_engine_knows() {
    let server = ClickHouse::start();
    let (_, sql) = tier(&server, Tier::Hot).await;
    let replicated = Store::new(ClickHouseConfig {
        engine: REPLICATED.engine.to_owned(),
        cluster: REPLICATED.cluster.map(str::to_owned),
        ..config(&server, "test_hot")
    })
    .unwrap();
    // Plain tables where replicated ones are needed, told for each.
    let error = replicated.check_schema(Tier::Hot).await.unwrap_err().to_string();
    assert!(error.contains("trades.* is MergeTree PARTITION BY"), "{error}");
    assert!(error.contains("needed is ReplicatedMergeTree PARTITION BY"), "{error}");
    // All replicas are asked for running inserts; here there is no such cluster.
    let error = replicated.settled(marketprism_core::DataType::Trade).await.unwrap_err();
    assert!(matches!(&error, StoreError::Request { code: Some(701), .. }), "{error:?}");
    assert_eq!(sql.ask("SELECT errorCodeToName(701)").await, ["CLUSTER_DOESNT_EXIST"]);
}

#[tokio::test]
async fn tables_that_lose_rows_by_themselves_are_refused() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    store.check_schema(Tier::Hot).await.unwrap();
    sql.run("ALTER TABLE trades MODIFY TTL toDateTime(timestamp) + INTERVAL 3 DAY").await;
    sql.run(
        "ALTER TABLE gaps MODIFY COLUMN detail Nullable(String) TTL toDateTime(timestamp) + INTERVAL 3 DAY",
    )
    .await;
    sql.run("CREATE TABLE other AS liquidations ENGINE = ReplacingMergeTree PARTITION BY toDate(timestamp) ORDER BY (exchange, market_type, symbol, timestamp)")
        .await;
    sql.run("EXCHANGE TABLES other AND liquidations").await;
    let error = store.check_schema(Tier::Hot).await.unwrap_err();
    let StoreError::SchemaDiffers { differences, .. } = error else { panic!("{error}") };
    let told = |table: &str, what: &str| {
        differences.iter().any(|one| one.starts_with(&format!("{table}.* is ")) && one.contains(what))
    };
    assert!(told("trades", " with a TTL, needed is MergeTree"), "{differences:#?}");
    assert!(told("gaps", " with a TTL, needed is MergeTree"), "{differences:#?}");
    assert!(told("liquidations", "is ReplacingMergeTree PARTITION BY"), "{differences:#?}");
    assert_eq!(differences.len(), 3, "{differences:#?}");
}

#[tokio::test]
async fn a_password_is_in_no_statement_and_no_error() {
    let secret = "correct-horse-battery";
    let server = ClickHouse::start_with(&[("MARKETPRISM__PASSWORD", secret)]);
    let store = |password: &str| {
        let password = Credential::new(password.to_owned());
        Store::new(ClickHouseConfig { password, ..config(&server, "test_cold") }).unwrap()
    };
    let error = store("wrong-staple").ping().await.unwrap_err();
    assert!(!format!("{error:?} {}", std::error::Error::source(&error).unwrap()).contains("staple"));
    let store = store(secret);
    assert!(!format!("{store:?}").contains(secret));
    store.migrate(Tier::Cold, marketprism_store::SchemaMode::Apply).await.unwrap();
    store.settled(marketprism_core::DataType::Trade).await.unwrap();
}
