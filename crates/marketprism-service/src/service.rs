//! What `start` is given: where to register its tasks and checks.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::admin::Pages;
use crate::config::ConfigSource;
use crate::health::Health;
use crate::report::Report;
use crate::signals::Reloads;
use crate::supervisor::{Role, Tasks};

/// The running service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    tasks: Tasks,
    health: Health,
    pages: Pages,
    source: ConfigSource,
    shutdown: CancellationToken,
}

impl Service {
    pub(crate) fn new(
        tasks: Tasks,
        health: Health,
        pages: Pages,
        source: ConfigSource,
        shutdown: CancellationToken,
    ) -> Self {
        Self { tasks, health, pages, source, shutdown }
    }

    /// Starts a task where data enters. It ends when its token is told to, and only then: a source that ends by itself,
    /// fails or panics ends the process.
    pub fn source<F, Fut>(&self, name: impl Into<String>, source: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), Report>> + Send + 'static,
    {
        self.tasks.spawn(name.into(), Role::Source, source(self.shutdown.child_token()));
    }

    /// Starts a task downstream of a source. It gets no token: it ends because its input closed, so that nothing queued is
    /// lost. One that ends before shutdown began, fails or panics ends the process.
    pub fn stage(
        &self,
        name: impl Into<String>,
        stage: impl Future<Output = Result<(), Report>> + Send + 'static,
    ) {
        self.tasks.spawn(name.into(), Role::Stage, stage);
    }

    /// The checks behind `/health`.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves a JSON page beside `/health`: `page` makes its body from the query's fields whenever it is asked for. It runs on
    /// the admin server's thread, so it may lock what it shows for a moment but never wait.
    pub fn page(
        &self,
        path: &'static str,
        page: impl Fn(&BTreeMap<String, String>) -> Value + Send + Sync + 'static,
    ) {
        self.pages.add(path, page);
    }

    /// Where the configuration came from, to read it again.
    pub fn config_source(&self) -> ConfigSource {
        self.source.clone()
    }

    /// SIGHUP, which asks for that. A service that never calls this dies of it, as any process does.
    ///
    /// # Errors
    /// When the signal cannot be listened for.
    pub fn reloads(&self) -> Result<Reloads, Report> {
        Reloads::listen()
    }

    /// Cancelled when shutdown begins. For sources that start others; a stage must not listen to it.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.child_token()
    }

    /// Begins an orderly shutdown, as SIGTERM does: for a service whose work is done.
    pub fn request_shutdown(&self) {
        self.shutdown.cancel();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("shutdown", &self.shutdown).finish_non_exhaustive()
    }
}
