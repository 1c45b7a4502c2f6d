//! The wiring: engine, then the HTTP interface over it; at the end the reverse.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use marketprism_service::http::{Limits, PageGuard, Site};
use marketprism_service::{CancellationToken, Check, Context, Descriptor, Report, Service};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::{Config, Flags, LEGACY_ENV, check_listen};
use crate::confine;
use crate::engine::{Engine, EngineError};
use crate::engine_xml;
use crate::metrics::StatementMetrics;
use crate::request::Credentials;
use crate::server::{Front, router};
use crate::session::Sessions;
use crate::users_xml;

/// What this service is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "embedded-clickhouse",
    about: "The ClickHouse engine behind its HTTP interface, for laptops, CI and tests",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: LEGACY_ENV,
};

/// How long running statements may go on after SIGTERM before they are cancelled; below the default grace of 20 s.
const STATEMENT_GRACE: Duration = Duration::from_secs(5);

/// What the interface grants; times are the ClickHouse server's own (`http_receive_timeout`, `http_send_timeout`).
const LIMITS: Limits = Limits {
    // A query in the URL, of which the HTTP library takes 64 KiB, beside its parameters and headers; and the buffer of inserts.
    head_bytes_max: 256 << 10,
    // An insert lasts as long as its data come.
    body: None,
    // Everything that a test or a laptop starts comes from one address, and a client may keep many connections.
    connections_max: 1024,
    connections_per_address_max: 1024,
    ..Limits::STANDARD
};

/// Starts the engine and serves it.
///
/// # Errors
/// The engine does not start, or the address cannot be listened on.
pub async fn start(mut config: Config, flags: Flags, service: Service) -> Result<(), Report> {
    let library = config.library.clone().unwrap_or_else(|| flags.provisioned_library());
    config.listen = flags.listen.unwrap_or(config.listen);
    config.path = flags.path.unwrap_or(config.path);
    check_listen(config.listen, config.allow_remote)?;
    if config.password.expose().is_empty() {
        tracing::warn!(
            user = config.user,
            "no password is set: every program of this machine may run statements"
        );
    }

    // 1. The address first: a taken port is told before an engine starts.
    let listener = TcpListener::bind(config.listen)
        .await
        .context(format_args!("failed to listen on {}", config.listen))?;
    let address = listener.local_addr().context("failed to read the listener's address")?;

    // 2. The engine.
    let check = service.health().check("engine");
    check.unhealthy("starting");
    let engine = {
        let config = config.clone();
        let start = move || start_engine(&library, &config);
        Arc::new(tokio::task::spawn_blocking(start).await.context("the engine's start panicked")??)
    };

    // 3. The interface.
    let front = Arc::new(Front {
        engine,
        sessions: Sessions::new(config.sessions_max),
        credentials: Credentials { user: config.user.clone(), password: config.password.expose().to_owned() },
        statements: Arc::new(Semaphore::new(config.statements_max)),
        metrics: StatementMetrics::default(),
    });
    if let Some(file) = &config.address_file {
        write(file, &address.to_string())?;
    }
    tracing::info!(%address, "serving the ClickHouse HTTP interface");
    check.healthy();
    let statements_max = config.statements_max;
    let site = Site::new("clickhouse", LIMITS, PageGuard::new(config.admin.hosts));
    service.source("http", move |token| serve(site, listener, front, token, check, statements_max));
    Ok(())
}

fn start_engine(library: &Path, config: &Config) -> Result<Engine, EngineError> {
    std::fs::create_dir_all(&config.path)
        .map_err(|source| EngineError::Write { path: config.path.clone(), source })?;
    let path = config
        .path
        .canonicalize()
        .map_err(|source| EngineError::Write { path: config.path.clone(), source })?;
    let users = path.join("users.xml");
    let file = path.join("engine.xml");
    for (file, text) in [
        (&users, users_xml::text(&config.allow_outside)),
        (&file, engine_xml::text(&config.engine, &path, &users)),
    ] {
        std::fs::write(file, text).map_err(|source| EngineError::Write { path: file.clone(), source })?;
    }
    confine::prepare(&path, &config.allow_outside, config.allow_remote)?;
    Engine::start(library, &path, &file, &config.engine.settings)
}

/// Written beside and renamed, so that whoever sees the file sees all of it.
fn write(file: &Path, text: &str) -> Result<(), EngineError> {
    let part = file.with_extension("part");
    let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, file));
    written.map_err(|source| EngineError::Write { path: file.to_owned(), source })
}

async fn serve(
    site: Site,
    listener: TcpListener,
    front: Arc<Front>,
    token: CancellationToken,
    check: Check,
    statements_max: usize,
) -> Result<(), Report> {
    let serving = site.serve(listener, router(Arc::clone(&front)), token.clone());
    let sweep = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            let front = Arc::clone(&front);
            // Closing a connection is a call into the engine.
            drop(tokio::task::spawn_blocking(move || front.sessions.expire()).await);
        }
    };
    let cancel_late = async {
        token.cancelled().await;
        check.degraded("draining");
        tokio::time::sleep(STATEMENT_GRACE).await;
        tracing::warn!("cancelling the statements that still run");
        let front = Arc::clone(&front);
        drop(tokio::task::spawn_blocking(move || front.engine.kill(None)).await);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => {}
        () = sweep => {}
        () = cancel_late => {}
    }
    // Threads outlive their sockets by a moment; with all permits back, none is in the engine.
    let permits = u32::try_from(statements_max).unwrap_or(u32::MAX);
    let all = Arc::clone(&front.statements)
        .acquire_many_owned(permits)
        .await
        .context("failed to wait for the last statement")?;
    tokio::task::spawn_blocking(move || {
        front.sessions.close();
        front.engine.stop();
        drop(all);
    })
    .await
    .context("the engine's stop panicked")?;
    tracing::info!("ClickHouse engine stopped");
    Ok(())
}
