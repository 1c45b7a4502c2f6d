//! Asks Prometheus and Alertmanager from time to time whether they serve, for `/health`: without them nobody is alerted.

use std::time::Duration;

use marketprism_service::{CancellationToken, Health, Report};
use tokio::time::timeout;

use super::{Alertmanager, Prometheus};
use crate::metrics::UpstreamMetrics;

const INTERVAL: Duration = Duration::from_secs(10);

/// Until `token`. One that is away is degraded, not unhealthy: the console still shows the rest.
pub(crate) async fn watch(
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    health: Health,
    token: CancellationToken,
) -> Result<(), Report> {
    UpstreamMetrics::describe();
    let watched = [("prometheus", prometheus.upstream()), ("alertmanager", alertmanager.upstream())];
    let watched = watched.map(|(name, upstream)| (health.check(name), upstream));
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
