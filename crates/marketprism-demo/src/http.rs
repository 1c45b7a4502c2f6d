//! Requests to the demo's own servers: the simulator's control, ClickHouse, health.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::failure::Failure;

/// A request without an answer after this has none; a reconciliation query of a long run takes some seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client for loopback addresses.
#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

impl Http {
    /// # Errors
    /// When no client can be made.
    pub fn new() -> Result<Self, Failure> {
        // The demo speaks plain HTTP to itself; the client wants a TLS provider all the same.
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            return Err(Failure::Usage("a TLS provider was installed already".to_owned()));
        }
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        client.map(Self).map_err(|error| failed("make the HTTP client", error))
    }

    /// `Ok` for a 2xx answer; else why not, in a form fit for "is not ready".
    pub async fn answers(&self, url: &str) -> Result<(), String> {
        let answer =
            self.0.get(url).send().await.map_err(|error| format!("{url} does not answer ({error})"))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{url} says {status}: {}", answer.text().await.unwrap_or_default()))
    }

    /// The JSON at an address.
    pub async fn get_json(&self, url: &str) -> Result<Value, Failure> {
        let answer = self.0.get(url).send().await.map_err(|error| failed(url, error))?;
        answer.json().await.map_err(|error| failed(url, error))
    }

    /// An order without a body.
    pub async fn post(&self, url: &str) -> Result<(), Failure> {
        let answer = self.0.post(url).send().await.map_err(|error| failed(url, error))?;
        answer.error_for_status().map(drop).map_err(|error| failed(url, error))
    }

    /// Runs a query and hands over its lines (TabSeparated), without holding the whole result.
    pub async fn query(&self, base: &str, sql: &str, mut line: impl FnMut(&str)) -> Result<(), Failure> {
        let operation = || format!("query {base}");
        let answer = self.0.post(base).body(format!("{sql} FORMAT TabSeparated")).send().await;
        let answer = answer.map_err(|error| failed(&operation(), error))?;
        if !answer.status().is_success() {
            let reason = answer.text().await.unwrap_or_default();
            return Err(Failure::Request { operation: format!("{}: {sql}", operation()), reason });
        }
        let mut chunks = answer.bytes_stream();
        let mut rest: Vec<u8> = Vec::new();
        while let Some(chunk) = chunks.next().await {
            rest.extend_from_slice(&chunk.map_err(|error| failed(&operation(), error))?);
            let complete = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            String::from_utf8_lossy(rest.get(..complete).unwrap_or_default()).lines().for_each(&mut line);
            rest.drain(..complete);
        }
        String::from_utf8_lossy(&rest).lines().for_each(&mut line);
        Ok(())
    }
}

fn failed(operation: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Request { operation: operation.to_owned(), reason: error.to_string() }
}
