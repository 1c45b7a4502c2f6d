//! The HTTP interface: takes requests, lends each a thread, sends what the thread replies.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request as HttpRequest, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::body::{BODY_PIECES_MAX, Piece};
use crate::engine::Engine;
use crate::exception::{Code, Exception};
use crate::execute::{Ended, execute};
use crate::form;
use crate::metrics::StatementMetrics;
use crate::reply::{REPLY_PIECES_MAX, Reply};
use crate::request::{Credentials, Request, credentials, url_pairs};
use crate::response;
use crate::session::Sessions;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) engine: Arc<Engine>,
    pub(crate) sessions: Sessions,
    pub(crate) credentials: Credentials,
    /// One permit per running statement.
    pub(crate) statements: Arc<Semaphore>,
    pub(crate) metrics: StatementMetrics,
}

/// The interface's paths.
pub(crate) fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/ping", get(|| async { "Ok.\n" }))
        .route("/replicas_status", get(|| async { "Ok.\n" }))
        .route("/", any(statement))
        .fallback(|uri: Uri| async move {
            (
                StatusCode::NOT_FOUND,
                format!("There is no handle {}\n\nUse / or /ping for health checks.\n", uri.path()),
            )
        })
        .with_state(front)
}

async fn statement(State(front): State<Arc<Front>>, request: HttpRequest<Body>) -> Response {
    let id = random_letters();
    match begin(&front, request, &id).await {
        Ok(response) => response,
        Err(exception) => {
            front.metrics.failed(exception.code());
            response::exception(&exception, front.engine.version(), &id)
        }
    }
}

async fn begin(front: &Arc<Front>, http: HttpRequest<Body>, id: &str) -> Result<Response, Exception> {
    let (parts, mut body) = http.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST | Method::HEAD) {
        return Ok(StatusCode::NOT_IMPLEMENTED.into_response());
    }
    let mut pairs = url_pairs(parts.uri.query());
    let who = credentials(&parts.headers, &pairs)?;
    if who != front.credentials {
        return Err(Exception::new(
            Code::AuthenticationFailed,
            format_args!(
                "{}: Authentication failed: password is incorrect, or there is no user with such name",
                who.user
            ),
        ));
    }
    if parts.method == Method::GET && parts.uri.query().is_none_or(str::is_empty) {
        return Ok("Ok.\n".into_response());
    }
    if let Some(boundary) = form::boundary(&parts.headers) {
        pairs.extend(form::read(body, boundary).await?);
        body = Body::empty();
    }
    let request = Request::new(&parts.method, &parts.headers, pairs, who.user, id)?;
    run(front, request, body, id).await
}

/// Starts the statement's thread, feeds it the body, and answers when it knows how.
async fn run(front: &Arc<Front>, request: Request, body: Body, id: &str) -> Result<Response, Exception> {
    let permit = Arc::clone(&front.statements).try_acquire_owned().map_err(|_| {
        Exception::new(
            Code::TooManySimultaneousQueries,
            "Too many simultaneous queries: statements_max of the configuration is reached",
        )
    })?;
    let (head_sender, mut head) = oneshot::channel();
    let (piece_sender, pieces) = mpsc::channel(REPLY_PIECES_MAX);
    let (body_sender, body_pieces) = mpsc::channel(BODY_PIECES_MAX);
    let tag = random_letters();
    let reply = Reply::new(
        head_sender,
        piece_sender,
        request.encoding,
        tag.clone(),
        front.engine.version().to_owned(),
    );
    let encoding = request.encoding;
    let query_id = request.query_id.clone();
    let cancel = Cancel { front: Arc::clone(front), id: id.to_owned(), ended: Arc::default() };
    spawn(Arc::clone(front), request, id.to_owned(), body_pieces, reply, permit, Arc::clone(&cancel.ended))?;

    let known = {
        let feed = feed(body, body_sender);
        tokio::pin!(feed);
        tokio::select! {
            biased;
            known = &mut head => {
                // A refused insert: the client may be writing still, and hears the reason only when it has ended.
                if matches!(known, Ok(Err(_))) {
                    drop(tokio::time::timeout(LATE_BODY, feed).await);
                }
                known
            }
            () = &mut feed => head.await,
        }
    };
    match known {
        Ok(Ok(known)) => {
            Ok(response::rows(&known, encoding, &tag, &query_id, &front.engine, stream(pieces, cancel)))
        }
        Ok(Err(exception)) => Err(exception),
        Err(_) => Err(Exception::new(Code::UnknownException, "The statement's thread died")),
    }
}

/// How long the rest of a refused body is read (and thrown away) before the reason is sent.
const LATE_BODY: Duration = Duration::from_secs(5);

/// Hands the body over. What cannot be delivered because the statement has ended is read and thrown away.
async fn feed(mut body: Body, pieces: mpsc::Sender<Piece>) {
    let mut taken = true;
    while let Some(frame) = body.frame().await {
        // Without its end the thread knows the body as cut off.
        let Ok(frame) = frame else { return };
        if let Ok(data) = frame.into_data()
            && taken
        {
            taken = pieces.send(Piece::Data(data)).await.is_ok();
        }
    }
    drop(pieces.send(Piece::End).await);
}

/// The engine parses deep expressions on the calling thread; it checks its own depth against 8 MiB.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn spawn(
    front: Arc<Front>,
    request: Request,
    id: String,
    body: mpsc::Receiver<Piece>,
    reply: Reply,
    permit: OwnedSemaphorePermit,
    ended: Arc<AtomicBool>,
) -> Result<(), Exception> {
    let run = move || {
        let begun = Instant::now();
        front.metrics.begun();
        let how = execute(&front.engine, &front.sessions, &request, &id, body, reply);
        ended.store(true, Ordering::Release);
        front.metrics.ended(how, begun.elapsed());
        if let Ended::Failed { code } = how {
            tracing::debug!(query_id = request.query_id, code, "statement failed");
        }
        drop(permit);
    };
    std::thread::Builder::new()
        .name("statement".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map(drop)
        .map_err(|error| {
            Exception::new(Code::CannotStartThread, format_args!("Cannot start a thread: {error}"))
        })
}

fn stream(pieces: mpsc::Receiver<io::Result<Bytes>>, cancel: Cancel) -> Body {
    let pieces = futures_util::stream::unfold((pieces, cancel), |(mut pieces, cancel)| async move {
        pieces.recv().await.map(|piece| (piece, (pieces, cancel)))
    });
    Body::from_stream(pieces.fuse())
}

/// Dropped with the request's future or the response's body: if the statement still runs then, the client has gone.
struct Cancel {
    front: Arc<Front>,
    id: String,
    ended: Arc<AtomicBool>,
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        let (front, id, ended) = (Arc::clone(&self.front), self.id.clone(), Arc::clone(&self.ended));
        let kill = move || {
            // The body's end is dropped a moment before its thread has ended.
            std::thread::sleep(Duration::from_millis(20));
            if !ended.load(Ordering::Acquire) {
                tracing::debug!(id, "client gone: cancelling its statement");
                front.engine.kill(Some(&id));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("cancel".to_owned()).spawn(kill) {
            tracing::warn!(%error, "failed to start a thread to cancel a statement");
        }
    }
}

/// Sixteen letters: an id or a tag that no data holds by chance.
fn random_letters() -> String {
    let mut random = rand::rng();
    (0..16).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}
