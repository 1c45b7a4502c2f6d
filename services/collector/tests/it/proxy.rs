//! REST and WebSockets through an HTTP proxy, from the configuration or the environment; what it refuses is said.

use marketprism_testkit::poll_until;
use serde_json::json;

use crate::forward_proxy::ForwardProxy;
use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn everything_goes_through_the_configured_proxy() {
    let proxy = ForwardProxy::start().await;
    let rig = Rig::start_with(|config| config["proxy"] = json!(proxy.url("user", "secret"))).await;
    rig.flowing().await;
    let connections = rig.metric("marketprism_collector_connects_total").await;
    assert_eq!(u64::try_from(proxy.tunnels().await).unwrap(), connections);
    assert!(proxy.requests() > 0, "REST went another way");
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    assert!(!stored.log.contains("secret"), "{}", stored.log);
}

#[tokio::test]
async fn a_proxy_that_is_of_no_use_is_named_and_the_others_run_on() {
    let proxy = ForwardProxy::start().await;
    let url = proxy.url("user", "wrong");
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rig = Rig::start_with(|config| {
        config["exchanges"]["binance_usdm"]["proxy"] = json!(url);
        config["exchanges"]["binance_spot"]["proxy"] = json!(format!("http://{nowhere}"));
    })
    .await;
    poll_until(DEADLINE, "both are complained about", async || {
        let health = rig.health().await;
        let reason = health["checks"]["exchanges"]["reason"].as_str().unwrap_or_default().to_owned();
        reason.contains("refuses our credentials") && reason.contains(&format!("through proxy {nowhere}"))
    })
    .await;
    assert!(!rig.collector.log().contains("wrong"), "{}", rig.collector.log());
}

#[tokio::test]
async fn a_proxy_without_tunnels_is_named() {
    let proxy = ForwardProxy::start().await;
    proxy.refuse_tunnels();
    let rig = Rig::start_with(|config| config["proxy"] = json!(proxy.url("user", "secret"))).await;
    rig.logged("gives no connection to 127.0.0.1:", 1).await;
    assert!(proxy.requests() > 0, "REST goes through");
}

#[tokio::test]
async fn the_environment_names_the_proxy_where_the_configuration_does_not() {
    let proxy = ForwardProxy::start().await;
    let mut rig = Rig::start().await;
    rig.collector.kill();
    let url = proxy.url("user", "secret");
    let _another = rig.another_collector(&[("HTTP_PROXY", &url), ("NO_PROXY", "")]);
    poll_until(DEADLINE, "both REST and sockets go through it", async || {
        proxy.requests() > 0 && proxy.tunnels().await >= 3
    })
    .await;
}
