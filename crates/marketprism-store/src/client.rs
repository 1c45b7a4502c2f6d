//! One database: the HTTP client with its credentials, limits and settings, and the plain questions to it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::{Client, Compression as ClientCompression};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use crate::admission::Admissions;
use crate::config::{ClickHouseConfig, Compression};
use crate::error::{StoreError, server_code};

/// The oldest server whose types, settings and functions are all used here and tested.
const SERVER_VERSION_MIN: &str = "24.8";
/// The server closes idle connections after 3 s by default (10 s in newer ones); ours are gone before.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// One insert must be one block: the most rows in it. Twenty times the largest batch a service may be configured to.
pub(crate) const BLOCK_ROWS_MAX: u64 = 20_000_000;

/// One database of one tier. Clones share the connections.
#[derive(Clone)]
pub struct Store {
    /// Reads and changes the schema; every statement runs in the tier's database.
    pub(crate) client: Client,
    /// The same server without a database, for the time before there is one.
    pub(crate) server: Client,
    /// Inserts, whose types the schema check has compared already.
    pub(crate) inserter: Client,
    /// Until when the server takes inserts.
    pub(crate) admissions: Arc<Admissions>,
    pub(crate) config: ClickHouseConfig,
}

impl Store {
    /// Prepares the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] when the configuration cannot be used.
    pub fn new(config: ClickHouseConfig) -> Result<Self, StoreError> {
        config.validate()?;
        let compression = match config.compression {
            Compression::None => ClientCompression::None,
            Compression::Lz4 => ClientCompression::Lz4,
        };
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build(connector(config.connect_timeout)?);
        let mut server = Client::with_http_client(http)
            .with_url(&config.url)
            .with_user(&config.user)
            .with_compression(compression)
            // Servers of 26.x gather inserts by default and answer before they are stored.
            .with_setting("async_insert", "0");
        if !config.password.reveal().is_empty() {
            server = server.with_password(config.password.reveal());
        }
        if config.placement().is_replicated() {
            // Acknowledged is what the majority of the replicas has, and whichever of them is asked knows all of that: behind
            // an address of several replicas, one that lags would say that a row is not stored. It refuses instead.
            server = server
                .with_setting("insert_quorum", "auto")
                .with_setting("insert_quorum_parallel", "0")
                .with_setting("insert_quorum_timeout", config.insert_timeout.as_millis().to_string())
                .with_setting("select_sequential_consistency", "1");
        }
        let client = server.clone().with_database(&config.database);
        let block_rows = BLOCK_ROWS_MAX.to_string();
        let inserter = client
            .clone()
            .with_validation(false)
            // Rows are told apart by their sequence. A replicated table takes equal blocks for one, and would swallow
            // rows that were deleted and are copied again.
            .with_setting("insert_deduplicate", "0")
            .with_setting("max_insert_block_size", &block_rows)
            .with_setting("min_insert_block_size_rows", &block_rows)
            .with_setting("min_insert_block_size_bytes", "0")
            // The server gives up before we do, so that an insert we gave up on is not stored behind our back.
            .with_setting("max_execution_time", config.insert_timeout.as_secs().to_string());
        Ok(Self { client, server, inserter, admissions: Arc::default(), config })
    }

    /// The server's address, for logs and health.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.config.database
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`StoreError::Request`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask("ping ClickHouse", self.server.query("SELECT 1").fetch_one::<u8>()).await.map(drop)
    }

    /// The server's version, such as `26.7.2.1`, checked to be new enough.
    ///
    /// # Errors
    /// [`StoreError::ServerVersion`], or [`StoreError::Request`] when it does not answer.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        let found = self
            .ask(
                "read the version of ClickHouse",
                self.server.query("SELECT version()").fetch_one::<String>(),
            )
            .await?;
        if numbers(&found) < numbers(SERVER_VERSION_MIN) {
            return Err(StoreError::ServerVersion {
                url: self.config.url.clone(),
                found,
                needed: SERVER_VERSION_MIN,
            });
        }
        Ok(found)
    }

    /// Runs a statement of ours that answers nothing.
    pub(crate) async fn execute(&self, operation: &str, statement: &str) -> Result<(), StoreError> {
        self.ask(operation, self.client.query_raw(statement).execute()).await
    }

    /// Waits for an answer within the query timeout.
    pub(crate) async fn ask<T>(
        &self,
        operation: &str,
        answer: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, StoreError> {
        self.within(self.config.query_timeout, operation, answer).await
    }

    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        operation: &str,
        answer: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(operation, error)),
            Err(_) => Err(self.failed(operation, clickhouse::error::Error::TimedOut)),
        }
    }

    pub(crate) fn failed(&self, operation: &str, error: clickhouse::error::Error) -> StoreError {
        StoreError::Request {
            operation: operation.to_owned(),
            url: self.config.url.clone(),
            code: server_code(&error.to_string()),
            source: error.into(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

/// HTTP and HTTPS, without Nagle's delay (it costs small inserts 40 ms each) and with a limit on connecting.
fn connector(connect_timeout: Duration) -> Result<HttpsConnector<HttpConnector>, StoreError> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    http.set_keepalive(Some(Duration::from_secs(60)));
    http.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| StoreError::Tls(error.into()))?;
    Ok(https.https_or_http().enable_http1().wrap_connector(http))
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("26.7.2.1") > numbers(SERVER_VERSION_MIN));
        assert!(numbers("24.10.1") > numbers(SERVER_VERSION_MIN));
        assert!(numbers("23.8.1") < numbers(SERVER_VERSION_MIN));
    }
}
