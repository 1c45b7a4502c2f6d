//! The wiring: two listeners, what they serve, and nothing that must be there before them.

use std::sync::Arc;

use marketprism_service::{Report, Service};
use serde_json::json;

use crate::auth::Guard;
use crate::config::Config;
use crate::live::Live;
use crate::sources::Sources;
use crate::upstream::{Alertmanager, Prometheus};
use crate::{Arguments, api, bridge, broker, console, server, upstream};

/// Binds and serves. Whoever it asks may be away: that is told, not waited for.
pub(crate) async fn start(config: Config, _: Arguments, service: Service) -> Result<(), Report> {
    let (listener, address) = server::bind("listen", config.listen).await?;
    let (bridge_listener, bridge_address) = server::bind("bridge.listen", config.bridge.listen).await?;
    let health = service.health();
    health.section("listening", json!({"console": address, "bridge": bridge_address}));

    let guard = Guard::new(config.auth.clone());
    let sources = Sources {
        prometheus: Prometheus::new(&config.upstreams)?,
        alertmanager: Alertmanager::new(&config.upstreams)?,
        live: Live::new(&config, &service)?,
        health: health.clone(),
        guard: Arc::clone(&guard),
    };
    let (prometheus, alertmanager) = (sources.prometheus.clone(), sources.alertmanager.clone());
    let watching = health.clone();
    service.source("upstreams", |token| upstream::watch(prometheus, alertmanager, watching, token));
    if let Some(url) = config.monitoring_url.clone() {
        let check = health.check("broker");
        service.source("broker figures", |token| broker::watch(url, check, token));
    }

    let routes = server::guarded(api::routes(sources).fallback(console::file), guard);
    let site = server::console(&config.admin.hosts);
    service.source("console", |token| server::serve(site, listener, routes, token));
    // A guard of its own: behind a proxy Alertmanager has the address of every browser, and must not wait for them.
    let guard = Guard::new(config.auth.clone());
    let routes = server::guarded(bridge::routes(&config.bridge, &service)?, guard);
    let site = server::bridge(&config.admin.hosts);
    service.source("bridge", |token| server::serve(site, bridge_listener, routes, token));
    Ok(())
}
