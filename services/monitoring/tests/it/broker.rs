//! The figures of a real broker, while it is there and when it is not.

use std::net::TcpListener;
use std::time::Duration;

use marketprism_bus::{Bus, NatsConfig, topology};
use marketprism_testkit::{NatsServer, poll_until};

use crate::monitoring::Monitoring;

/// It is asked every five seconds.
const SOON: Duration = marketprism_testkit::DEADLINE;

#[tokio::test]
async fn the_brokers_figures_are_metrics_and_end_with_it() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut nats = NatsServer::start_with(&format!("http: \"127.0.0.1:{port}\""));
    let bus = Bus::connect(&NatsConfig { url: nats.url(), ..NatsConfig::default() }, "test").await.unwrap();
    let steps = topology::plan(&bus, &topology::defaults(), topology::Allow::default()).await.unwrap();
    topology::apply(&bus, &steps).await.unwrap();

    let url = format!("http://127.0.0.1:{port}");
    let monitoring = Monitoring::start(&[("MARKETPRISM__MONITORING_URL", &url)]).await;
    poll_until(SOON, "the broker's figures", async || {
        let metrics = monitoring.metrics().await;
        value(&metrics, "gnatsd_varz_connections").is_some_and(|connections| connections >= 1.0)
            && value(&metrics, "marketprism_broker_stream_messages{stream=\"MARKET_DATA\"}") == Some(0.0)
            && value(&metrics, "marketprism_broker_stream_bytes_max{stream=\"MARKET_DATA\"}")
                .is_some_and(|bytes| bytes > 0.0)
    })
    .await;
    assert_eq!(monitoring.get("/health").await.1["checks"]["broker"]["status"], "healthy");

    nats.stop();
    poll_until(SOON, "no figures of a broker that is gone", async || {
        value(&monitoring.metrics().await, "gnatsd_varz_connections").is_some_and(f64::is_nan)
    })
    .await;
    let (code, health) = monitoring.get("/health").await;
    assert_eq!((code, &health["checks"]["broker"]["status"]), (200, &"degraded".into()), "{health}");
}

fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}
