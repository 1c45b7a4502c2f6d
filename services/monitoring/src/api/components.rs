//! `GET /api/v1/health/components`: every part of the system, asked now.

use std::sync::Arc;

use axum::extract::State;
use futures_util::future::join3;
use marketprism_service::Report;
use serde::Serialize;
use utoipa::ToSchema;

use crate::envelope::{Failure, Success};
use crate::live::{Node, NodeState};
use crate::parameters::Parameters;
use crate::sources::Sources;
use crate::upstream::Upstream;

/// The whole and its parts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ComponentList {
    /// The worst of them.
    state: NodeState,
    components: Vec<Component>,
}

/// One part of the system.
#[derive(Debug, Serialize, ToSchema)]
struct Component {
    /// `hot-storage`; where Prometheus scrapes it, the name of its job.
    name: &'static str,
    /// Whether Prometheus can scrape it; null where it does not, or does not answer.
    up: Option<bool>,
    #[serde(flatten)]
    node: Node,
}

/// Ask every part of the system for its health.
#[utoipa::path(
    get, path = "/api/v1/health/components", tag = "health",
    responses(
        (status = 200, description = "What each says, also where one is down", body = Success<ComponentList>),
        (status = 400, description = "A parameter is wrong", body = Failure),
    )
)]
pub(super) async fn list(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Success<ComponentList>, Failure> {
    parameters.end()?;
    let Sources { prometheus, alertmanager, live, .. } = &*sources;
    let asked = join3(live.nodes(), ready(prometheus.upstream()), ready(alertmanager.upstream()));
    let (up, (nodes, prometheus, alertmanager)) =
        tokio::join!(prometheus.values("min by (job) (up)", "job"), asked);
    // Prometheus is one of the parts; that it is away is said there, and the others still speak for themselves.
    let up = up
        .map_err(|error| {
            if !error.is_absent() {
                tracing::warn!(error = %Report::from(error), "whether services are scraped is unknown");
            }
        })
        .unwrap_or_default();
    let component = |(name, node): (_, Option<Node>)| {
        Some(Component { name, up: up.get(name).map(|value| *value > 0.0), node: node? })
    };
    let named = [
        ("collector", Some(nodes.collector)),
        ("nats", Some(nodes.broker)),
        ("hot-storage", Some(nodes.hot_storage)),
        ("clickhouse-hot", Some(nodes.hot_clickhouse)),
        ("cold-storage", Some(nodes.cold_storage)),
        ("clickhouse-cold", Some(nodes.cold_clickhouse)),
        ("prometheus", prometheus),
        ("alertmanager", alertmanager),
    ];
    let components: Vec<_> = named.into_iter().filter_map(component).collect();
    let healthy = components.iter().filter(|one| one.node.state == NodeState::Healthy).count();
    let message = format!("{healthy} of {} components are healthy", components.len());
    let state = components.iter().map(|one| one.node.state).max().unwrap_or(NodeState::Healthy);
    Ok(Success::new(message, ComponentList { state, components }))
}

/// `None` for one that this installation does not have.
async fn ready(upstream: &Upstream) -> Option<Node> {
    let error = match upstream.is_ready().await {
        Err(error) if error.is_absent() => return None,
        answer => answer.err(),
    };
    Some(Node::answering(error.map(|error| Report::from(error).to_string())))
}
