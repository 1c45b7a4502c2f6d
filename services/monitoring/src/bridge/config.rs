//! Where alerts go: section `bridge`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use marketprism_service::{ConfigError, Secret};
use serde::{Deserialize, Serialize};
use url::Url;

/// Alertmanager's webhooks in, messages to people out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BridgeConfig {
    /// Where Alertmanager posts to: `/dingtalk/{target}/send`.
    pub(crate) listen: SocketAddr,
    /// By the name in the path.
    pub(crate) targets: BTreeMap<String, TargetConfig>,
}

/// One chat that alerts go to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TargetConfig {
    /// `dingtalk`, `slack` or `json`.
    pub(crate) format: Format,
    /// The robot's webhook, access token included; `file:/path` reads it from a file. Empty: what is posted to this target is refused.
    pub(crate) url: Secret,
    /// The key that DingTalk's robots sign with; `file:/path` reads it from a file. Empty for robots without.
    pub(crate) secret: Secret,
    /// For `json`: the body to post, in whose texts `{title}`, `{text}`, `{status}` and `{severity}` are replaced.
    pub(crate) template: Option<String>,
    /// Beyond it, what waits is grouped into one message. DingTalk silences a robot for ten minutes beyond 20.
    pub(crate) messages_per_minute_max: NonZeroU32,
}

/// What a robot understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Markdown, signed; the answer says whether it was taken.
    #[default]
    Dingtalk,
    /// `{"text": …}`.
    Slack,
    /// The target's own `template`.
    Json,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8060)),
            targets: BTreeMap::from([("marketprism".to_owned(), TargetConfig::default())]),
        }
    }
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self {
            format: Format::Dingtalk,
            url: Secret::default(),
            secret: Secret::default(),
            template: None,
            messages_per_minute_max: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
        }
    }
}

impl BridgeConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (name, target) in &self.targets {
            let path = |field: &str| format!("bridge.targets.{name}.{field}");
            if !target.url.is_empty() {
                let is_http =
                    Url::parse(target.url.expose()).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
                if !is_http {
                    return Err(ConfigError::invalid(
                        path("url"),
                        "[redacted]",
                        "is no http or https address",
                    ));
                }
            }
            match (target.format, &target.template) {
                (Format::Json, None) => {
                    return Err(ConfigError::invalid(path("template"), "null", "format json needs one"));
                }
                (Format::Json, Some(template)) => {
                    if let Err(error) = serde_json::from_str::<serde_json::Value>(template) {
                        let reason = format_args!("is not JSON: {error}");
                        return Err(ConfigError::invalid(path("template"), template, reason));
                    }
                }
                (Format::Dingtalk | Format::Slack, Some(template)) => {
                    let reason = "only format json has one";
                    return Err(ConfigError::invalid(path("template"), template, reason));
                }
                (Format::Dingtalk | Format::Slack, None) => {}
            }
        }
        Ok(())
    }
}
