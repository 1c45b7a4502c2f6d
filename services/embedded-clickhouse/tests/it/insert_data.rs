//! Insert data arrives as it was sent, whatever bytes are in it.

use crate::client::{Client, query};

/// Bytes that end, split or comment SQL text. As RowBinary: a length, then the text.
fn hostile_texts() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 9] = [
        b"\n\n",
        b"a;b",
        b"\0\0",
        b"'",
        b"\\",
        b"-- x",
        b"/* ",
        b"\n\nINSERT INTO t FORMAT RowBinary\n",
        b"\r\n\r\n;\n\n",
    ];
    texts.iter().map(|text| text.to_vec()).collect()
}

fn row_binary(texts: &[Vec<u8>]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&[u8::try_from(text.len()).unwrap()], text.as_slice()].concat()).collect()
}

#[tokio::test]
async fn hostile_bytes_are_data() {
    let client = Client::start();
    client.run("CREATE TABLE t (s String) ENGINE = MergeTree ORDER BY ()").await;
    let texts = hostile_texts();
    let data = row_binary(&texts);

    // The statement in the URL, in the body before the data, and with the data's first byte a line feed.
    let answer = client.post(&query("INSERT INTO t FORMAT RowBinary"), data.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = client.post("", [b"INSERT INTO t FORMAT RowBinary\n".to_vec(), data].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = client
        .post(&query("INSERT INTO t FORMAT RowBinary"), [b"\n".to_vec(), vec![b'x'; 10]].concat())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    for text in texts {
        let hex: String = text.iter().map(|byte| format!("{byte:02X}")).collect();
        let count = client.run(&format!("SELECT count() FROM t WHERE hex(s) = '{hex}'")).await;
        assert_eq!(count.trim(), "2", "{hex}");
    }
    assert_eq!(client.run("SELECT count() FROM t WHERE s = 'xxxxxxxxxx'").await, "1\n");
    assert_eq!(client.count("t").await, 19);
}

#[tokio::test]
async fn a_hundred_thousand_rows_with_blank_lines_are_all_stored() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt32, s String) ENGINE = MergeTree ORDER BY n").await;
    let rows: Vec<u8> =
        (0..100_000_u32).flat_map(|n| [&n.to_le_bytes()[..], b"\x04\n\n;\0"].concat()).collect();
    client.post(&query("INSERT INTO t FORMAT RowBinary"), rows).await;
    assert_eq!(
        client.run("SELECT count(), sum(n), uniqExact(s), any(hex(s)) FROM t").await,
        "100000\t4999950000\t1\t0A0A3B00\n"
    );
    assert_eq!(
        client.run("SELECT count() FROM system.parts WHERE table = 't' AND active AND level = 0").await,
        "1\n"
    );
}

#[tokio::test]
async fn every_form_of_insert_stores_its_rows() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt32, s String) ENGINE = MergeTree ORDER BY n").await;
    for (parameters, body) in [
        (String::new(), "INSERT INTO t VALUES (1, 'a;b'), (2, now()::String);"),
        (query("INSERT INTO t"), "VALUES (3, '')"),
        (query("INSERT INTO t VALUES"), "(4, '')"),
        (query("INSERT INTO t (s, n) FORMAT CSV"), "\"a\n\nb\",5\n"),
        (query("INSERT INTO t FORMAT JSONEachRow"), "{\"n\": 6, \"s\": \"\\n\\n\"}\n\n\n{\"n\": 7}"),
        (query("INSERT INTO t SETTINGS async_insert = 0 FORMAT TSV\n"), "8\tx\n"),
        (String::new(), "INSERT INTO t SELECT 9, 'x'"),
        (query("INSERT INTO t FORMAT TSV"), ""),
    ] {
        let answer = client.post(&parameters, body).await;
        assert_eq!(answer.status, 200, "{parameters} {body}: {}", answer.text());
    }
    assert_eq!(
        client.run("SELECT groupArray(n) FROM (SELECT n FROM t ORDER BY n)").await,
        "[1,2,3,4,5,6,7,8,9]\n"
    );
}

#[tokio::test]
async fn what_was_written_is_in_the_summary() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n").await;
    let answer = client.post(&query("INSERT INTO t FORMAT TSV"), "1\n2\n3\n").await;
    let summary: serde_json::Value = serde_json::from_str(answer.header("x-clickhouse-summary")).unwrap();
    assert_eq!(summary["written_rows"], "3");
}

#[tokio::test]
async fn formats_that_can_hang_the_engine_are_refused() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n").await;
    for format in ["Parquet", "Arrow", "ORC", "Avro"] {
        let (code, text) = client.fail(&query(&format!("INSERT INTO t FORMAT {format}")), "PAR1").await;
        assert_eq!(code, 73);
        assert!(text.contains(format), "{text}");
    }
}

#[tokio::test]
async fn bad_data_stores_nothing_and_is_told() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n").await;
    let (code, text) = client.fail(&query("INSERT INTO t FORMAT TSV"), "1\n2\nthree\n").await;
    assert_eq!(code, 27, "{text}");
    let (code, _) = client.fail(&query("INSERT INTO t FORMAT RowBinary"), b"\x01\0\0\0\x02".to_vec()).await;
    assert_eq!(code, 33);
    // A second statement after the data is not run.
    client.fail("", "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)").await;
    assert_eq!(client.count("t").await, 0);
}
