//! Statements: one at a time, parameters, read-only GET, forms, databases.

use crate::client::{Client, query};

#[tokio::test]
async fn several_statements_in_one_request_are_refused_and_none_is_run() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    for text in [
        "SELECT 1; SELECT 2",
        "DROP TABLE t; SELECT 1",
        "INSERT INTO t SELECT 1; DROP TABLE t",
        "SELECT 1;\n\n DROP TABLE t",
    ] {
        let (code, message) = client.fail("", text).await;
        assert_eq!(code, 62, "{text}: {message}");
    }
    assert_eq!(client.count("t").await, 0);
    // One statement may end with a semicolon, and texts may hold some.
    assert_eq!(client.run("SELECT 'a;b'; -- ;\n").await, "a;b\n");
}

#[tokio::test]
async fn a_word_that_is_no_keyword_is_a_syntax_error() {
    let client = Client::start();
    assert_eq!(client.fail("", "selec").await.0, 62);
    assert_eq!(client.fail("", "  \n").await.0, 62);
}

#[tokio::test]
async fn get_reads_and_never_writes() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    let get = async |parameters: String| client.send(reqwest::Method::GET, &parameters, &[], "").await;
    assert_eq!(get(query("SELECT 1")).await.text(), "1\n");
    assert_eq!(get(String::new()).await.text(), "Ok.\n");
    for statement in ["DROP TABLE t", "INSERT INTO t VALUES (1)", "CREATE TABLE u (n UInt8) ENGINE = Memory"]
    {
        for readonly in ["", "&readonly=0"] {
            let answer = get(query(statement) + readonly).await;
            assert_eq!(
                answer.header("x-clickhouse-exception-code"),
                "164",
                "{statement}{readonly}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(client.count("t").await, 0);
}

#[tokio::test]
async fn parameters_come_in_the_url_or_in_a_form() {
    let client = Client::start();
    let sql = "SELECT {n:UInt8}, {s:String}, {a:Array(String)}";
    let parameters = "param_n=7&param_s=x%27%3B&param_a=%5B%27a%27%2C%27b%27%5D";
    assert_eq!(client.post(parameters, sql).await.text(), "7\tx\\';\t['a','b']\n");

    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = [
        field("query", sql),
        field("param_n", "7"),
        field("param_s", "x';"),
        field("param_a", "['a','b']"),
        "--b--\r\n".to_owned(),
    ]
    .concat();
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let answer = client.send(reqwest::Method::POST, "", &headers, form).await;
    assert_eq!(answer.text(), "7\tx\\';\t['a','b']\n");
}

#[tokio::test]
async fn database_format_and_settings_hold_for_one_request() {
    let client = Client::start();
    client.run("CREATE DATABASE d").await;
    client.run("CREATE TABLE d.t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    assert_eq!(
        client
            .post(
                "database=d&default_format=JSONEachRow&max_threads=3",
                "SELECT currentDatabase() AS d, getSetting('max_threads') AS t, count() AS c FROM t"
            )
            .await
            .text(),
        "{\"d\":\"d\",\"t\":3,\"c\":0}\n"
    );
    assert_eq!(client.run("SELECT currentDatabase(), getSetting('max_threads') = 3").await, "default\t0\n");
    assert_eq!(client.fail("database=nope", "SELECT 1").await.0, 81);
}

#[tokio::test]
async fn durability_settings_are_settings() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n SETTINGS fsync_after_insert = 1, fsync_part_directory = 1").await;
    client.run("INSERT INTO t SETTINGS async_insert = 0 VALUES (1)").await;
    assert_eq!(client.count("t").await, 1);
}
