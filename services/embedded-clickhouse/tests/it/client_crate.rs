//! The official `clickhouse` crate works unchanged.

use clickhouse::{Compression, Row};
use marketprism_testkit::ClickHouse;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Trade {
    id: u64,
    symbol: String,
    price: i128,
    levels: Vec<(i128, i128)>,
    note: Option<String>,
}

fn trade(id: u64) -> Trade {
    let price = i128::from(id) * 1_000_000_000_000_000_000;
    Trade {
        id,
        symbol: "BTC-USDT".to_owned(),
        price,
        levels: vec![(price, 1), (-price, 2)],
        note: id.is_multiple_of(2).then(|| "\n\n".to_owned()),
    }
}

#[tokio::test]
async fn rows_go_in_and_come_back_with_and_without_compression() {
    let server = ClickHouse::start();
    for compression in [Compression::None, Compression::Lz4] {
        let client = clickhouse::Client::default()
            .with_url(server.url())
            .with_user("default")
            .with_password(server.password())
            .with_compression(compression);
        client.query("DROP TABLE IF EXISTS trades").execute().await.unwrap();
        client
            .query(
                "CREATE TABLE trades (id UInt64, symbol LowCardinality(String), price Decimal(38, 18), \
                 levels Array(Tuple(Decimal(38, 18), Decimal(38, 18))), note Nullable(String)) ENGINE = MergeTree ORDER BY id",
            )
            .execute()
            .await
            .unwrap();
        let mut insert = client.insert::<Trade>("trades").await.unwrap();
        for id in 0..1000 {
            insert.write(&trade(id)).await.unwrap();
        }
        insert.end().await.unwrap();

        // One that is dropped before its end.
        let mut insert = client.insert::<Trade>("trades").await.unwrap();
        insert.write(&trade(5000)).await.unwrap();
        drop(insert);

        let rows = client
            .query("SELECT ?fields FROM trades WHERE id >= ? ORDER BY id")
            .bind(0)
            .fetch_all::<Trade>()
            .await
            .unwrap();
        assert_eq!(rows, (0..1000).map(trade).collect::<Vec<_>>());
        let none = client
            .query("SELECT ?fields FROM trades WHERE id = {id:UInt64}")
            .param("id", 7777)
            .fetch_all::<Trade>()
            .await
            .unwrap();
        assert_eq!(none, []);
        let price: String =
            client.query("SELECT toString(price) FROM trades WHERE id = 999").fetch_one().await.unwrap();
        assert_eq!(price, "999");
    }
}

#[tokio::test]
async fn errors_keep_the_servers_text() {
    let server = ClickHouse::start();
    let client = clickhouse::Client::default()
        .with_url(server.url())
        .with_user("default")
        .with_password(server.password())
        .with_compression(Compression::Lz4);
    let error = client.query("SELECT * FROM nope").fetch_all::<Trade>().await.unwrap_err().to_string();
    assert!(error.contains("UNKNOWN_TABLE"), "{error}");
    let mut cursor = client
        .query("SELECT toUInt64(number + throwIf(number = 150000, 'no more')) FROM numbers(200000)")
        .with_setting("max_block_size", "1000")
        .fetch::<u64>()
        .unwrap();
    let error = loop {
        match cursor.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the error was lost"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("no more"), "{error}");
}
