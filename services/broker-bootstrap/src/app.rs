//! The one thing it does: connect, plan, show the plan, apply it, verify it, and check how durable it is.

use marketprism_bus::Bus;
use marketprism_bus::topology::{self, Allow};
use marketprism_core::topology::STREAMS;
use marketprism_service::{Context, Report, Service};

use crate::config::Config;
use crate::{durability, table};

/// The flags of this service.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Flags {
    /// Print the plan and change nothing; exits 1 if a part of it would be refused
    #[arg(long)]
    dry_run: bool,

    /// Allow smaller limits, a shorter duplicate window and fewer replicas: the broker may drop messages
    #[arg(long)]
    allow_shrink: bool,

    /// Allow a stream to give up subjects of which it still holds messages
    #[arg(long)]
    allow_drop_subjects: bool,
}

/// Registers no task: the process ends when it returns.
pub(crate) async fn start(config: Config, flags: Flags, _service: Service) -> Result<(), Report> {
    let bus = Bus::connect_within(&config.nats, "broker-bootstrap", config.wait.get()).await?;
    let allow = Allow { shrink: flags.allow_shrink, drop_subjects: flags.allow_drop_subjects };
    let steps = topology::plan(&bus, &config.desired(), allow).await?;
    table::print(&steps).context("failed to print the plan")?;
    if flags.dry_run {
        topology::check(&steps)?;
        tracing::info!("dry run: nothing was changed");
    } else {
        topology::apply(&bus, &steps).await?;
        let names: Vec<_> = STREAMS.iter().map(|spec| spec.name).collect();
        topology::verify(&bus, &names).await?;
        let (url, accepted) = (config.monitoring_url.as_deref(), config.sync_interval_max.get());
        durability::check(url, accepted, &config.desired(), config.nats.request_timeout).await?;
    }
    bus.drain().await?;
    Ok(())
}
