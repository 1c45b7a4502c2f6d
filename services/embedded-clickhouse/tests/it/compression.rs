//! Compressed bodies in both directions.

use std::io::{Read, Write};

use crate::client::{Client, query};

const ROWS: &str = "SELECT number FROM numbers(100000) FORMAT TSV SETTINGS max_block_size = 10000";

#[tokio::test]
async fn results_are_compressed_as_the_client_accepts() {
    let client = Client::start();
    let plain = client.run(ROWS).await;
    for encoding in ["gzip", "deflate", "zstd", "lz4"] {
        let headers = [("accept-encoding", encoding)];
        let answer = client.send(reqwest::Method::POST, "enable_http_compression=1", &headers, ROWS).await;
        assert_eq!(answer.header("content-encoding"), encoding);
        assert!(answer.body.len() < plain.len(), "{encoding}");
        let mut text = String::new();
        let body = answer.body.as_slice();
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap(),
            "deflate" => flate2::read::ZlibDecoder::new(body).read_to_string(&mut text).unwrap(),
            "zstd" => zstd::stream::read::Decoder::new(body).unwrap().read_to_string(&mut text).unwrap(),
            _ => lz4_flex::frame::FrameDecoder::new(body).read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, plain, "{encoding}");
    }
}

#[tokio::test]
async fn inserts_are_decompressed_and_damage_stores_nothing() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n").await;
    let data: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(data.as_bytes()).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(data.as_bytes()).unwrap();
    let bodies = [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::stream::encode_all(data.as_bytes(), 1).unwrap()),
        ("lz4", lz4.finish().unwrap()),
    ];
    for (encoding, body) in bodies {
        let send = async |body: Vec<u8>| {
            client
                .send(
                    reqwest::Method::POST,
                    &query("INSERT INTO t FORMAT TSV"),
                    &[("content-encoding", encoding)],
                    body,
                )
                .await
        };
        let half = body[..body.len() / 2].to_vec();
        assert_ne!(send(half).await.status, 200, "{encoding}");
        assert_eq!(client.count("t").await, 0, "{encoding}: half of the body");
        let answer = send(body).await;
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
        assert_eq!(client.count("t").await, 10_000, "{encoding}");
        client.run("TRUNCATE TABLE t").await;
    }
}

#[tokio::test]
async fn blocks_go_both_ways_and_a_damaged_one_stores_nothing() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let sql = "SELECT number AS n FROM numbers(100000) FORMAT Native SETTINGS max_block_size = 10000";
    let blocks = client.post("compress=1", sql).await.body;
    let parameters = query("INSERT INTO t FORMAT Native") + "&decompress=1";

    let mut damaged = blocks.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(client.fail(&parameters, damaged).await.0, 40);
    assert_eq!(client.fail(&parameters, blocks[..blocks.len() - 1].to_vec()).await.0, 33);
    assert_eq!(client.count("t").await, 0);

    let answer = client.post(&parameters, blocks).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(client.run("SELECT count(), sum(n) FROM t").await, "100000\t4999950000\n");
}
