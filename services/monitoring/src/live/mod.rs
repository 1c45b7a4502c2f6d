//! What the console shows while it happens: streams, rates, books, trades, completeness, replication.

use axum::Router;
use marketprism_service::Service;

use crate::config::Config;

/// The routes below `/api/v1/live`; registers the tasks that feed them. NATS and ClickHouse may be away when it is called.
pub(crate) fn routes(_config: &Config, _service: &Service) -> Router {
    Router::new()
}
