//! Sessions keep what they were told, and nothing of a single request.

use crate::client::Client;

#[tokio::test]
async fn a_session_keeps_temporary_tables_and_its_own_settings_only() {
    let client = Client::start();
    let run = async |parameters: &str, sql: &str| {
        client.post(&format!("session_id=s&{parameters}"), sql.to_owned()).await.text()
    };
    assert_eq!(run("", "CREATE TEMPORARY TABLE x (n UInt8)").await, "");
    assert_eq!(run("", "INSERT INTO x VALUES (1), (2)").await, "");
    assert_eq!(run("", "SET max_threads = 3").await, "");
    assert_eq!(run("max_threads=5", "SELECT sum(n), getSetting('max_threads') FROM x").await, "3\t5\n");
    assert_eq!(run("", "SELECT getSetting('max_threads')").await, "3\n");
    client.run("CREATE DATABASE d").await;
    assert_eq!(run("database=d", "SELECT currentDatabase()").await, "d\n");
    assert_eq!(run("", "SELECT currentDatabase()").await, "default\n");

    assert_eq!(client.fail("", "SELECT * FROM x").await.0, 60, "without the session");
    assert_eq!(client.fail("session_id=other", "SELECT * FROM x").await.0, 60, "in another session");
}

#[tokio::test]
async fn a_busy_session_is_locked() {
    let client = Client::start();
    let slow = client.post("session_id=s", "SELECT sleep(2)");
    let second = async {
        // The first request has to be there before the second.
        marketprism_testkit::poll_until(
            std::time::Duration::from_secs(10),
            "the first statement runs",
            async || {
                client.run("SELECT count() FROM system.processes WHERE query LIKE '%sleep(2)%'").await
                    != "1\n"
            },
        )
        .await;
        client.post("session_id=s", "SELECT 1").await
    };
    let (first, second) = tokio::join!(slow, second);
    assert_eq!(first.status, 200);
    assert_eq!(second.header("x-clickhouse-exception-code"), "373");
    assert_eq!(client.post("session_id=s", "SELECT 1").await.text(), "1\n");
}

#[tokio::test]
async fn get_in_a_session_changes_nothing() {
    let client = Client::start();
    client.post("session_id=s", "CREATE TEMPORARY TABLE x (n UInt8)").await;
    let get = async |sql: &str| {
        client
            .send(reqwest::Method::GET, &format!("session_id=s&{}", crate::client::query(sql)), &[], "")
            .await
    };
    assert_eq!(get("SELECT count() FROM x").await.text(), "0\n");
    assert_eq!(get("DROP TABLE x").await.header("x-clickhouse-exception-code"), "164");
    assert_eq!(client.post("session_id=s", "INSERT INTO x VALUES (1)").await.status, 200);
}
