//! What the console shows while it happens: streams, rates, books, trades, completeness, replication.
//!
//! Nothing runs here while nobody looks, but for the broker's connection: each answer is asked for and kept for a second
//! ([`cached`]), so that a hundred viewers cost the services no more than one. Whoever does not answer is told as
//! unreachable, with the age of what is shown of it. The pipeline is pushed once a second and is the console's heartbeat;
//! a market is pushed while somebody looks at it; what is large and looked at from time to time (streams, completeness,
//! replication) is asked for, so that it is compressed and costs nothing out of view.

mod broker;
mod cached;
mod completeness;
mod config;
mod conflation;
mod exposition;
mod market;
mod pipeline;
mod rates;
mod replication;
mod source;
mod streams;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::{Stream, StreamExt, stream};
use marketprism_service::{CancellationToken, Report, Service};
use marketprism_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::envelope::Failure;
use crate::http;
use crate::parameters::Parameters;
use crate::sources::Sources;
use broker::Broker;
use completeness::{Answers, Completeness};
pub(crate) use config::{ComponentsConfig, LiveConfig};
use pipeline::{Nodes, Pipeline, Tier};
use replication::Replication;
use source::Source;
pub(crate) use source::{Node, NodeState};
use streams::{Board, Streams};

/// The beat of the page.
const BEAT: Duration = Duration::from_secs(1);
/// A comment in a silent stream, so that proxies keep it and a dead browser is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The pipeline as it is now, however many look.
#[derive(Debug)]
pub(crate) struct Live {
    collector: Source,
    hot_storage: Source,
    cold_storage: Source,
    broker: Broker,
    hot: Tier,
    cold: Tier,
    board: Board,
    answers: Answers,
    book_interval: Duration,
    viewers_max: u16,
    /// Places of those who look at a market.
    viewers: Arc<Semaphore>,
    /// Places of those who look at the pipeline.
    watchers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Live {
    /// Registers the task that connects to the broker. Everybody may be away when it is called.
    ///
    /// # Errors
    /// When a client cannot be made of the configuration.
    pub(crate) fn new(config: &Config, service: &Service) -> Result<Self, Report> {
        let http = http::inside(source::PATIENCE)?;
        let source = |urls: &config::ServiceUrls| Source::new(http.clone(), urls.clone());
        let broker = Broker::new(config.nats.clone());
        let (keeping, check) = (broker.clone(), service.health().check("nats"));
        service.source("nats", |stop| keeping.keep(check, stop));
        Ok(Self {
            collector: source(&config.components.collector),
            hot_storage: source(&config.components.hot_storage),
            cold_storage: source(&config.components.cold_storage),
            broker,
            hot: Tier::new(Store::new(config.hot.clone())?),
            cold: Tier::new(Store::new(config.cold.clone())?),
            board: Board::new(),
            answers: Answers::default(),
            book_interval: config.live.book_interval.get(),
            viewers_max: config.live.viewers_max,
            viewers: Arc::new(Semaphore::new(usize::from(config.live.viewers_max))),
            watchers: Arc::new(Semaphore::new(usize::from(config.live.viewers_max))),
            stop: service.shutdown_token(),
        })
    }

    /// A place among those who look, for as long as it is held.
    fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
        let full = |_| Failure::unavailable(format!("{} look already (live.viewers_max)", self.viewers_max));
        Arc::clone(places).try_acquire_owned().map_err(full)
    }

    /// Every part of the pipeline.
    pub(crate) async fn nodes(&self) -> Nodes {
        pipeline::look(self).await.nodes
    }
}

/// The routes below `/api/v1/live`.
pub(crate) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::new()
        .routes(routes!(pipeline))
        .routes(routes!(events))
        .routes(routes!(streams))
        .routes(routes!(completeness))
        .routes(routes!(replication))
        .routes(routes!(market::market))
}

/// The pipeline at this moment.
#[utoipa::path(
    get, path = "/api/v1/live/pipeline", tag = "live",
    responses(
        (status = 200, description = "Every part with its state, every hop with its rate and lag", body = Pipeline),
        (status = 400, description = "A parameter is wrong", body = Failure),
    )
)]
async fn pipeline(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Json<Pipeline>, Failure> {
    parameters.end()?;
    Ok(Json(pipeline::look(&sources.live).await))
}

/// The pipeline once a second.
#[utoipa::path(
    get, path = "/api/v1/live/events", tag = "live",
    responses(
        (status = 200, description = "Events: pipeline (Pipeline)", content_type = "text/event-stream", body = String),
        (status = 400, description = "A parameter is wrong", body = Failure),
        (status = 503, description = "Too many are looking", body = Failure),
    )
)]
async fn events(State(sources): State<Arc<Sources>>, parameters: Parameters) -> Result<Response, Failure> {
    parameters.end()?;
    // Held by the stream, which ends with its connection: the listener drops one whose reader stalls.
    let place = sources.live.place(&sources.live.watchers)?;
    let beats =
        stream::unfold((Arc::clone(&sources), place, Instant::now()), async |(sources, place, at)| {
            sleep_until(at).await;
            let event = Event::default().event("pipeline").json_data(pipeline::look(&sources.live).await);
            let next = (at + BEAT).max(Instant::now());
            Some((Ok(event.unwrap_or_default()), (sources, place, next)))
        });
    Ok(sse(&sources.live, beats))
}

/// Every stream of the collector.
#[utoipa::path(
    get, path = "/api/v1/live/streams", tag = "live",
    responses(
        (status = 200, description = "State, rate, latency and last gap of each", body = Streams),
        (status = 400, description = "A parameter is wrong", body = Failure),
    )
)]
async fn streams(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Json<Streams>, Failure> {
    parameters.end()?;
    Ok(Json(sources.live.board.look(&sources.live.collector).await))
}

/// What is stored of each symbol of a market on each day, in both tiers, and what is declared missing.
#[utoipa::path(
    get, path = "/api/v1/live/completeness", tag = "live",
    params(
        ("exchange" = Option<String>, Query, description = "With market_type; the first one collected unless given"),
        ("market_type" = Option<String>, Query, description = "With exchange"),
        ("data_type" = Option<String>, Query, description = "trade unless given"),
        ("days" = Option<u16>, Query, description = "Up to today; 14 unless given", minimum = 1, maximum = 60),
    ),
    responses(
        (status = 200, description = "A cell for each symbol and day", body = Completeness),
        (status = 400, description = "A parameter is wrong", body = Failure),
        (status = 503, description = "No market is named, and the collector does not say which there are", body = Failure),
    )
)]
async fn completeness(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Json<Completeness>, Failure> {
    completeness::look(&sources.live, parameters).await.map(Json)
}

/// How far the cold tier follows the hot one.
#[utoipa::path(
    get, path = "/api/v1/live/replication", tag = "live",
    responses(
        (status = 200, description = "Lag, backlog and watermark of each table", body = Replication),
        (status = 400, description = "A parameter is wrong", body = Failure),
    )
)]
async fn replication(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Json<Replication>, Failure> {
    parameters.end()?;
    Ok(Json(replication::of(&sources.live.cold_storage.look().await)))
}

/// Events until the viewer leaves or the service stops.
fn sse(live: &Live, events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let events = events.take_until(live.stop.clone().cancelled_owned());
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// This service's clock, µs UTC.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
