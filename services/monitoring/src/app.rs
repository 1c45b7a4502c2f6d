//! The wiring: two listeners, what they serve, and nothing that must be there before them.

use axum::Router;
use axum::routing::{any, get};
use marketprism_service::{Report, Service};
use serde_json::json;

use crate::api::Sources;
use crate::auth::Guard;
use crate::config::Config;
use crate::upstream::{Alertmanager, Components, Prometheus};
use crate::{Arguments, api, bridge, broker, console, http, live, runbook, server, upstream};

/// Binds and serves. Whoever it asks may be away: that is told, not waited for.
pub(crate) async fn start(config: Config, _: Arguments, service: Service) -> Result<(), Report> {
    let (listener, address) = server::bind("listen", config.listen).await?;
    let (bridge_listener, bridge_address) = server::bind("bridge.listen", config.bridge.listen).await?;
    let health = service.health();
    health.section("listening", json!({"console": address, "bridge": bridge_address}));

    let prometheus = Prometheus::new(&config.upstreams)?;
    let alertmanager = Alertmanager::new(&config.upstreams)?;
    let components = Components::new(config.components.clone(), &config.upstreams)?;
    let (watched, watching) = ((prometheus.clone(), alertmanager.clone()), health.clone());
    service.source("upstreams", |token| upstream::watch(watched.0, watched.1, watching, token));

    let rules = Guard::new(config.auth.clone());
    let sources = Sources { prometheus, alertmanager, components, health: health.clone() };
    let routes = Router::new()
        .merge(server::health_routes(health))
        .merge(api::routes(sources, rules.clone()))
        .nest("/api/v1/live", live::routes(&config, &service)?.into())
        .route("/api/{*path}", any(api::not_found))
        .route("/runbook", get(async || runbook::page()))
        .fallback(console::file);
    let routes = server::guarded(routes, rules.clone());
    service.source("console", |token| server::serve(listener, routes, token));
    if let Some(url) = config.monitoring_url.clone() {
        let (client, check) = (http::client(broker::PATIENCE)?, service.health().check("broker"));
        check.degraded("not asked yet");
        service.source("broker", |token| broker::watch(url, client, check, token));
    }

    let routes = server::guarded(bridge::routes(&config.bridge, &service)?, rules);
    service.source("bridge", |token| server::serve(bridge_listener, routes, token));
    Ok(())
}
