//! The schema: applied once, repeated without harm, and refused when it is not ours.

use marketprism_core::decimal::SCALE;
use marketprism_store::schema::{Placement, columns, statements};
use marketprism_store::{SchemaMode, Store, StoreError, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{Sql, config, tier};

#[tokio::test]
async fn applying_is_repeatable_and_checking_changes_nothing() {
    let server = ClickHouse::start();
    let store = Store::new(config(&server, "test_hot")).unwrap();
    let error = store.migrate(Tier::Hot, SchemaMode::Check).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::SchemaOlder { missing, .. } if missing.contains("0001_trades")),
        "{error}"
    );
    let databases = Sql::new(&server, "default").ask("SHOW DATABASES LIKE 'test%'").await;
    assert!(databases.is_empty(), "checking created {databases:?}");

    let first = store.migrate(Tier::Hot, SchemaMode::Apply).await.unwrap();
    assert_eq!(first.applied.len(), Tier::Hot.files().len());
    let again = store.migrate(Tier::Hot, SchemaMode::Apply).await.unwrap();
    assert_eq!((again.version, again.applied.len()), (first.version, 0));
    store.migrate(Tier::Hot, SchemaMode::Check).await.unwrap();

    let sql = Sql::new(&server, "test_hot");
    let durable = sql.ask("SELECT count() FROM system.tables WHERE database = 'test_hot' AND engine_full LIKE '%fsync_after_insert = 1%'").await;
    assert_eq!(durable, [(columns(Tier::Hot).iter().filter(|one| one.is_table()).count()).to_string()]);
    // Interrupted between a file and its entry, it goes on: the files can be repeated.
    sql.run("ALTER TABLE schema_version DELETE WHERE version > 3 SETTINGS mutations_sync = 1").await;
    let resumed = store.migrate(Tier::Hot, SchemaMode::Apply).await.unwrap();
    assert_eq!(resumed.applied.len(), Tier::Hot.files().len() - 3);
}

#[tokio::test]
async fn statements_for_operators_make_the_same_tables() {
    let server = ClickHouse::start();
    let sql = Sql::new(&server, "default");
    for statement in statements(Tier::Cold, "by_hand", Placement::SINGLE) {
        sql.run(&statement).await;
    }
    Store::new(config(&server, "by_hand")).unwrap().check_schema(Tier::Cold).await.unwrap();
}

#[tokio::test]
async fn a_database_that_differs_is_refused_with_every_difference() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Hot).await;
    sql.run("ALTER TABLE trades ADD COLUMN venue String").await;
    sql.run("ALTER TABLE gaps DROP COLUMN detail").await;
    sql.run("ALTER TABLE open_interests MODIFY COLUMN open_interest Nullable(Float64)").await;
    sql.run("DROP TABLE liquidations").await;
    let error = store.migrate(Tier::Hot, SchemaMode::Apply).await.unwrap_err().to_string();
    for told in [
        "trades.venue is String, not needed",
        "gaps.detail is missing, needed is Nullable(String)",
        "open_interests.open_interest is Nullable(Float64), needed is Nullable(Decimal(38, 18))",
        "table liquidations is missing",
    ] {
        assert!(error.contains(told), "`{told}` is not in: {error}");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let server = ClickHouse::start();
    let (store, sql) = tier(&server, Tier::Cold).await;
    sql.run("INSERT INTO schema_version SELECT 99, '0099_from_the_future', now64(6)").await;
    for mode in [SchemaMode::Apply, SchemaMode::Check] {
        let error = store.migrate(Tier::Cold, mode).await.unwrap_err();
        assert!(matches!(error, StoreError::SchemaNewer { found: 99, .. }), "{error}");
    }
}

/// `columns.tsv` is what the files make. To renew it, copy the file that this test names.
#[tokio::test]
async fn columns_tsv_is_what_the_files_make() {
    let server = ClickHouse::start();
    let mut made = Vec::new();
    for which in [Tier::Hot, Tier::Cold] {
        let (_, sql) = tier(&server, which).await;
        made.push(
            sql.ask(
                "SELECT * EXCEPT position FROM (SELECT position, table, name, type, \
                 if(default_kind = '', '', concat(default_kind, ' ', default_expression)), comment \
                 FROM system.columns WHERE database = currentDatabase() UNION ALL \
                 SELECT 0 AS position, name, '*', if(engine = 'View', engine, concat( \
                 extract(engine, '[A-Za-z]*(MergeTree)$'), ' PARTITION BY ', partition_key, ' ORDER BY ', sorting_key)), '', comment \
                 FROM system.tables WHERE database = currentDatabase()) ORDER BY table, position",
            )
            .await,
        );
    }
    let (hot, cold) = (&made[0], &made[1]);
    let mut lines: Vec<_> = hot
        .iter()
        .map(|line| format!("{}\t{line}", if cold.contains(line) { "both" } else { "hot" }))
        .chain(cold.iter().filter(|line| !hot.contains(line)).map(|line| format!("cold\t{line}")))
        .collect();
    lines.push(String::new());
    let made = lines.join("\n");
    let written = include_str!("../../schema/columns.tsv");
    if made != written {
        let file = format!("{}/columns.tsv", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&file, made).unwrap();
        panic!("schema/columns.tsv is not what the schema files make; what they make is in {file}");
    }
}

#[test]
fn every_decimal_has_the_scale_of_core_and_every_time_microseconds() {
    let (mut decimals, mut times) = (0, 0);
    for tier in [Tier::Hot, Tier::Cold] {
        for column in columns(tier) {
            for kind in column.kind.split("Decimal").skip(1) {
                assert!(kind.starts_with(&format!("(38, {SCALE})")), "{column:?}");
                decimals += 1;
            }
            for kind in column.kind.split("DateTime").skip(1) {
                // Bars begin at whole seconds.
                let is_of_bar = column.table.starts_with("candles") && kind == "('UTC')";
                assert!(is_of_bar || kind.starts_with("64(6, 'UTC')"), "{column:?}");
                times += 1;
            }
        }
    }
    assert!(decimals > 20 && times > 20);
}
