//! Alertmanager's `/api/v2/alerts`:
//! `[{"fingerprint":"1f…","labels":{"alertname":"BrokerDown","severity":"critical"},"annotations":{"description":"…"},
//! "startsAt":"2026-11-21T14:00:00.000Z","generatorURL":"http://…","status":{"state":"active","inhibitedBy":[],"silencedBy":[]}}]`

use std::collections::BTreeMap;

use marketprism_service::Report;
use serde::Deserialize;

use super::client::{Upstream, UpstreamError};
use super::config::UpstreamsConfig;

/// Alertmanager.
#[derive(Debug, Clone)]
pub(crate) struct Alertmanager(Upstream);

/// One alert as it tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundAlert {
    pub(crate) fingerprint: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) starts_at: String,
    #[serde(default, rename = "generatorURL")]
    pub(crate) generator_url: String,
    pub(crate) status: FoundStatus,
}

/// What it does about it.
#[derive(Debug, Deserialize)]
pub(crate) struct FoundStatus {
    /// `active`, `suppressed` or `unprocessed`.
    pub(crate) state: String,
}

impl Alertmanager {
    pub(crate) fn new(config: &UpstreamsConfig) -> Result<Self, Report> {
        Upstream::new("alertmanager", config.alertmanager.as_deref(), config).map(Self)
    }

    /// Every alert that it has, silenced and inhibited ones included.
    pub(crate) async fn alerts(&self) -> Result<Vec<FoundAlert>, UpstreamError> {
        self.0.get("/api/v2/alerts", &[]).await
    }

    /// The server itself.
    pub(crate) const fn upstream(&self) -> &Upstream {
        &self.0
    }
}
