//! Errors have the server's codes, statuses and headers.

use marketprism_testkit::ClickHouse;

use crate::client::{Client, query};

#[tokio::test]
async fn codes_and_statuses_are_the_servers() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    for (parameters, sql, code, status) in [
        ("", "SELECT * FROM nope", 60, 404),
        ("", "SELECT * FROM nope.t", 81, 404),
        ("", "INSERT INTO nope VALUES (1)", 60, 404),
        ("", "INSERT INTO nope FORMAT TSV\n1", 60, 404),
        ("", "SELECT nope FROM t", 47, 404),
        ("", "SELECT nope(1)", 46, 404),
        ("", "SELECT 1 FORMAT Nope", 73, 404),
        ("nope=1", "SELECT 1", 115, 404),
        ("max_threads=x", "SELECT 1", 27, 400),
        ("", "SELECT (", 62, 400),
        ("", "SELECT 1 INTO OUTFILE '/tmp/x'", 175, 500),
        ("", "CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n", 57, 500),
        (
            "max_execution_time=0.1&max_block_size=1",
            "SELECT sleepEachRow(0.05) FROM numbers(100) FORMAT JSON",
            159,
            408,
        ),
        (
            "max_memory_usage=1000000",
            "SELECT groupArray(number) FROM numbers(10000000) FORMAT JSON",
            241,
            500,
        ),
        ("session_id=a&session_check=1", "SELECT 1", 372, 500),
    ] {
        let answer = client.post(parameters, sql).await;
        assert_eq!(
            (answer.header("x-clickhouse-exception-code"), answer.status),
            (code.to_string().as_str(), status),
            "{parameters} {sql}: {}",
            answer.text()
        );
        let text = answer.text();
        assert!(text.starts_with(&format!("Code: {code}. DB::Exception: ")), "{text}");
        assert_eq!(text.matches("(version ").count(), 1, "{text}");
        assert!(text.ends_with(" (official build))\n"), "{text}");
    }
    let answer = client.send(reqwest::Method::PUT, "", &[], "").await;
    assert_eq!(answer.status, 501);
}

#[tokio::test]
async fn hostile_texts_are_errors_and_the_process_lives() {
    let mut client = Client::start();
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let wide = format!("SELECT {}1", "1+".repeat(20_000));
    let long = format!("SELECT length('{}')", "x".repeat(1_000_000));
    for text in [
        deep.into_bytes(),
        wide.into_bytes(),
        long.into_bytes(),
        b"SELECT '\xff\xfe'\0".to_vec(),
        vec![b'x'; 17 << 20],
    ] {
        client.post("", text).await;
    }
    assert_eq!(client.run("SELECT 1").await, "1\n");
    assert!(client.server.process().ended().is_none());
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let client = Client::without_password(ClickHouse::start_with(&[
        ("MARKETPRISM__USER", "writer"),
        ("MARKETPRISM__PASSWORD", "s3cret"),
    ]));
    assert_eq!(client.fail("", "SELECT 1").await.0, 516);
    assert_eq!(client.fail("user=writer&password=wrong", "SELECT 1").await.0, 516);
    assert_eq!(client.post("user=writer&password=s3cret", "SELECT 1").await.text(), "1\n");
    let headers = [("x-clickhouse-user", "writer"), ("x-clickhouse-key", "s3cret")];
    assert_eq!(client.send(reqwest::Method::POST, &query("SELECT 1"), &headers, "").await.text(), "1\n");
    let headers = [("authorization", "Basic d3JpdGVyOnMzY3JldA==")];
    assert_eq!(client.send(reqwest::Method::POST, "", &headers, "SELECT 1").await.status, 200);
}
