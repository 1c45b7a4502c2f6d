//! What every request passes first: how often it may come, whose page sent it, and its credentials.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

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
/// Addresses remembered at once; beyond it those are forgotten that have not asked for a minute.
const ADDRESSES_MAX: usize = 10_000;

/// The rules of both listeners.
pub(crate) struct Guard {
    /// `None`: everybody may ask.
    pub(super) credentials: Option<Credentials>,
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    /// What wrong credentials cost: a tenth of a minute's requests.
    failure_cost: NonZeroU32,
    metrics: GuardMetrics,
}

impl Guard {
    pub(crate) fn new(config: AuthConfig) -> Arc<Self> {
        GuardMetrics::describe();
        let per_minute = config.requests_per_minute_max;
        Arc::new(Self {
            limiter: RateLimiter::keyed(Quota::per_minute(per_minute)),
            failure_cost: NonZeroU32::new(per_minute.get() / 10).unwrap_or(NonZeroU32::MIN),
            credentials: config.is_on().then(|| Credentials::new(config)),
            metrics: GuardMetrics::default(),
        })
    }

    /// Somebody at this address brought wrong credentials.
    pub(super) fn refuse(&self, peer: SocketAddr) -> Failure {
        self.metrics.requests_unauthorized_total.increment(1);
        tracing::warn!(peer = %peer.ip(), "wrong credentials");
        self.charge(address(peer));
        Failure::new(ErrorCode::Unauthorized, "wrong credentials")
    }

    /// Takes what wrong credentials cost, or what is left of it: the limiter gives a number whole or not at all.
    fn charge(&self, address: IpAddr) {
        let mut rest = self.failure_cost.get();
        let mut part = rest;
        while let Some(number) = NonZeroU32::new(part.min(rest)) {
            match self.limiter.check_key_n(&address, number) {
                Ok(Ok(())) => rest -= number.get(),
                _ => part = number.get() / 2,
            }
        }
    }

    fn admits(&self, peer: SocketAddr) -> Result<(), Failure> {
        if self.limiter.len() > ADDRESSES_MAX {
            self.limiter.retain_recent();
        }
        let Err(until) = self.limiter.check_key(&address(peer)) else { return Ok(()) };
        self.metrics.requests_limited_total.increment(1);
        let wait = until.wait_time_from(DefaultClock::default().now()).as_secs().saturating_add(1);
        let failure = Failure::new(ErrorCode::TooManyRequests, format!("too many requests: wait {wait} s"));
        Err(failure.with(RETRY_AFTER_SECONDS, wait.to_string()))
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
