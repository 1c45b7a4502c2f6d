//! A connection that is cut stores nothing, also when the insert is large.

use std::io::Write;
use std::net::TcpStream;

use marketprism_testkit::poll_until;

use crate::client::{Client, query};

/// Settings that make one insert one block, so that it is stored whole or not at all.
const ONE_BLOCK: &str =
    "&max_insert_block_size=20000000&min_insert_block_size_rows=20000000&min_insert_block_size_bytes=0";

fn rows(count: u64) -> Vec<u8> {
    (0..count).flat_map(u64::to_le_bytes).collect()
}

fn open(client: &Client, parameters: &str, framing: &str) -> TcpStream {
    let address = client.server.url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    let key = client.server.password();
    write!(
        socket,
        "POST /?{parameters} HTTP/1.1\r\nHost: {address}\r\nX-ClickHouse-Key: {key}\r\n{framing}\r\n\r\n"
    )
    .unwrap();
    socket
}

async fn idle(client: &Client) {
    poll_until(marketprism_testkit::DEADLINE, "the cut insert leaves the engine", async || {
        client.run("SELECT count() FROM system.processes").await == "1\n"
    })
    .await;
}

#[tokio::test]
async fn a_body_shorter_than_its_length_stores_nothing() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let data = rows(1000);
    let mut socket = open(
        &client,
        &query("INSERT INTO t FORMAT RowBinary"),
        &format!("Content-Length: {}", data.len() + 8),
    );
    socket.write_all(&data).unwrap();
    drop(socket);
    idle(&client).await;
    assert_eq!(client.count("t").await, 0);
}

#[tokio::test]
async fn chunks_without_the_last_one_store_nothing() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let data = rows(1000);
    let mut socket = open(&client, &query("INSERT INTO t FORMAT RowBinary"), "Transfer-Encoding: chunked");
    write!(socket, "{:x}\r\n", data.len()).unwrap();
    socket.write_all(&data).unwrap();
    write!(socket, "\r\n").unwrap();
    drop(socket);
    idle(&client).await;
    assert_eq!(client.count("t").await, 0);
}

#[tokio::test]
async fn a_large_insert_is_atomic_with_the_block_settings() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let parameters = query("INSERT INTO t FORMAT RowBinary") + ONE_BLOCK;
    let data = rows(3_000_000);

    let mut socket = open(&client, &parameters, &format!("Content-Length: {}", data.len() + 8));
    socket.write_all(&data).unwrap();
    drop(socket);
    idle(&client).await;
    assert_eq!(client.count("t").await, 0, "three blocks' worth was sent before the cut");

    let answer = client.post(&parameters, data).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(client.count("t").await, 3_000_000);
    let first_parts = "SELECT count() FROM system.parts WHERE table = 't' AND level = 0";
    assert_eq!(client.run(first_parts).await, "1\n");
}
