//! HTTP as a client: one way to make it, one way to read an answer. Whom it asks is not its business.

use std::time::Duration;

use marketprism_service::{Context, Report};
use reqwest::{Client, Response};

/// A client that gives up after `timeout`, and follows nobody elsewhere: addresses carry secrets.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn client(timeout: Duration) -> Result<Client, Report> {
    Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("marketprism-monitoring/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("failed to make an HTTP client")
}

/// The body, at most `bytes_max` of it: what comes from outside has no other bound.
///
/// # Errors
/// When the answer breaks off.
pub(crate) async fn body(mut answer: Response, bytes_max: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = bytes_max.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if chunk.len() > room {
            break;
        }
    }
    Ok(body)
}
