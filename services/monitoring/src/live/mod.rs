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
mod refusal;
mod replication;
mod source;
mod streams;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::{Stream, StreamExt, stream};
use marketprism_service::{CancellationToken, Context, Report, Service};
use marketprism_store::Store;
use tokio::sync::Semaphore;
use tokio::time::sleep_until;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use broker::Broker;
use completeness::{Answers, Completeness};
pub(crate) use config::LiveConfig;
use pipeline::{Pipeline, Tier};
use refusal::Refusal;
use replication::Replication;
use source::Source;
use streams::{Board, Streams};

/// The beat of the page.
const BEAT: Duration = Duration::from_secs(1);
/// A comment in a silent stream, so that proxies keep it and a dead browser is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Whom to ask.
#[derive(Debug)]
struct Live {
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
    viewers: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The routes below `/api/v1/live`; registers the task that connects to the broker. Everybody may be away when it is called.
///
/// # Errors
/// When a client cannot be made of the configuration.
pub(crate) fn routes(config: &Config, service: &Service) -> Result<OpenApiRouter, Report> {
    // Past any proxy: the services are of the same network.
    let http = reqwest::Client::builder().no_proxy().timeout(source::PATIENCE).build();
    let http = http.context("failed to make an HTTP client")?;
    let source = |urls: &config::ServiceUrls| Source::new(http.clone(), urls.clone());
    let broker = Broker::new(config.nats.clone());
    let (keeping, check) = (broker.clone(), service.health().check("nats"));
    service.source("broker", |stop| keeping.keep(check, stop));
    let live = Live {
        collector: source(&config.live.collector),
        hot_storage: source(&config.live.hot_storage),
        cold_storage: source(&config.live.cold_storage),
        broker,
        hot: Tier::new(Store::new(config.hot.clone())?),
        cold: Tier::new(Store::new(config.cold.clone())?),
        board: Board::new(),
        answers: Answers::default(),
        book_interval: config.live.book_interval.get(),
        viewers_max: config.live.viewers_max,
        viewers: Arc::new(Semaphore::new(usize::from(config.live.viewers_max))),
        stop: service.shutdown_token(),
    };
    let router = OpenApiRouter::new()
        .routes(routes!(pipeline))
        .routes(routes!(events))
        .routes(routes!(all_streams))
        .routes(routes!(completeness))
        .routes(routes!(replication))
        .routes(routes!(market::market));
    Ok(router.with_state(Arc::new(live)))
}

/// The pipeline at this moment.
#[utoipa::path(get, path = "/pipeline", tag = "live", responses((status = 200, body = Pipeline)))]
async fn pipeline(State(live): State<Arc<Live>>) -> Json<Pipeline> {
    Json(pipeline::look(&live).await)
}

/// The pipeline once a second, as events `pipeline`.
#[utoipa::path(get, path = "/events", tag = "live", responses(
    (status = 200, description = "Events: pipeline (Pipeline)", content_type = "text/event-stream", body = String),
))]
async fn events(State(live): State<Arc<Live>>) -> Response {
    let beats = stream::unfold((Arc::clone(&live), tokio::time::Instant::now()), async |(live, at)| {
        sleep_until(at).await;
        let event = Event::default().event("pipeline").json_data(pipeline::look(&live).await);
        let next = (at + BEAT).max(tokio::time::Instant::now());
        Some((Ok(event.unwrap_or_default()), (live, next)))
    });
    sse(&live, beats)
}

/// Every stream of the collector.
#[utoipa::path(get, path = "/streams", tag = "live", responses((status = 200, body = Streams)))]
async fn all_streams(State(live): State<Arc<Live>>) -> Json<Streams> {
    Json(live.board.look(&live.collector).await)
}

/// What is stored of each symbol of a market on each day, in both tiers, and what is declared missing.
#[utoipa::path(get, path = "/completeness", tag = "live", params(completeness::Query), responses(
    (status = 200, body = Completeness),
    (status = 400, description = "A parameter that cannot be"),
    (status = 503, description = "Nobody says which markets there are"),
))]
async fn completeness(
    State(live): State<Arc<Live>>,
    Query(query): Query<completeness::Query>,
) -> Result<Json<Completeness>, Refusal> {
    completeness::look(&live, query).await.map(Json)
}

/// How far the cold tier follows the hot one.
#[utoipa::path(get, path = "/replication", tag = "live", responses((status = 200, body = Replication)))]
async fn replication(State(live): State<Arc<Live>>) -> Json<Replication> {
    Json(replication::of(&live.cold_storage.look().await))
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
