//! One chat robot: signs, posts, and judges the answer. When and how often is the courier's business.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use marketprism_service::{Report, Secret};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::config::{Format, TargetConfig};
use super::markup::Markup;
use super::message::Message;
use crate::http;

/// How long a robot may take; Alertmanager waits too.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer; real ones are some 50.
const ANSWER_BYTES_MAX: usize = 4096;
/// DingTalk's "too fast".
const CODE_TOO_FAST: i64 = 130_101;

/// Why a message did not arrive. No variant holds the address: it has the access token in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("failed to reach the robot")]
    Unreachable(#[source] reqwest::Error),
    #[error("the robot answered {status}: {body}")]
    Status { status: StatusCode, body: String },
    #[error("the robot's answer is not DingTalk's: {body}")]
    Foreign { body: String },
    /// 130101: more than 20 messages in a minute.
    #[error("the robot was sent too many messages ({message})")]
    TooFast { message: String },
    /// 310000: bad signature, missing keyword, foreign address. Others: bad token, bad body.
    #[error("the robot refused with {code}: {message}")]
    Refused { code: i64, message: String },
}

impl SendError {
    /// Whether the same message may arrive later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooFast { .. } | Self::Foreign { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            // -1: "system busy".
            Self::Refused { code, .. } => *code == -1,
        }
    }
}

/// Ready to send.
#[derive(Debug, Clone)]
pub(super) struct Robot {
    client: reqwest::Client,
    url: Url,
    secret: Secret,
    format: Format,
    /// The body, before its texts are replaced.
    template: Value,
}

impl Robot {
    /// `None` where the target has no address.
    ///
    /// # Errors
    /// What `validate` of the configuration refuses too, and TLS that cannot be set up.
    pub(super) fn new(config: &TargetConfig) -> Result<Option<Self>, Report> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let template = match (config.format, &config.template) {
            (Format::Json, Some(template)) => serde_json::from_str(template)?,
            (Format::Slack, _) => json!({"text": "{text}"}),
            (Format::Dingtalk | Format::Json, _) => {
                json!({"msgtype": "markdown", "markdown": {"title": "{title}", "text": "{text}"}})
            }
        };
        Ok(Some(Self {
            client: http::outside(TIMEOUT)?,
            url: Url::parse(config.url.expose())?,
            secret: config.secret.clone(),
            format: config.format,
            template,
        }))
    }

    /// What its chat reads.
    pub(super) const fn markup(&self) -> Markup {
        match self.format {
            Format::Slack => Markup::Mrkdwn,
            Format::Dingtalk | Format::Json => Markup::Markdown,
        }
    }

    /// Sends once; returns the robot's answer.
    pub(super) async fn send(&self, message: &Message, now: Timestamp) -> Result<String, SendError> {
        let url = signed(self.url.clone(), &self.secret, now.as_millisecond());
        let body = filled(&self.template, message);
        let answer = http::answer(self.client.post(url).json(&body), ANSWER_BYTES_MAX).await;
        let (status, body) = answer.map_err(SendError::Unreachable)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if !status.is_success() {
            return Err(SendError::Status { status, body });
        }
        if self.format == Format::Dingtalk { taken(body) } else { Ok(body) }
    }
}

/// `{"errcode":0,"errmsg":"ok"}`; DingTalk answers 200 whatever it thinks.
fn taken(body: String) -> Result<String, SendError> {
    #[derive(Deserialize)]
    struct Answer {
        errcode: i64,
        #[serde(default)]
        errmsg: String,
    }
    match serde_json::from_str(&body) {
        Ok(Answer { errcode: 0, .. }) => Ok(body),
        Ok(Answer { errcode: CODE_TOO_FAST, errmsg }) => Err(SendError::TooFast { message: errmsg }),
        Ok(Answer { errcode, errmsg }) => Err(SendError::Refused { code: errcode, message: errmsg }),
        Err(_) => Err(SendError::Foreign { body }),
    }
}

/// `…&timestamp=1763733600000&sign=…`: the signature is base64 of HMAC-SHA256 over `1763733600000\n<secret>` with the secret as key.
fn signed(mut url: Url, secret: &Secret, now_ms: i64) -> Url {
    if secret.is_empty() {
        return url;
    }
    // HMAC takes keys of any length, so this is never the empty signature.
    let sign = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_or_else(
        |_| String::new(),
        |mac| {
            let text = format!("{now_ms}\n{}", secret.expose());
            STANDARD.encode(mac.chain_update(text.as_bytes()).finalize().into_bytes())
        },
    );
    url.query_pairs_mut().append_pair("timestamp", &now_ms.to_string()).append_pair("sign", &sign);
    url
}

fn filled(template: &Value, message: &Message) -> Value {
    match template {
        Value::String(text) => {
            let parts = [
                ("{title}", message.title.as_str()),
                ("{status}", message.status),
                ("{severity}", &message.severity),
                // Last: what it holds is not looked at again.
                ("{text}", &message.text),
            ];
            Value::String(parts.iter().fold(text.clone(), |text, (name, part)| text.replace(name, part)))
        }
        Value::Array(values) => values.iter().map(|value| filled(value, message)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled(value, message))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_dingtalks() {
        let url = Url::parse("https://robot.example/send?access_token=t").unwrap();
        // printf '1700000000000\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary | base64
        let signed = signed(url, &Secret::new("SECabc"), 1_700_000_000_000);
        assert_eq!(
            signed.as_str(),
            "https://robot.example/send?access_token=t&timestamp=1700000000000&sign=jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM%3D"
        );
    }

    #[test]
    fn a_template_cannot_be_broken_by_what_fills_it() {
        let message = Message {
            title: "a \"quote\"".to_owned(),
            text: "line\n{severity}".to_owned(),
            status: "FIRING",
            severity: "critical".to_owned(),
        };
        let template = json!({"head": "{status} {severity}: {title}", "parts": ["{text}", 1, null]});
        assert_eq!(
            filled(&template, &message),
            json!({"head": "FIRING critical: a \"quote\"", "parts": ["line\n{severity}", 1, null]})
        );
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let judged = |body: &str| taken(body.to_owned()).map_err(|error| error.is_transient());
        assert!(judged(r#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
        assert_eq!(judged(r#"{"errcode":130101,"errmsg":"send too fast"}"#), Err(true));
        assert_eq!(judged(r#"{"errcode":310000,"errmsg":"sign not match"}"#), Err(false));
        assert_eq!(judged("<html>"), Err(true));
    }
}
