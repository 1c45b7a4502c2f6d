//! Requests to the demo's own servers: the simulator's control, ClickHouse, health.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::failure::Failure;
use crate::password::{Password, USER};

/// A request without an answer after this has none; a reconciliation query of a long run takes some seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client for loopback addresses.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    /// Of both engines.
    password: Password,
}

impl Http {
    /// A client that logs in to the engines with their password.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(password: &Password) -> Result<Self, Failure> {
        // The demo speaks plain HTTP to itself; the client wants a TLS provider all the same. Another client of this process
        // may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        let client = client.map_err(|error| failed("make the HTTP client", error))?;
        Ok(Self { client, password: password.clone() })
    }

    /// `Ok` for a 2xx answer; else why not, in a form fit for "is not ready".
    pub async fn answers(&self, url: &str) -> Result<(), String> {
        let answer =
            self.client.get(url).send().await.map_err(|error| format!("{url} does not answer ({error})"))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{url} says {status}: {}", answer.text().await.unwrap_or_default()))
    }

    /// The JSON at an address.
    pub async fn get_json(&self, url: &str) -> Result<Value, Failure> {
        let answer = self.client.get(url).send().await.map_err(|error| failed(url, error))?;
        answer.json().await.map_err(|error| failed(url, error))
    }

    /// An order without a body.
    pub async fn post(&self, url: &str) -> Result<(), Failure> {
        let answer = self.client.post(url).send().await.map_err(|error| failed(url, error))?;
        answer.error_for_status().map(drop).map_err(|error| failed(url, error))
    }

    /// Runs a query of one of the engines and hands over its lines (TabSeparated), without holding the whole result.
    pub async fn query(&self, base: &str, sql: &str, mut line: impl FnMut(&str)) -> Result<(), Failure> {
        let operation = || format!("query {base}");
        let request = self.client.post(base).basic_auth(USER, Some(self.password.reveal()));
        let answer = request.body(format!("{sql} FORMAT TabSeparated")).send().await;
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
