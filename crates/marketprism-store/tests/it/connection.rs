//! Servers that are not there, or not what they should be.

use std::error::Error;

use marketprism_store::{ClickHouseConfig, Compression, Credential, Store, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{config, insert_trades};

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let store = Store::new(ClickHouseConfig { url: url.clone(), ..ClickHouseConfig::default() }).unwrap();
    let error = store.server_version().await.unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().contains(&url) && error.source().is_some(), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again() {
    let server = ClickHouse::start();
    let password = Credential::new("wrong".to_owned());
    let error =
        Store::new(ClickHouseConfig { password, ..config(&server, "x") }).unwrap().ping().await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn compression_changes_nothing_but_the_bytes() {
    let server = ClickHouse::start();
    let store =
        Store::new(ClickHouseConfig { compression: Compression::Lz4, ..config(&server, "packed") }).unwrap();
    assert!(store.server_version().await.unwrap().starts_with("2"));
    store.migrate(Tier::Hot, marketprism_store::SchemaMode::Apply).await.unwrap();
    insert_trades(&store, 1, &[(1, 0), (2, 61)]).await;
    assert_eq!(store.highest_sequence(marketprism_core::DataType::Trade, 1).await.unwrap(), Some(2));
}
