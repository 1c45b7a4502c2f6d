//! What every request passes first: its credentials, and how often it may come. Whose page sent it was looked at before (`server.rs`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;

use super::config::AuthConfig;
use super::credentials::{Credentials, Verdict};
use super::failures::Failures;
use crate::envelope::{ErrorCode, Failure, RETRY_AFTER_SECONDS};
use crate::metrics::GuardMetrics;

/// Answered to everybody, as often as they ask: probes.
const PUBLIC: [&str; 2] = ["/health", "/ready"];
/// Answered without credentials, because it is where they are brought.
pub(super) const LOGIN: &str = "/login";
/// How often the addresses are forgotten that have stopped asking. It looks at all of them, so never at every request.
const FORGETTING: Duration = Duration::from_secs(1);

/// The rules of a listener.
pub(crate) struct Guard {
    /// `None`: everybody may ask.
    pub(super) credentials: Option<Credentials>,
    /// Of those who brought correct credentials, or need none.
    known: DefaultKeyedRateLimiter<IpAddr>,
    /// Of those who did not, so that they use up nothing of an operator at the same address.
    unknown: DefaultKeyedRateLimiter<IpAddr>,
    failures: Failures,
    forgotten: Mutex<Instant>,
    metrics: GuardMetrics,
}

impl Guard {
    pub(crate) fn new(config: AuthConfig) -> Arc<Self> {
        GuardMetrics::describe();
        let quota = Quota::per_minute(config.requests_per_minute_max);
        Arc::new(Self {
            known: RateLimiter::keyed(quota),
            unknown: RateLimiter::keyed(quota),
            failures: Failures::default(),
            forgotten: Mutex::new(Instant::now()),
            credentials: config.is_on().then(|| Credentials::new(config)),
            metrics: GuardMetrics::default(),
        })
    }

    /// Somebody at this address brought wrong credentials.
    pub(super) fn refuse(&self, peer: SocketAddr) -> Failure {
        self.metrics.requests_unauthorized_total.increment(1);
        tracing::warn!(peer = %peer.ip(), "wrong credentials");
        match self.failures.another(address(peer), Instant::now()) {
            None => Failure::new(ErrorCode::Unauthorized, "wrong credentials"),
            Some(wait) => self.limited("too many wrong credentials", wait),
        }
    }

    fn admits(&self, peer: SocketAddr, limiter: &DefaultKeyedRateLimiter<IpAddr>) -> Result<(), Failure> {
        self.forget(Instant::now());
        limiter.check_key(&address(peer)).map_err(|until| {
            self.limited("too many requests", until.wait_time_from(DefaultClock::default().now()))
        })
    }

    fn limited(&self, what: &str, wait: Duration) -> Failure {
        self.metrics.requests_limited_total.increment(1);
        let wait = wait.as_secs().saturating_add(1);
        let failure = Failure::new(ErrorCode::TooManyRequests, format!("{what}: wait {wait} s"));
        failure.with(RETRY_AFTER_SECONDS, wait.to_string())
    }

    fn forget(&self, now: Instant) {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(*forgotten) < FORGETTING {
            return;
        }
        *forgotten = now;
        drop(forgotten);
        self.known.retain_recent();
        self.unknown.retain_recent();
        self.failures.forget(now);
    }

    /// Credentials are judged first, so that correct ones pass whatever others at the same address did.
    fn passes(&self, peer: SocketAddr, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(credentials) = &self.credentials else { return self.admits(peer, &self.known) };
        let verdict = credentials.judge(headers, now_seconds());
        if verdict == Verdict::Right {
            return self.admits(peer, &self.known);
        }
        self.admits(peer, &self.unknown)?;
        match verdict {
            // Judged by its handler: it brings its credentials in the body.
            _ if path == LOGIN => Ok(()),
            Verdict::Wrong => Err(self.refuse(peer)),
            Verdict::Right | Verdict::Absent => {
                let ways = "X-API-Key, HTTP Basic, or a Bearer token of POST /login";
                Err(Failure::new(ErrorCode::Unauthorized, format!("credentials are needed: {ways}")))
            }
        }
    }
}

/// Passes the request on, or answers why not.
pub(crate) async fn guard(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if !PUBLIC.contains(&path)
        && let Err(failure) = guard.passes(peer, path, request.headers())
    {
        return failure.into_response();
    }
    next.run(request).await
}

/// Who has one address of IPv6 has all of its /64.
fn address(peer: SocketAddr) -> IpAddr {
    match peer.ip() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

pub(super) fn now_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}
