//! The wiring: two listeners, what they serve, and nothing that must be there before them.

use axum::Router;
use marketprism_service::{Report, Service};
use serde_json::json;

use crate::Arguments;
use crate::config::Config;
use crate::{bridge, broker, console, http, live, server};

/// Binds and serves. Whoever it asks may be away: that is told, not waited for.
pub(crate) async fn start(config: Config, _: Arguments, service: Service) -> Result<(), Report> {
    let (listener, address) = server::bind("listen", config.listen).await?;
    let (bridge_listener, bridge_address) = server::bind("bridge.listen", config.bridge.listen).await?;
    service.health().section("listening", json!({"console": address, "bridge": bridge_address}));
    let routes = Router::new()
        .merge(server::health_routes(service.health()))
        .nest("/api/v1/live", live::routes(&config, &service))
        .fallback(console::file);
    service.source("console", |token| server::serve(listener, routes, token));
    if let Some(url) = config.monitoring_url.clone() {
        let (client, check) = (http::client(broker::PATIENCE)?, service.health().check("broker"));
        check.degraded("not asked yet");
        service.source("broker", |token| broker::watch(url, client, check, token));
    }
    let bridge_routes = bridge::routes(&config.bridge, &service)?;
    service.source("bridge", |token| server::serve(bridge_listener, bridge_routes, token));
    Ok(())
}
