//! What every request passes first: how often it may come, whose page sent it, and its credentials.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;

use super::config::AuthConfig;
use super::credentials::{Credentials, Verdict};
use crate::envelope::{ErrorCode, Failure, RETRY_AFTER_SECONDS};
use crate::metrics::GuardMetrics;

/// Answered to everybody, as often as they ask: probes.
const PUBLIC: [&str; 2] = ["/health", "/ready"];
/// Answered without credentials, because it is where they are brought.
pub(super) const LOGIN: &str = "/login";
/// Wrong credentials from one address; beyond it nothing it sends is looked at until the next one is due.
const FAILURES_PER_MINUTE_MAX: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Addresses remembered at once; beyond it those are forgotten that have not asked for a minute.
const ADDRESSES_MAX: usize = 10_000;

/// The rules of a listener.
pub(crate) struct Guard {
    /// `None`: everybody may ask.
    pub(super) credentials: Option<Credentials>,
    requests: DefaultKeyedRateLimiter<IpAddr>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    /// Who has failed too often, until when.
    shut_out: Mutex<HashMap<IpAddr, Instant>>,
    metrics: GuardMetrics,
}

impl Guard {
    pub(crate) fn new(config: AuthConfig) -> Arc<Self> {
        GuardMetrics::describe();
        Arc::new(Self {
            requests: RateLimiter::keyed(Quota::per_minute(config.requests_per_minute_max)),
            failures: RateLimiter::keyed(Quota::per_minute(FAILURES_PER_MINUTE_MAX)),
            shut_out: Mutex::default(),
            credentials: config.is_on().then(|| Credentials::new(config)),
            metrics: GuardMetrics::default(),
        })
    }

    /// Somebody at this address brought wrong credentials.
    pub(super) fn refuse(&self, peer: SocketAddr) -> Failure {
        self.metrics.requests_unauthorized_total.increment(1);
        tracing::warn!(peer = %peer.ip(), "wrong credentials");
        let address = address(peer);
        if let Err(until) = self.failures.check_key(&address) {
            let until = Instant::now() + until.wait_time_from(DefaultClock::default().now());
            self.shut_out().insert(address, until);
        }
        Failure::new(ErrorCode::Unauthorized, "wrong credentials")
    }

    fn admits(&self, peer: SocketAddr) -> Result<(), Failure> {
        let address = address(peer);
        if self.requests.len() > ADDRESSES_MAX {
            self.requests.retain_recent();
            self.failures.retain_recent();
            self.shut_out().retain(|_, until| *until > Instant::now());
        }
        let shut_out =
            self.shut_out().get(&address).map(|until| until.saturating_duration_since(Instant::now()));
        let wait = match shut_out.filter(|wait| !wait.is_zero()) {
            Some(wait) => wait,
            None => match self.requests.check_key(&address) {
                Ok(()) => return Ok(()),
                Err(until) => until.wait_time_from(DefaultClock::default().now()),
            },
        };
        self.metrics.requests_limited_total.increment(1);
        let wait = wait.as_secs().saturating_add(1);
        let failure = Failure::new(ErrorCode::TooManyRequests, format!("too many requests: wait {wait} s"));
        Err(failure.with(RETRY_AFTER_SECONDS, wait.to_string()))
    }

    fn shut_out(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page can have its own name resolve to the loopback, and is then of one origin with us: without credentials we answer to no
    /// name but `localhost`, and to addresses.
    fn is_here(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(host) = host(headers).filter(|_| self.credentials.is_none()) else { return Ok(()) };
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if is_address || host.eq_ignore_ascii_case("localhost") {
            return Ok(());
        }
        let message =
            format!("`{host}` is not answered to without credentials: set auth.password or auth.api_key");
        Err(Failure::new(ErrorCode::Forbidden, message))
    }

    fn knows(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        match credentials.judge(headers, now_seconds()) {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(self.refuse(peer)),
            Verdict::Absent => {
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
    if !PUBLIC.contains(&path) {
        let passed = guard
            .admits(peer)
            .and_then(|()| own_page(request.headers()))
            .and_then(|()| guard.is_here(request.headers()))
            .and_then(|()| if path == LOGIN { Ok(()) } else { guard.knows(peer, request.headers()) });
        if let Err(failure) = passed {
            return failure.into_response();
        }
    }
    next.run(request).await
}

/// A browser says which page asks. Another's must not read ours with the credentials, or from the loopback, of whoever looks at it.
fn own_page(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return Ok(()) };
    let page = origin.split_once("://").map(|(_, host)| host);
    if page.is_some() && page == text(HOST) {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::Forbidden, format!("the page of {origin} may not ask")))
}

/// The host that a request is for, without its port.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => Some(name),
        _ => Some(host),
    }
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
