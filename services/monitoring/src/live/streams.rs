//! Every stream of the collector, as its page `/status` has them.

use std::collections::BTreeSet;
use std::time::Duration;

use marketprism_core::{DataType, MarketType, Subject};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::cached::Cached;
use super::source::{NodeState, Source};

/// The page is asked for at most this often, however many look.
const LOOK_INTERVAL: Duration = Duration::from_millis(1_500);
/// The most the collector puts on one page.
const STREAMS_MAX: usize = 10_000;

/// Every stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Streams {
    /// When, by this service's clock, µs UTC.
    time_us: i64,
    collector: SourceState,
    /// Streams there are; more than are listed where there are more than 10 000.
    total: u64,
    streams: Vec<StreamLine>,
}

/// Whether whoever knows answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceState {
    /// `healthy` when it answers, else `unreachable`.
    pub(crate) state: NodeState,
    /// How old what is shown is, ms; null when it never answered.
    pub(crate) age_ms: Option<u64>,
    pub(crate) error: Option<String>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StreamLine {
    exchange: String,
    #[schema(value_type = String)]
    market_type: MarketType,
    symbol: String,
    #[schema(value_type = String)]
    data_type: DataType,
    #[serde(flatten)]
    facts: Facts,
}

/// What the collector says of a stream, passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
struct Facts {
    /// `live`, `waiting`, `syncing`, `stale` or `disconnected`; `unknown` while the collector does not answer.
    state: String,
    events: u64,
    /// Over the last ten seconds.
    events_per_minute: Option<u64>,
    last_event_us: Option<i64>,
    /// Since something came, ms.
    age_ms: Option<i64>,
    /// The exchange's clock to our receipt, of the last event, ms.
    latency_ms: Option<i64>,
    gaps: u64,
    last_gap_us: Option<i64>,
    resyncs: u64,
}

/// The collector's page.
#[derive(Debug, Deserialize)]
struct Page {
    streams_total: u64,
    streams: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    /// Where its messages are published; says which stream it is.
    subject: Option<String>,
    #[serde(flatten)]
    facts: Facts,
}

/// What the collector said last.
#[derive(Debug, Clone, Default)]
struct Known {
    at: Option<Instant>,
    total: u64,
    streams: Vec<StreamLine>,
    error: Option<String>,
}

/// The page, however many look at it.
#[derive(Debug)]
pub(crate) struct Board(Cached<Known>);

impl Board {
    pub(crate) const fn new() -> Self {
        Self(Cached::new(LOOK_INTERVAL))
    }

    /// Every stream.
    pub(crate) async fn look(&self, collector: &Source) -> Streams {
        let Known { at, total, streams, error } = self.known(collector).await;
        let age_ms = at.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        let is_away = error.is_some();
        let state = if is_away { NodeState::Unreachable } else { NodeState::Healthy };
        let streams = if is_away { streams.into_iter().map(StreamLine::unknown).collect() } else { streams };
        Streams { time_us: super::now_us(), collector: SourceState { state, age_ms, error }, total, streams }
    }

    /// The exchanges' tokens and markets that are collected.
    pub(crate) async fn markets(&self, collector: &Source) -> BTreeSet<(String, MarketType)> {
        let known = self.known(collector).await;
        known.streams.iter().map(|stream| (stream.exchange.clone(), stream.market_type)).collect()
    }

    async fn known(&self, collector: &Source) -> Known {
        self.0
            .get(async |before| {
                let page: Result<Page, _> = collector.page(&format!("/status?limit={STREAMS_MAX}")).await;
                match page {
                    Ok(page) => Known {
                        at: Some(Instant::now()),
                        total: page.streams_total,
                        streams: page.streams.into_iter().filter_map(line).collect(),
                        error: None,
                    },
                    Err(error) => Known { error: Some(error), ..before.unwrap_or_default() },
                }
            })
            .await
    }
}

impl StreamLine {
    /// What is true of it when nobody says how it is now: what has been.
    fn unknown(self) -> Self {
        let facts = Facts {
            state: "unknown".to_owned(),
            events_per_minute: None,
            age_ms: None,
            latency_ms: None,
            ..self.facts
        };
        Self { facts, ..self }
    }
}

fn line(listed: Listed) -> Option<StreamLine> {
    let subject = Subject::parse(&listed.subject?).ok()?;
    Some(StreamLine {
        exchange: subject.exchange().to_owned(),
        market_type: subject.market_type(),
        symbol: subject.symbol().into_owned(),
        data_type: subject.data_type(),
        facts: listed.facts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_subject_and_one_without_is_left_out() {
        let page: Page = serde_json::from_str(
            r#"{"time_us":1,"streams_total":2,"streams":[
            {"exchange":"okx_swap","subject":"trade.okx.perpetual.A%2EB-USDT","connection":"stream-0","state":"live","events":5,
             "events_per_minute":null,"last_event_us":1,"last_received_us":1,"age_ms":3,"latency_ms":-1,"gaps":0,"last_gap_us":null,"resyncs":0},
            {"exchange":"new","subject":null,"state":"live","events":5,"gaps":0,"resyncs":0}]}"#,
        )
        .unwrap();
        let lines: Vec<_> = page.streams.into_iter().filter_map(line).collect();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((line.exchange.as_str(), line.symbol.as_str()), ("okx", "A.B-USDT"));
        assert_eq!((line.facts.age_ms, line.facts.latency_ms), (Some(3), Some(-1)));
        let unknown = line.clone().unknown();
        assert_eq!((unknown.facts.state.as_str(), unknown.facts.age_ms), ("unknown", None));
        assert_eq!((unknown.facts.events, &unknown.symbol), (5, &line.symbol), "what has been is still true");
    }
}
