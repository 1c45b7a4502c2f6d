//! Asks Prometheus and Alertmanager from time to time whether they serve, for `/health`: without them nobody is alerted.

use std::time::Duration;

use marketprism_service::{CancellationToken, Health, Report};
use tokio::time::timeout;

use super::{Alertmanager, Prometheus};
use crate::metrics::UpstreamMetrics;

const INTERVAL: Duration = Duration::from_secs(10);

/// Until `token`. One that this installation does not have is no part of its health; one that is away is degraded, not unhealthy: the console still shows the rest.
pub(crate) async fn watch(
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    health: Health,
    token: CancellationToken,
) -> Result<(), Report> {
    UpstreamMetrics::describe();
    let watched = [("prometheus", prometheus.upstream()), ("alertmanager", alertmanager.upstream())];
    let watched = watched.into_iter().filter(|(_, upstream)| upstream.is_configured());
    let watched: Vec<_> = watched.map(|(name, upstream)| (health.check(name), upstream)).collect();
    loop {
        for (check, upstream) in &watched {
            match upstream.is_ready().await {
                Ok(()) => check.healthy(),
                Err(error) => check.degraded(Report::from(error).to_string()),
            }
        }
        if timeout(INTERVAL, token.cancelled()).await.is_ok() {
            return Ok(());
        }
    }
}
