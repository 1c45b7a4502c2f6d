//! `/health`, `/live`, `/metrics` and the service's own pages, on a thread and runtime of their own: they answer when the data path is saturated.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::config::AdminConfig;
use crate::health::{Health, Status};
use crate::http::{Limits, PageGuard, Site};
use crate::metrics::Scrape;
use crate::repeats::Repeats;
use crate::report::{Context, Report};

/// How often histogram samples are folded, which bounds their memory to what 5 s record, whether or not anybody scrapes, and
/// repeated errors are told.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

type Page = dyn Fn(&BTreeMap<String, String>) -> Value + Send + Sync;

/// The service's own pages, by path. Added while the server runs already; bounded by the paths in the code.
#[derive(Clone, Default)]
pub(crate) struct Pages(Arc<RwLock<BTreeMap<&'static str, Arc<Page>>>>);

impl Pages {
    pub(crate) fn add(
        &self,
        path: &'static str,
        page: impl Fn(&BTreeMap<String, String>) -> Value + Send + Sync + 'static,
    ) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(path, Arc::new(page));
    }

    fn find(&self, path: &str) -> Option<Arc<Page>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

/// The running admin server.
#[derive(Debug)]
pub(crate) struct Admin {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Binds both addresses, writes the addresses file and serves.
    ///
    /// # Errors
    /// A port in use (named with its key), a file that cannot be written, a thread that cannot start.
    pub(crate) fn start(
        config: &AdminConfig,
        health: Health,
        pages: Pages,
        scrape: Scrape,
        repeats: Repeats,
    ) -> Result<Self, Report> {
        if let Some(path) = &config.addresses_file {
            remove_stale(path)?;
        }
        let (health_listener, health_address) = bind("admin.health_listen", config.health_listen)?;
        let (metrics_listener, metrics_address) = bind("admin.metrics_listen", config.metrics_listen)?;
        if let Some(path) = &config.addresses_file {
            write_addresses(path, health_address, metrics_address)?;
        }
        tracing::info!(health = %health_address, metrics = %metrics_address, "admin server is listening");

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("failed to build the admin server's runtime")?;
        let stop = CancellationToken::new();
        let upkeep = upkeep(scrape.clone(), repeats);
        let guard = PageGuard::new(config.hosts.clone());
        let serving = serve(health_listener, metrics_listener, guard, health, pages, scrape, stop.clone());
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                let ended = runtime.block_on(async {
                    tokio::select! {
                        ended = serving => ended,
                        () = upkeep => Ok(()),
                    }
                });
                if let Err(error) = ended {
                    tracing::error!(%error, "admin server failed");
                }
            })
            .context("failed to start the admin server's thread")?;
        Ok(Self { stop, thread })
    }

    /// Stops serving; the last thing a service does.
    pub(crate) fn stop(self) {
        self.stop.cancel();
        // It was already logged if it panicked; there is nobody left to tell.
        drop(self.thread.join());
    }
}

fn bind(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Report> {
    let bound = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    bound().context(format_args!("failed to listen on {address} ({key})"))
}

/// What an earlier run wrote there would send readers to ports that are somebody else's now.
fn remove_stale(path: &Path) -> Result<(), Report> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format_args!("failed to remove {} (admin.addresses_file)", path.display()))
        }
        _ => Ok(()),
    }
}

/// Readers must never see half a file, so it is renamed into place.
fn write_addresses(path: &Path, health: SocketAddr, metrics: SocketAddr) -> Result<(), Report> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let text = serde_json::json!({"health": health.to_string(), "metrics": metrics.to_string()}).to_string();
    std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .context(format_args!("failed to write {} (admin.addresses_file)", path.display()))
}

async fn serve(
    health_listener: TcpListener,
    metrics_listener: TcpListener,
    guard: PageGuard,
    health: Health,
    pages: Pages,
    scrape: Scrape,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let health_routes = Router::new()
        .route("/health", get(health_body))
        .route("/live", get(live))
        .with_state(health)
        .fallback_service(get(page).with_state(pages));
    let metrics_routes = Router::new().route("/metrics", get(metrics_text)).with_state(scrape);
    let health_listener = tokio::net::TcpListener::from_std(health_listener)?;
    let metrics_listener = tokio::net::TcpListener::from_std(metrics_listener)?;
    let health_site = Site::new("health", Limits::ADMIN, guard.clone());
    let metrics_site = Site::new("metrics", Limits::ADMIN, guard);
    // Not a graceful end, so neither has a token of its own: an idle connection of a scraper must not hold up the process.
    tokio::select! {
        () = stop.cancelled() => {}
        () = health_site.serve(health_listener, health_routes, CancellationToken::new()) => {}
        () = metrics_site.serve(metrics_listener, metrics_routes, CancellationToken::new()) => {}
    }
    Ok(())
}

async fn upkeep(scrape: Scrape, repeats: Repeats) {
    let mut tick = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        tick.tick().await;
        scrape.upkeep();
        repeats.tell();
    }
}

async fn health_body(State(health): State<Health>) -> Response {
    let (status, body) = health.body();
    let code = match status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(body)).into_response()
}

async fn page(
    State(pages): State<Pages>,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    match pages.find(uri.path()) {
        Some(page) => Json(page(&query)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn live() -> &'static str {
    "live\n"
}

async fn metrics_text(State(scrape): State<Scrape>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], scrape.render()).into_response()
}
