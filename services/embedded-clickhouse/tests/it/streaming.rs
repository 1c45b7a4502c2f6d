//! Streamed results: whole, with one header, cancelled with their client, and never silently short.

use std::time::Duration;

use futures_util::StreamExt;
use marketprism_testkit::poll_until;

use crate::client::Client;

/// Several blocks, so that the engine gives several pieces.
const ROWS: &str =
    "SELECT number AS n, toString(number % 3) AS s FROM numbers(200000) SETTINGS max_block_size = 1000";

#[tokio::test]
async fn a_header_is_sent_once() {
    let client = Client::start();
    let plain = client.post("default_format=TSV", ROWS).await;
    for (format, header) in [
        ("TSVWithNames", "n\ts\n".to_owned()),
        ("TabSeparatedWithNamesAndTypes", "n\ts\nUInt64\tString\n".to_owned()),
    ] {
        let answer = client.post(&format!("default_format={format}"), ROWS).await;
        assert_eq!(answer.text(), header + &plain.text(), "{format}");
    }
    let plain = client.post("default_format=RowBinary", ROWS).await;
    for (format, header) in [
        ("RowBinaryWithNames", &b"\x02\x01n\x01s"[..]),
        ("RowBinaryWithNamesAndTypes", b"\x02\x01n\x01s\x06UInt64\x06String"),
    ] {
        let answer = client.post(&format!("default_format={format}"), ROWS).await;
        assert_eq!(answer.body, [header, &plain.body].concat(), "{format}");
        assert_eq!(answer.header("x-clickhouse-format"), format);
    }
    for (format, lines) in
        [("CSVWithNames", 1), ("JSONCompactEachRowWithNamesAndTypes", 2), ("CSV", 0), ("JSONEachRow", 0)]
    {
        let answer = client.post(&format!("default_format={format}"), ROWS).await;
        assert_eq!(answer.text().lines().count(), 200_000 + lines, "{format}");
    }
}

#[tokio::test]
async fn equal_rows_at_the_start_of_pieces_are_not_taken_for_the_header() {
    let client = Client::start();
    let sql = "SELECT 'same' AS a FROM numbers(50000) SETTINGS max_block_size = 100";
    for format in ["TSVWithNames", "RowBinaryWithNames"] {
        let answer = client.post(&format!("default_format={format}"), sql).await;
        let expected = if format == "TSVWithNames" { 2 + 50_000 * 5 } else { 3 + 50_000 * 5 };
        assert_eq!(answer.body.len(), expected, "{format}");
    }
}

#[tokio::test]
async fn documents_are_whole_and_empty_results_have_their_header() {
    let client = Client::start();
    let answer = client.post("default_format=JSON", ROWS).await;
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["data"].as_array().unwrap().len(), 200_000);
    let answer = client.post("default_format=JSONEachRow&output_format_json_array_of_rows=1", ROWS).await;
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document.as_array().unwrap().len(), 200_000);

    let none = "SELECT number AS n FROM numbers(10) WHERE n > 100";
    assert_eq!(
        client.post("default_format=RowBinaryWithNamesAndTypes", none).await.body,
        b"\x01\x01n\x06UInt64"
    );
    assert_eq!(client.post("default_format=TSVWithNames", none).await.body, b"n\n");
    assert_eq!(client.post("default_format=TSV", none).await.body, b"");
}

#[tokio::test]
async fn an_error_among_the_rows_is_told_and_breaks_the_body() {
    let client = Client::start();
    let sql =
        "SELECT throwIf(number = 150000, 'no more') FROM numbers(200000) SETTINGS max_block_size = 1000";
    let url = format!("{}/?default_format=TSV", client.server.url());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(url).header("x-clickhouse-key", client.server.password());
    let response = request.body(sql).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let tag = response.headers()["x-clickhouse-exception-tag"].to_str().unwrap().to_owned();
    let (mut body, mut broken) = (Vec::new(), false);
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => body.extend_from_slice(&piece),
            Err(_) => broken = true,
        }
    }
    assert!(broken, "a client that does not know the tag must not take the part for the whole");
    let text = String::from_utf8_lossy(&body);
    let (_, tail) = text.split_once(&format!("\r\n__exception__\r\n{tag}\r\n")).unwrap();
    assert!(tail.starts_with("Code: 395. DB::Exception: no more"), "{tail}");
    assert!(tail.ends_with(&format!(" {tag}\r\n__exception__\r\n")), "{tail}");

    // Waited for to its end, it is an error like any other.
    let (code, _) = client.fail("wait_end_of_query=1", sql).await;
    assert_eq!(code, 395);
}

#[tokio::test]
async fn a_statement_ends_with_its_client() {
    let client = Client::start();
    let running = "SELECT count() FROM system.processes WHERE query LIKE '%system.numbers%' AND query NOT LIKE '%processes%'";
    for sql in ["SELECT sum(sipHash64(number)) FROM system.numbers", "SELECT number FROM system.numbers"] {
        let request = tokio::time::timeout(Duration::from_secs(60), async {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = http.post(client.server.url()).header("x-clickhouse-key", client.server.password());
            let mut response = request.body(sql).send().await.unwrap();
            while response.chunk().await.unwrap().is_some() {}
        });
        let gone = async {
            poll_until(marketprism_testkit::DEADLINE, "the statement runs", async || {
                client.run(running).await == "1\n"
            })
            .await;
        };
        tokio::select! {
            _ = request => panic!("an endless statement has ended"),
            () = gone => {}
        }
        poll_until(marketprism_testkit::DEADLINE, "the statement is cancelled", async || {
            client.run(running).await == "0\n"
        })
        .await;
    }
}
