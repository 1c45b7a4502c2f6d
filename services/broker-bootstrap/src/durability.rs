//! Whether what the broker acknowledges survives a power cut: how often it syncs to the disk, read from its monitoring
//! port, or enough copies on other machines. A killed broker loses nothing either way.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use marketprism_bus::topology::DesiredStream;
use marketprism_service::{Context, HumanDuration, Report};
use serde::Deserialize;

/// Copies of which a majority survives one machine.
const REPLICAS_ENOUGH: usize = 3;
/// `/varz` is 10 KiB; what is larger is something else.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The part of `/varz` that tells of it: `{"jetstream":{"config":{"sync_interval":1000000000,"sync_always":true}}}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Varz {
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JetStream {
    /// Missing while the server starts, and where JetStream is off.
    config: Option<Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
struct Sync {
    #[serde(rename = "sync_interval")]
    interval_nanoseconds: u64,
    #[serde(rename = "sync_always")]
    always: bool,
}

/// Less durable than the configuration accepts.
#[derive(Debug, thiserror::Error)]
#[error(
    "the broker syncs to the disk every {interval}, and a power cut loses what it acknowledged in between: set \
     jetstream.sync_interval of nats-server to {accepted} or less, or accept more with sync_interval_max"
)]
struct NotDurable {
    interval: HumanDuration,
    accepted: HumanDuration,
}

/// Checks what the broker promises. Without `monitoring_url` it can only say what it did not check.
pub(crate) async fn check(
    monitoring_url: Option<&str>,
    sync_interval_max: Duration,
    streams: &[DesiredStream],
    patience: Duration,
) -> Result<(), Report> {
    if streams.iter().all(|stream| stream.replicas >= REPLICAS_ENOUGH) {
        return Ok(());
    }
    let Some(url) = monitoring_url else {
        tracing::warn!(
            "not checked how often the broker syncs to the disk: give its monitoring_url (http of nats-server.conf). Its \
             own default is 2 minutes, and a power cut loses what it acknowledged since"
        );
        return Ok(());
    };
    let answer =
        tokio::time::timeout(patience, read(url)).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
    let Some(sync) = answer.context(format!("failed to read {url}/varz"))? else {
        return Err(Report::message(format!(
            "{url}/varz tells nothing of JetStream: is it the broker's monitoring port?"
        )));
    };
    let interval = Duration::from_nanos(sync.interval_nanoseconds);
    if sync.always || interval <= sync_interval_max {
        tracing::info!(always = sync.always, interval = %HumanDuration::from(interval), "the broker syncs to the disk");
        return Ok(());
    }
    Err(NotDurable { interval: interval.into(), accepted: sync_interval_max.into() }.into())
}

async fn read(url: &str) -> Result<Option<Sync>, Report> {
    let uri: Uri = format!("{}/varz", url.trim_end_matches('/')).parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(uri).await?;
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Report::message(error.to_string()))?;
    Ok(serde_json::from_slice::<Varz>(&body.to_bytes())?.jetstream.config)
}
