//! One market as it happens, for one viewer: a subscription on plain NATS, conflated, as server-sent events.
//!
//! A task reads the subscription, whether or not the viewer keeps up, so that a slow browser never makes the broker's client
//! drop messages. A viewer who takes nothing for a while is let go with a word; the browser connects again by itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use marketprism_bus::{Bus, BusError, Subscription};
use marketprism_core::{DataType, MarketType, Message, Subject, topology};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::conflation::Pending;
use super::sse;
use crate::envelope::Failure;
use crate::parameters::Parameters;
use crate::sources::Sources;

/// Events that wait for a viewer's socket: one second of them; while they wait, books are conflated further.
const EVENTS_MAX: usize = 16;
/// A viewer who takes nothing for so long is gone or as good as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the first book may be looked for in the stream, and the subscription may take.
const FIRST_BOOK: Duration = Duration::from_secs(2);

/// The order book and the trades of one market, as they happen: events `book`, `trades`, and `dropped` when the viewer was
/// too slow.
#[utoipa::path(
    get, path = "/api/v1/live/market", tag = "live",
    params(
        ("exchange" = String, Query, description = "As in subjects", example = "binance"),
        ("market_type" = String, Query, description = "As in subjects", example = "spot"),
        ("symbol" = String, Query, description = "As in subjects", example = "BTC-USDT"),
    ),
    responses(
        (status = 200, description = "Events: book (Book), trades (Tape), dropped", content_type = "text/event-stream", body = String),
        (status = 400, description = "A parameter is wrong", body = Failure),
        (status = 503, description = "The broker does not answer, or too many are looking", body = Failure),
    )
)]
pub(crate) async fn market(
    State(sources): State<Arc<Sources>>,
    mut parameters: Parameters,
) -> Result<Response, Failure> {
    let live = &sources.live;
    let (exchange, symbol): (String, String) =
        (parameters.required("exchange")?, parameters.required("symbol")?);
    let market_type: MarketType = parameters.required("market_type")?;
    parameters.end()?;
    let subject = |data_type| {
        Subject::new(data_type, &exchange, market_type, &symbol)
            .map_err(|error| Failure::parameter("symbol", &symbol, error))
    };
    let (books, trades) = (subject(DataType::OrderBook)?, subject(DataType::Trade)?);
    let viewer = live.place(&live.viewers)?;
    let bus = live.broker.bus().ok_or_else(|| Failure::unavailable("the broker does not answer"))?;
    let open = async { Ok((View::open(bus, books).await?, View::open(bus, trades).await?)) };
    let opened: Result<Result<_, BusError>, _> = timeout(FIRST_BOOK, open).await;
    let (books, trades) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Err(Failure::unavailable(error.to_string())),
        Err(_) => return Err(Failure::unavailable("the broker does not answer in time")),
    };
    let mut pending = Pending::default();
    if let Ok(Ok(Some(last))) = timeout(
        FIRST_BOOK,
        bus.last_message(topology::stream_of(DataType::OrderBook), books.subject.as_str()),
    )
    .await
    {
        books.take(&last.payload, &mut pending);
    }
    let (events, taken) = mpsc::channel(EVENTS_MAX);
    let mut task = JoinSet::new();
    let interval = live.book_interval;
    task.spawn(async move {
        conflate(books, trades, pending, interval, events).await;
        // Here, and not with the answer: nobody asks a stalled socket's answer for anything any more.
        drop(viewer);
    });
    Ok(sse(live, told(taken, task)))
}

/// One subscription.
struct View {
    subject: Subject,
    messages: Subscription,
}

impl View {
    async fn open(bus: &Bus, subject: Subject) -> Result<Self, BusError> {
        let messages = bus.subscribe(subject.as_str()).await?;
        Ok(Self { subject, messages })
    }

    /// What cannot be read is not shown; hot-storage makes a dead letter of it.
    fn take(&self, payload: &[u8], pending: &mut Pending) {
        match Message::decode(&self.subject, payload) {
            Ok(Message::OrderBook(book)) => pending.book(&book),
            Ok(Message::Trade(trade)) => pending.trade(&trade),
            Ok(_) => {}
            Err(error) => tracing::debug!(subject = %self.subject, %error, "not shown"),
        }
    }
}

/// Reads both subscriptions and tells what is new, at most once an interval; ends when the viewer is gone or too slow.
async fn conflate(
    mut books: View,
    mut trades: View,
    mut pending: Pending,
    book_interval: Duration,
    events: mpsc::Sender<Event>,
) {
    let mut ticks = interval(book_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_taken = Instant::now();
    loop {
        tokio::select! {
            message = books.messages.next() => match message {
                Some(message) => books.take(&message.payload, &mut pending),
                None => return,
            },
            message = trades.messages.next() => match message {
                Some(message) => trades.take(&message.payload, &mut pending),
                None => return,
            },
            () = events.closed() => return,
            _ = ticks.tick() => {
                // Two events a turn at most; without room for both, this turn is left out.
                if events.capacity() >= 2 {
                    last_taken = Instant::now();
                    tell(&mut pending, &events);
                } else if last_taken.elapsed() > PATIENCE {
                    return;
                }
            }
        }
    }
}

fn tell(pending: &mut Pending, events: &mpsc::Sender<Event>) {
    let book = pending.take_book().map(|book| Event::default().event("book").json_data(book));
    let tape = pending.take_tape().map(|tape| Event::default().event("trades").json_data(tape));
    for event in [book, tape].into_iter().flatten().flatten() {
        // There is room; a viewer who left meanwhile is noticed at the next turn.
        drop(events.try_send(event));
    }
}

/// What the viewer is told, and that it is over when the task ended first. Dropped, the task and the subscriptions end.
fn told(
    taken: mpsc::Receiver<Event>,
    task: JoinSet<()>,
) -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some((taken, task)), async |state| {
        let (mut taken, task) = state?;
        match taken.recv().await {
            Some(event) => Some((Ok(event), Some((taken, task)))),
            None => {
                let reason = "let go: nothing was taken for 10 s, or the broker's connection was closed";
                let event = Event::default().event("dropped").json_data(json!({ "reason": reason }));
                Some((Ok(event.unwrap_or_default()), None))
            }
        }
    })
}
