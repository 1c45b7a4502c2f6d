//! The wiring: broker, server, schema, streams, then one lane for each data type.

use std::time::Duration;

use marketprism_bus::{Bus, Consumer, ConsumerConfig, topology as broker};
use marketprism_core::{DataType, subject, topology};
use marketprism_service::{Context, Report, Service};
use marketprism_store::{Store, Tier};
use tokio::time::{Instant, sleep};

use crate::Arguments;
use crate::backlog::Backlog;
use crate::config::Config;
use crate::epochs::Locator;
use crate::lane::Lane;
use crate::probes;

/// Pause between two attempts to reach a server that does not answer yet.
const WAIT_STEP: Duration = Duration::from_millis(500);

/// Connects, checks, and starts the lanes.
pub(crate) async fn start(config: Config, _: Arguments, service: Service) -> Result<(), Report> {
    let bus = Bus::connect_within(&config.nats, "hot-storage", config.wait.get()).await?;
    let store = Store::new(config.clickhouse.clone())?;
    let version = answering(&store, config.wait.get()).await?;
    let schema = store.migrate(Tier::Hot, config.schema).await.context("failed to prepare the hot tier")?;
    tracing::info!(
        url = store.url(),
        database = store.database(),
        version,
        schema = schema.version,
        "hot tier ready"
    );
    let streams: Vec<_> = topology::STREAMS.iter().map(|spec| spec.name).collect();
    broker::verify(&bus, &streams).await?;

    let health = service.health();
    let (nats, clickhouse) = (health.check("nats"), health.check("clickhouse"));
    service.source("nats check", |token| probes::watch_nats(bus.clone(), nats, token));
    service.source("clickhouse check", |token| probes::watch_clickhouse(store.clone(), clickhouse, token));

    for stream in streams.into_iter().filter(|stream| *stream != topology::DEAD_LETTER) {
        let (bus, store) = (bus.clone(), store.clone());
        let check = health.check(format!("stream {stream}"));
        let backlog = Backlog::new(bus, store, stream, config.ack_wait.get(), check);
        service.source(format!("backlog of {stream}"), |token| backlog.run(token));
    }

    let locator = Locator::new(bus.clone(), store.clone());
    for data_type in DataType::ALL.iter().copied() {
        let consumer = consumer(&bus, &config, data_type).await?;
        let check = health.check(format!("lane {data_type}"));
        let lane =
            Lane::new(bus.clone(), store.clone(), locator.clone(), consumer, check, data_type, &config);
        service.source(format!("lane {data_type}"), |token| lane.run(token));
    }
    Ok(())
}

async fn consumer(bus: &Bus, config: &Config, data_type: DataType) -> Result<Consumer, Report> {
    let consumer = ConsumerConfig {
        durable: topology::hot_consumer(data_type),
        filter_subjects: vec![subject::filter(data_type)],
        ack_wait: config.ack_wait.get(),
        max_ack_pending: config.ack_pending_max(),
        pin_ttl: Some(config.pin_ttl()),
    };
    Ok(bus.consumer(topology::stream_of(data_type), consumer).await?)
}

/// The server's version, once it answers within `patience`.
async fn answering(store: &Store, patience: Duration) -> Result<String, Report> {
    let deadline = Instant::now() + patience;
    loop {
        match store.server_version().await {
            Ok(version) => return Ok(version),
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::warn!(url = store.url(), "ClickHouse does not answer; trying again");
                sleep(WAIT_STEP).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
