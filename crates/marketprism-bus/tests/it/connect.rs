//! Connecting, losing the connection, getting it back.

use std::time::{Duration, Instant};

use marketprism_bus::{Bus, BusError, Credential, NatsConfig, Status};
use marketprism_testkit::NatsServer;

use crate::{PATIENCE, connect};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_an_error_that_names_the_url() {
    let mut server = NatsServer::start();
    let url = server.url();
    server.stop();
    let config = NatsConfig { url: url.clone(), ..NatsConfig::default() };
    let error = Bus::connect(&config, "bus-test").await.unwrap_err();
    assert!(error.to_string().contains(&url), "{error}");
    assert!(error.is_transient());
    let begun = Instant::now();
    assert!(Bus::connect_within(&config, "bus-test", Duration::from_millis(1_500)).await.is_err());
    assert!(begun.elapsed() >= Duration::from_millis(400), "it did not try again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_is_waited_for() {
    let mut server = NatsServer::start();
    let config = NatsConfig { url: server.url(), ..NatsConfig::default() };
    server.stop();
    let waiting =
        tokio::task::JoinSet::from_iter([
            async move { Bus::connect_within(&config, "bus-test", PATIENCE).await },
        ]);
    server.restart();
    waiting.join_all().await.remove(0).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_at_once_and_right_ones_work() {
    let server = NatsServer::start_with("authorization { user: prism, password: s3cret }");
    let config = |password: &str| NatsConfig {
        url: server.url(),
        user: Some("prism".to_owned()),
        password: Some(Credential::new(password.to_owned())),
        ..NatsConfig::default()
    };
    let error = Bus::connect_within(&config("wrong"), "bus-test", PATIENCE).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    Bus::connect(&config("s3cret"), "bus-test").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_named() {
    let config =
        NatsConfig { credentials_file: Some("/nowhere/prism.creds".into()), ..NatsConfig::default() };
    let error = Bus::connect(&config, "bus-test").await.unwrap_err();
    assert!(matches!(&error, BusError::Config(field) if field.field == "credentials_file"), "{error}");
    assert!(error.to_string().contains("/nowhere/prism.creds"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_follows_the_broker_and_draining_closes() {
    let mut server = NatsServer::start();
    let bus = connect(&server).await;
    let mut status = bus.status();
    assert_eq!(*status.borrow(), Status::Connected);
    for kill in [true, false] {
        if kill {
            server.kill();
        } else {
            server.stop();
        }
        let down = tokio::time::timeout(PATIENCE, status.wait_for(|status| *status == Status::Disconnected));
        assert!(down.await.unwrap().is_ok());
        server.restart();
        let up = tokio::time::timeout(PATIENCE, status.wait_for(|status| *status == Status::Connected));
        assert!(up.await.unwrap().is_ok());
    }
    bus.drain().await.unwrap();
    assert_eq!(*bus.status().borrow(), Status::Closed);
}
