//! The wiring: two listeners, what they serve, and nothing that must be there before them.

use axum::Router;
use marketprism_service::{NoArgs, Report, Service};
use serde_json::json;

use crate::config::Config;
use crate::{console, live, server};

/// Binds and serves. Whoever it asks may be away: that is told, not waited for.
pub(crate) async fn start(config: Config, _: NoArgs, service: Service) -> Result<(), Report> {
    let (listener, address) = server::bind("listen", config.listen).await?;
    service.health().section("listening", json!({"console": address}));
    let routes = Router::new()
        .merge(server::health_routes(service.health()))
        .nest("/api/v1/live", live::routes(&config, &service))
        .fallback(console::file);
    service.source("console", |token| server::serve(listener, routes, token));
    Ok(())
}
