//! The wiring: both tiers, the broker, then the one loop.

use std::time::Duration;

use marketprism_bus::{Bus, Lease, Status};
use marketprism_service::{CancellationToken, Check, Context, Health, Report, Service};
use marketprism_store::schema::Migrated;
use marketprism_store::{Store, StoreError, Tier};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::Arguments;
use crate::config::Config;
use crate::release::Releaser;
use crate::replicator::Replicator;

/// Two instances that copied at once would store rows twice.
const LEASE: &str = "cold-storage";
/// Pause between two attempts to reach, or find prepared, what is not there yet.
const WAIT_STEP: Duration = Duration::from_millis(500);
/// How often the servers are asked whether they answer.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Connects, checks, and starts the copying.
pub(crate) async fn start(config: Config, _: Arguments, service: Service) -> Result<(), Report> {
    let deadline = Instant::now() + config.wait.get();
    let cold = Store::new(config.cold.clone())?;
    ready(&cold, deadline, || cold.migrate(Tier::Cold, config.schema))
        .await
        .context("failed to prepare the cold tier")?;
    let hot = Store::new(config.hot.clone())?;
    // hot-storage makes its schema; it may be starting just now.
    ready(&hot, deadline, || hot.find(Tier::Hot)).await.context("failed to find the hot tier")?;
    let patience = deadline.saturating_duration_since(Instant::now());
    let bus = Bus::connect_within(&config.nats, "cold-storage", patience).await?;

    let health = service.health();
    for (name, store) in [("hot_clickhouse", &hot), ("cold_clickhouse", &cold)] {
        let (store, check) = (store.clone(), health.check(name));
        service.source(format!("{name} check"), |token| watch_clickhouse(store, check, token));
    }
    let (watched, check) = (bus.clone(), health.check("nats"));
    service.source("nats check", |token| watch_nats(watched, check, token));
    service.source("copying", |token| copy(bus, hot, cold, config, health, token));
    Ok(())
}

/// Copies and releases as the one instance that does; stands by while another one is it. Whoever loses the lease ends, and
/// begins anew as the one that stands by: what was under way must not go on.
async fn copy(
    bus: Bus,
    hot: Store,
    cold: Store,
    config: Config,
    health: Health,
    token: CancellationToken,
) -> Result<(), Report> {
    let check = health.check("lease");
    let taken = take_lease(&bus, config.replication.takeover_after.get(), &check);
    let Some(lease) = token.run_until_cancelled(taken).await else { return Ok(()) };
    let (check, leased) = (health.check("release"), lease.clone());
    let releaser = Releaser::new(bus.clone(), hot.clone(), cold.clone(), config.release, check, leased);
    let replicator = Replicator::new(bus, hot, cold, config.replication, health, lease.clone());
    tokio::select! {
        lost = lease.keep() => return Err(lost.into()),
        ended = async { tokio::try_join!(replicator.run(token.clone()), releaser.run(token)) } => drop(ended?),
    }
    if let Err(error) = lease.release().await {
        tracing::warn!(error = %Report::from(error), "another instance has to wait for it");
    }
    Ok(())
}

async fn take_lease(bus: &Bus, free_after: Duration, check: &Check) -> Lease {
    let mut is_told = false;
    loop {
        match bus.lease(LEASE, free_after).await {
            Ok(Some(lease)) => {
                check.details(json!({ "stands_by": false }));
                check.healthy();
                tracing::info!("this instance copies");
                return lease;
            }
            Ok(None) => {
                check.details(json!({ "stands_by": true }));
                check.healthy();
                if !is_told {
                    tracing::info!("another instance copies; standing by");
                    is_told = true;
                }
            }
            Err(error) => check.unhealthy(Report::from(error).to_string()),
        }
        sleep(WAIT_STEP).await;
    }
}

/// Waits for a server to answer and for its schema to be there; refuses one that will not become right by waiting.
async fn ready<F>(store: &Store, deadline: Instant, prepare: impl Fn() -> F) -> Result<Migrated, Report>
where
    F: Future<Output = Result<Migrated, StoreError>>,
{
    loop {
        let prepared = async {
            store.server_version().await?;
            prepare().await
        };
        let error = match prepared.await {
            Ok(migrated) => return Ok(migrated),
            Err(error) => error,
        };
        let may_come = error.is_transient() || matches!(error, StoreError::SchemaOlder { .. });
        if !may_come || Instant::now() >= deadline {
            return Err(error.into());
        }
        tracing::warn!(url = store.url(), database = store.database(), "not ready; trying again");
        sleep(WAIT_STEP).await;
    }
}

async fn watch_nats(bus: Bus, check: Check, token: CancellationToken) -> Result<(), Report> {
    let mut status = bus.status();
    loop {
        match *status.borrow_and_update() {
            Status::Connected => check.healthy(),
            Status::Disconnected => check.unhealthy("the connection is lost; reconnecting"),
            Status::Closed => check.unhealthy("the connection is closed"),
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() { token.cancelled().await },
        }
    }
}

async fn watch_clickhouse(store: Store, check: Check, token: CancellationToken) -> Result<(), Report> {
    loop {
        match store.ping().await {
            Ok(()) => check.healthy(),
            Err(error) => check.unhealthy(Report::from(error).to_string()),
        }
        if timeout(PING_INTERVAL, token.cancelled()).await.is_ok() {
            return Ok(());
        }
    }
}
