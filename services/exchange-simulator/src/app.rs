//! The simulator as a service: flags over configuration, one source, one health check.

use marketprism_service::{Configuration, Context, Descriptor, Report, Service};

use crate::config::SimulatorConfig;
use crate::flags::Flags;
use crate::simulator::Simulator;

/// Names and texts of the command line.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "exchange-simulator",
    about: "Speaks the own protocols of Binance, OKX and Deribit: seeded market or replayed capture, faults, ledger",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[],
};

/// Binds the port and registers the simulator's only task.
///
/// # Errors
/// When a flag is out of range, the port is taken, or ledger or captures cannot be opened.
pub async fn start(mut config: SimulatorConfig, flags: Flags, service: Service) -> Result<(), Report> {
    flags.apply(&mut config);
    config.validate()?;
    let simulator = Simulator::bind(&config).await?;
    let address = simulator.address();
    tracing::info!(%address, markets = ?config.markets, "serving");
    if let Some(path) = &config.address_file {
        // Whole or not at all: others wait for this file.
        let partial = path.with_extension("part");
        std::fs::write(&partial, format!("{{\"simulator\":\"{address}\"}}\n"))
            .and_then(|()| std::fs::rename(&partial, path))
            .context(format!("failed to write address_file {}", path.display()))?;
    }
    service.health().check("simulator").healthy();
    service.source("simulator", |token| async move { Ok(simulator.run(token).await?) });
    Ok(())
}
