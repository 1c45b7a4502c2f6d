//! Bounds of the configuration hold.

use marketprism_testkit::{ClickHouse, poll_until};

use crate::client::Client;

#[tokio::test]
async fn more_statements_than_allowed_are_refused() {
    let client = Client::of(ClickHouse::start_with(&[("MARKETPRISM__STATEMENTS_MAX", "1")]));
    // Either of the two may come first; the one that is refused asks again.
    let slow = poll_until(marketprism_testkit::DEADLINE, "the slow statement runs", async || {
        client.post("", "SELECT sleep(2)").await.status == 200
    });
    let refused = poll_until(marketprism_testkit::DEADLINE, "a second statement is refused", async || {
        client.post("", "SELECT 1").await.header("x-clickhouse-exception-code") == "202"
    });
    tokio::join!(slow, refused);
    poll_until(marketprism_testkit::DEADLINE, "the place is free again", async || {
        client.post("", "SELECT 1").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn default_settings_reach_every_statement() {
    let client = Client::of(ClickHouse::start_with(&[("MARKETPRISM__ENGINE__SETTINGS__MAX_THREADS", "7")]));
    assert_eq!(client.run("SELECT getSetting('max_threads')").await, "7\n");
    assert_eq!(
        client.run("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'").await,
        "4294967296\n"
    );
}
