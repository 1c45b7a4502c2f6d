//! Prometheus's HTTP API: `{"status":"success","data":…}`.

use std::collections::BTreeMap;

use marketprism_service::Report;
use serde::Deserialize;

use super::client::{Upstream, UpstreamError};
use super::config::UpstreamsConfig;

/// Prometheus.
#[derive(Debug, Clone)]
pub(crate) struct Prometheus(Upstream);

#[derive(Debug, Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Debug, Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    name: String,
    rules: Vec<FoundRule>,
}

/// One alerting rule: `{"name":"BrokerDown","query":"…","duration":30,"labels":{…},"annotations":{…},"state":"firing",
/// "health":"ok","lastError":"…","lastEvaluation":"2026-11-21T14:00:00Z","alerts":[…]}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundRule {
    pub(crate) name: String,
    /// Not part of the answer at this place: the group that it stands in.
    #[serde(skip)]
    pub(crate) group: String,
    pub(crate) query: String,
    /// Seconds.
    pub(crate) duration: f64,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) state: String,
    pub(crate) health: String,
    #[serde(default)]
    pub(crate) last_error: String,
}

#[derive(Debug, Deserialize)]
struct Vector {
    result: Vec<Sample>,
}

/// `{"metric":{"job":"collector"},"value":[1763733600.1,"1"]}`
#[derive(Debug, Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Prometheus {
    pub(crate) fn new(config: &UpstreamsConfig) -> Result<Self, Report> {
        Upstream::new("prometheus", config.prometheus.as_deref(), config).map(Self)
    }

    /// Every alerting rule, in the order of their groups.
    pub(crate) async fn rules(&self) -> Result<Vec<FoundRule>, UpstreamError> {
        let Envelope { data: Groups { groups } } = self.0.get("/api/v1/rules", &[("type", "alert")]).await?;
        let of_group = |group: Group| {
            let name = group.name;
            group.rules.into_iter().map(move |rule| FoundRule { group: name.clone(), ..rule })
        };
        Ok(groups.into_iter().flat_map(of_group).collect())
    }

    /// The value of each series that `query` finds now, by its value of `label`; what is not a number is left out.
    pub(crate) async fn values(
        &self,
        query: &str,
        label: &str,
    ) -> Result<BTreeMap<String, f64>, UpstreamError> {
        let Envelope { data: Vector { result } } = self.0.get("/api/v1/query", &[("query", query)]).await?;
        let value = |sample: Sample| {
            let value = sample.value.1.parse::<f64>().ok().filter(|value| value.is_finite())?;
            Some((sample.metric.get(label)?.clone(), value))
        };
        Ok(result.into_iter().filter_map(value).collect())
    }

    /// The server itself.
    pub(crate) const fn upstream(&self) -> &Upstream {
        &self.0
    }
}
