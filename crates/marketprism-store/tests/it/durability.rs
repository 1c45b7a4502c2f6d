//! What survives a power cut is set, or demanded.

use marketprism_store::{ClickHouseConfig, SchemaMode, Store, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{config, tier};

#[tokio::test]
async fn tables_that_may_lose_answered_inserts_are_refused_unless_that_is_accepted() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    store.migrate(Tier::Hot, SchemaMode::Check).await.unwrap();
    sql.run("ALTER TABLE gaps MODIFY SETTING fsync_part_directory = 0").await;
    let error = store.migrate(Tier::Hot, SchemaMode::Check).await.unwrap_err().to_string();
    assert!(error.contains("gaps: fsync_part_directory = 0"), "{error}");
    assert!(error.contains("clickhouse.fsync: false"), "{error}");
    // Whoever only reads the tier does not ask.
    store.find(Tier::Hot).await.unwrap();

    let accepting = ClickHouseConfig { fsync: false, ..config(&server, "test_hot") };
    Store::new(accepting).unwrap().migrate(Tier::Hot, SchemaMode::Check).await.unwrap();
    store.migrate(Tier::Hot, SchemaMode::Apply).await.unwrap();
    store.migrate(Tier::Hot, SchemaMode::Check).await.unwrap();
}
