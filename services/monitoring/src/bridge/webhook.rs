//! What Alertmanager posts, version 4 of its webhook:
//! `{"version":"4","status":"firing","groupLabels":{"alertname":"BrokerDown"},"commonLabels":{…},"commonAnnotations":{…},
//! "externalURL":"http://…","truncatedAlerts":0,"alerts":[{"status":"firing","labels":{…},"annotations":{…},"startsAt":"2026-11-21T14:00:00Z",
//! "endsAt":"0001-01-01T00:00:00Z","generatorURL":"…","fingerprint":"…"}]}`

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

pub(super) type Labels = BTreeMap<String, String>;

/// One group of alerts that changed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notification {
    #[serde(deserialize_with = "version_4")]
    #[expect(dead_code, reason = "read only to be checked")]
    version: (),
    #[serde(default)]
    pub(super) group_labels: Labels,
    #[serde(default)]
    pub(super) common_labels: Labels,
    #[serde(default)]
    pub(super) common_annotations: Labels,
    #[serde(default, rename = "externalURL")]
    pub(super) external_url: String,
    /// Alerts of the group that Alertmanager left out.
    #[serde(default)]
    pub(super) truncated_alerts: u64,
    pub(super) alerts: Vec<Alert>,
}

/// One instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    pub(super) status: Status,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) annotations: Labels,
    #[serde(deserialize_with = "time")]
    pub(super) starts_at: Timestamp,
    #[serde(deserialize_with = "time")]
    pub(super) ends_at: Timestamp,
}

/// Whether it is still so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Firing,
    Resolved,
}

impl Status {
    pub(super) const fn shown(self) -> &'static str {
        match self {
            Self::Firing => "FIRING",
            Self::Resolved => "RESOLVED",
        }
    }
}

impl Notification {
    /// The rule's name.
    pub(super) fn alert_name(&self) -> &str {
        self.label("alertname").unwrap_or("(alerts of several rules)")
    }

    /// A label that all of its alerts share, unless the group is named for it.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.group_labels.get(name).or_else(|| self.common_labels.get(name)).map(String::as_str)
    }

    /// Firing as long as one of its alerts is.
    pub(super) fn status(&self) -> Status {
        let is_firing = self.alerts.iter().any(|alert| alert.status == Status::Firing);
        if is_firing { Status::Firing } else { Status::Resolved }
    }

    /// What `--test` sends.
    pub(super) fn sample(now: Timestamp) -> Self {
        let labels = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let common = [("alertname", "TestAlert"), ("service", "monitoring"), ("severity", "info")];
        Self {
            version: (),
            group_labels: labels(&[]),
            common_labels: labels(&common),
            common_annotations: labels(&[("summary", "This is a test: nothing is wrong.")]),
            external_url: String::new(),
            truncated_alerts: 0,
            alerts: vec![Alert {
                status: Status::Firing,
                labels: labels(&common),
                annotations: labels(&[("description", "Sent by marketprism-monitoring --test.")]),
                starts_at: now,
                ends_at: now,
            }],
        }
    }
}

fn version_4<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let version = String::deserialize(deserializer)?;
    if version == "4" { Ok(()) } else { Err(de::Error::custom(format_args!("`{version}` is not version 4"))) }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| de::Error::custom(format_args!("`{text}` is not a time: {error}")))
}
