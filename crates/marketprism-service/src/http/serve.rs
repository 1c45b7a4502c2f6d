//! Accepting connections and serving a router on them, within the limits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::body::{AnswerBody, RequestBody};
use super::guard::PageGuard;
use super::limits::Limits;
use super::metrics::{Limit, Meter};
use super::places::{Place, Places, Taken};
use super::socket::Socket;

/// How long nothing is accepted when the process has no descriptors left: time for connections to end.
const PAUSE: Duration = Duration::from_millis(100);
/// How long nothing is accepted after a connection was refused or displaced another. Through 32 places a flood then takes 64 ms, in which
/// everyone else's request has come and is safe.
const PACE: Duration = Duration::from_millis(2);
/// Bytes that the kernel keeps of an answer beyond what it has sent: one write of a large answer. Without it a stalled reader is noticed
/// after megabytes only, which is an hour of a quiet stream.
const UNSENT_BYTES_MAX: u32 = 16 << 10;

/// One listener: its name in metrics and logs, what it grants, and which pages' requests it answers.
#[derive(Debug, Clone)]
pub struct Site {
    listener: &'static str,
    limits: Limits,
    guard: PageGuard,
}

impl Site {
    /// `listener` is the value of the label `listener`: `console`.
    #[must_use]
    pub const fn new(listener: &'static str, limits: Limits, guard: PageGuard) -> Self {
        Self { listener, limits, guard }
    }

    /// Serves `routes` until `stop`; then takes no more requests and returns when those under way are answered. Dropped, it closes every
    /// connection but WebSockets, which belong to their handlers. Handlers find the client's address as
    /// [`ConnectInfo<SocketAddr>`](ConnectInfo).
    pub async fn serve(self, listener: TcpListener, routes: Router, stop: CancellationToken) {
        let meter = Meter::new(self.listener);
        let places = Places::new(&self.limits, meter.clone());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                // Reaped as they end; one that panicked has been logged by the panic's hook.
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let (place, is_full) = match places.take(peer) {
                            Taken::Free(place) => (Some(place), false),
                            Taken::Displacing(place) => (Some(place), true),
                            Taken::Refused => (None, true),
                        };
                        if let Some(place) = place {
                            let open = Open { site: self.clone(), meter: meter.clone(), stop: stop.clone() };
                            connections.spawn(open.serve(stream, place, routes.clone()));
                        }
                        if is_full {
                            tokio::time::sleep(PACE).await;
                        }
                    }
                    Err(error) if is_of_the_connection(&error) => {}
                    Err(error) => {
                        tracing::error!(listener = self.listener, %error, "failed to accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

/// A client that left before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// What a connection needs of its listener.
struct Open {
    site: Site,
    meter: Meter,
    stop: CancellationToken,
}

impl Open {
    async fn serve(self, stream: TcpStream, place: Place, routes: Router) {
        if let Err(error) = prepare(&stream) {
            // The client may be gone already, which the first read says.
            tracing::debug!(%error, "failed to set the options of a connection");
        }
        let (peer, standing, displaced) = (place.peer, place.standing.clone(), place.displaced.clone());
        let Self { site, meter, stop } = self;
        let limits = site.limits;
        let mut http = http1::Builder::new();
        http.max_headers(limits.headers_max);
        // hyper takes no less.
        http.max_buf_size(limits.head_bytes_max.max(8 << 10));
        // Heads are timed by the socket.
        http.header_read_timeout(None);
        let requests = service_fn({
            let (meter, standing) = (meter.clone(), standing.clone());
            move |request: Request<Incoming>| {
                standing.begin();
                let standing = standing.clone();
                let answer = answered(site.clone(), meter.clone(), peer, request, routes.clone());
                async move {
                    let answer = answer.await;
                    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                        // A WebSocket is busy until it ends.
                        return Ok::<_, Infallible>(answer);
                    }
                    Ok(answer.map(|body| Body::new(AnswerBody::new(body, standing))))
                }
            }
        });
        let socket = TokioIo::new(Socket::new(stream, place, &limits, meter.clone()));
        let connection = http.serve_connection(socket, requests).with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = displaced.cancelled() => return,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        match ended {
            Err(error) if error.is_parse_too_large() => meter.closed(Limit::HeadTooLarge, peer.ip()),
            Err(error) => tracing::debug!(%peer, %error, "connection ended"),
            Ok(()) => {}
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Without it small answers wait for the delayed acknowledgement of the other side: p99 of inserts 55 ms instead of 12 ms.
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

/// The answer of the guard, else of the router.
async fn answered(
    site: Site,
    meter: Meter,
    peer: SocketAddr,
    request: Request<Incoming>,
    mut routes: Router,
) -> Response<Body> {
    if let Err(foreign) = site.guard.check(&request) {
        meter.foreign(foreign.header(), peer.ip(), &foreign.to_string());
        return site.guard.refusal(&foreign);
    }
    let mut request = request.map(|body| RequestBody::limited(body, &site.limits, &meter, peer.ip()));
    request.extensions_mut().insert(ConnectInfo(peer));
    match routes.call(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}
