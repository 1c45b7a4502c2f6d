//! HTTP as a client: two ways to make it, one way to ask. Whom it asks is not its business.

use std::time::Duration;

use marketprism_service::{ConfigError, Context, Report};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};

/// A client for servers of our own network, past any proxy; gives up after `timeout`.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn inside(timeout: Duration) -> Result<Client, Report> {
    client(timeout, Client::builder().no_proxy())
}

/// A client for others' servers, through the proxy of the environment if there is one; gives up after `timeout`.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn outside(timeout: Duration) -> Result<Client, Report> {
    client(timeout, Client::builder())
}

/// It follows nobody elsewhere: addresses carry secrets.
fn client(timeout: Duration, builder: ClientBuilder) -> Result<Client, Report> {
    builder
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("marketprism-monitoring/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("failed to make an HTTP client")
}

/// Sends it; the status of the answer and its body, at most `bytes_max` of it: what comes from outside has no other bound.
///
/// # Errors
/// When there is no answer, or it breaks off. The address is not part of the error: a password may be in it.
pub(crate) async fn answer(
    request: RequestBuilder,
    bytes_max: usize,
) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
    let read = async {
        let mut answer = request.send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            let room = bytes_max.saturating_sub(body.len());
            body.extend(chunk.iter().take(room));
            if chunk.len() > room {
                break;
            }
        }
        Ok((answer.status(), body))
    };
    read.await.map_err(reqwest::Error::without_url)
}

/// Whether the configuration's key `path` holds an address that can be asked.
///
/// # Errors
/// When it does not.
pub(crate) fn is_address(path: &str, url: &str) -> Result<(), ConfigError> {
    if url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(());
    }
    Err(ConfigError::invalid(path, url, "is no http or https address"))
}
