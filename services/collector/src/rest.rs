//! REST of one exchange, under the budgets of its host: the only place where an exchange's limits are kept.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use marketprism_core::Timestamp;
use marketprism_exchanges::FetchFailed;
use marketprism_exchanges::registry::{Integration, RestLimit};
use marketprism_service::{Context, Report};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;

use crate::clock;
use crate::door::{Address, Doors};
use crate::gate::{Gate, Refusal};
use crate::metrics::{RestMetrics, place};
use crate::proxy::Way;

/// The largest body read: the longest instrument list is about 20 MB.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Requests on the wire at once; more would only queue at the exchange.
const CONCURRENT_MAX: usize = 4;
/// The share of the exchange's limit we use: others may run behind the same address.
const BUDGET_PERCENT: u32 = 50;
/// When the exchange says that so much of its limit is used, by whomever, nothing is asked until its window turns.
const USED_PERCENT_MAX: u64 = 80;
/// A request without an answer after this has none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A request waits so long for a pause to end; before a longer one it fails at once, and its session asks again later.
const PATIENCE: Duration = Duration::from_secs(60);
/// Start of an error body kept for the log.
const ERROR_BODY_CHARS_MAX: usize = 300;

/// What is shared by all markets at one address: an exchange counts by address, not by our configuration, and through another
/// proxy we have another. Bounded by the exchanges and proxies that were ever configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    hosts: Arc<Mutex<BTreeMap<Address, Host>>>,
    /// The same of sockets.
    pub(crate) doors: Doors,
}

#[derive(Debug, Clone)]
struct Host {
    gate: Gate,
    concurrent: Arc<Semaphore>,
    budgets: BTreeMap<&'static str, Arc<Budget>>,
}

/// What may be asked against one of the exchange's limits.
#[derive(Debug)]
struct Budget {
    limiter: DefaultDirectRateLimiter,
    /// The most weight one request may have: a single one above the budget would never be let through.
    weight_max: u32,
}

impl Budget {
    fn new(limit: &RestLimit) -> Self {
        let weight = limit.weight.saturating_mul(BUDGET_PERCENT) / 100;
        let weight = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(limit.per / weight.get()).unwrap_or(Quota::per_second(weight));
        Self { limiter: RateLimiter::direct(quota.allow_burst(weight)), weight_max: weight.get() }
    }
}

/// Makes requests of one exchange. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    exchange: &'static str,
    client: reqwest::Client,
    base: String,
    /// Host and port of the proxy on the way.
    proxy: Option<String>,
    host: Host,
    limits: &'static [RestLimit],
    metrics: RestMetrics,
}

impl Rest {
    /// A host that refused us is asked again: an exchange is begun at the start, or by somebody who changed something.
    pub(crate) fn new(
        hosts: &Hosts,
        base: &str,
        integration: &'static Integration,
        way: &Way,
    ) -> Result<Self, Report> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("marketprism/", env!("CARGO_PKG_VERSION")));
        let client = way.of_http(client)?.build().context("failed to make the HTTP client")?;
        let base = base.trim_end_matches('/').to_owned();
        let proxy = way.proxy_to(&base);
        let mut hosts = hosts.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry((base.clone(), proxy.clone())).or_insert_with(|| Host {
            gate: Gate::default(),
            concurrent: Arc::new(Semaphore::new(CONCURRENT_MAX)),
            budgets: BTreeMap::new(),
        });
        for limit in integration.rest_limits {
            host.budgets.entry(limit.name).or_insert_with(|| Arc::new(Budget::new(limit)));
        }
        host.gate.forgive_refusal();
        Ok(Self {
            exchange: integration.id,
            client,
            proxy,
            base,
            host: host.clone(),
            limits: integration.rest_limits,
            metrics: RestMetrics::new_with_labels(&place(integration)),
        })
    }

    /// Closed while the exchange wants no requests of this address.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.host.gate
    }

    /// Gets a path that weighs so much against one of the exchange's limits, after waiting for budget and for a pause the
    /// exchange has imposed.
    pub(crate) async fn get(&self, path: &str, weight: u32, limit: &str) -> Result<Bytes, FetchFailed> {
        self.wait_for_budget(path, weight, limit).await;
        // The place comes last: nobody waits for a budget or a pause on one that others could use.
        let _place = loop {
            if let Some(closed) = self.host.gate.closed().filter(|closed| closed.remaining() > PATIENCE) {
                return Err(FetchFailed::Status {
                    status: closed.status,
                    retry_after_seconds: Some(closed.remaining().as_secs()),
                    body: closed.why,
                });
            }
            self.host.gate.opened().await;
            // Only fails when closed, which never happens; then the request goes ahead unbounded by it.
            let place = self.host.concurrent.acquire().await.ok();
            if self.host.gate.closed().is_none() {
                break place;
            }
        };
        let answer = self.ask(path).await;
        match &answer {
            Ok(_) => self.metrics.rest_requests_total.increment(1),
            Err(error) => {
                self.metrics.rest_failures_total.increment(1);
                self.obey(error);
            }
        }
        answer
    }

    async fn wait_for_budget(&self, path: &str, weight: u32, limit: &str) {
        if let Some(budget) = self.host.budgets.get(limit) {
            let weight = NonZeroU32::new(weight.clamp(1, budget.weight_max)).unwrap_or(NonZeroU32::MIN);
            if budget.limiter.until_n_ready(weight).await.is_err() {
                tracing::warn!(
                    exchange = self.exchange,
                    path,
                    weight,
                    "request weighs more than the whole budget"
                );
            }
        } else {
            tracing::warn!(
                exchange = self.exchange,
                path,
                limit,
                "request names a limit that the exchange has not"
            );
        }
    }

    async fn ask(&self, path: &str) -> Result<Bytes, FetchFailed> {
        let transport = |error: reqwest::Error| {
            let failed = if error.is_timeout() { FetchFailed::TimedOut } else { FetchFailed::Transport };
            let error = Report::from(error);
            failed(match &self.proxy {
                Some(proxy) => error.context(format_args!("through proxy {proxy}")).to_string(),
                None => error.to_string(),
            })
        };
        let mut answer = self.client.get(format!("{}{path}", self.base)).send().await.map_err(transport)?;
        self.count_used(answer.headers());
        if let Some(skew) = answer.headers().get(DATE).and_then(|date| skew_seconds(date, clock::now())) {
            self.metrics.clock_skew_seconds.set(skew);
        }
        let (status, retry_after_seconds) = (answer.status(), number(answer.headers(), "retry-after"));
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(FetchFailed::Transport(format!("body is longer than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body.freeze());
        }
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (status, &self.proxy) {
            return Err(FetchFailed::Transport(format!("proxy {proxy} refuses our credentials")));
        }
        let body = String::from_utf8_lossy(&body).chars().take(ERROR_BODY_CHARS_MAX).collect();
        Err(FetchFailed::Status { status: status.as_u16(), body, retry_after_seconds })
    }

    /// The exchange's own count includes whoever else asks from this address.
    fn count_used(&self, headers: &HeaderMap) {
        for limit in self.limits {
            let Some(used) = limit.used_header.and_then(|name| number(headers, name)) else { continue };
            self.metrics.rest_used_weight.set(u32::try_from(used).unwrap_or(u32::MAX));
            if used >= u64::from(limit.weight) * USED_PERCENT_MAX / 100 {
                let per_micros = i64::try_from(limit.per.as_micros()).unwrap_or(i64::MAX).max(1);
                // Its windows begin with the minute.
                let rest_micros = per_micros - clock::now().as_micros().rem_euclid(per_micros);
                let pause = Duration::from_micros(rest_micros.unsigned_abs());
                self.host.gate.nearly_limited(self.exchange, (used, limit.weight), pause);
            }
        }
    }

    /// 429, 418, 451 and 403 stop every request to this host for as long as it says: asking on would get the address banned.
    fn obey(&self, error: &FetchFailed) {
        let FetchFailed::Status { status, retry_after_seconds, body } = error else { return };
        match self.host.gate.refused(self.exchange, *status, body, *retry_after_seconds) {
            Some(Refusal::Limited) => self.metrics.rest_limited_total.increment(1),
            Some(Refusal::Banned) => self.metrics.rest_banned_total.increment(1),
            Some(Refusal::Refused) => self.metrics.rest_refused_total.increment(1),
            None => {}
        }
    }
}

/// How far `now` is ahead of a `Date: Sat, 21 Nov 2026 14:46:07 GMT`, in whole seconds: those of the header are cut off.
fn skew_seconds(date: &HeaderValue, now: Timestamp) -> Option<i32> {
    let theirs = jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok()?.timestamp().as_microsecond();
    i32::try_from((now.as_micros() - theirs).div_euclid(1_000_000)).ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use marketprism_exchanges::registry;
    use marketprism_service::Secret;

    use super::*;

    fn rest(hosts: &Hosts, base: &str, id: &str) -> Rest {
        through(&Way::new(None), hosts, base, id)
    }

    fn through(way: &Way, hosts: &Hosts, base: &str, id: &str) -> Rest {
        // A second install in one process is refused and harmless.
        drop(rustls::crypto::ring::default_provider().install_default());
        Rest::new(hosts, base, registry::find(id).unwrap(), way).unwrap()
    }

    #[test]
    fn two_markets_at_one_address_share_what_the_exchange_counts_together() {
        let hosts = Hosts::default();
        let spot = rest(&hosts, "https://x.example", "okx_spot");
        let swap = rest(&hosts, "https://x.example/", "okx_swap");
        let elsewhere = rest(&hosts, "https://y.example", "okx_swap");
        for (name, budget) in &spot.host.budgets {
            let Some(same) = swap.host.budgets.get(name) else { continue };
            assert!(Arc::ptr_eq(budget, same), "{name}");
            assert!(!Arc::ptr_eq(budget, &elsewhere.host.budgets[name]), "{name}");
        }
        spot.gate().refused("okx_spot", 429, "", Some(9));
        assert!(swap.gate().closed().is_some() && elsewhere.gate().closed().is_none());
        // The exchange sees another address of ours.
        let way = Way::new(Some(&Secret::new("http://127.0.0.1:3128")));
        let by_proxy = through(&way, &hosts, "https://x.example", "okx_spot");
        assert!(by_proxy.gate().closed().is_none());
    }

    #[test]
    fn the_clock_is_compared_with_the_date_of_an_answer() {
        let at = |micros: i64| Timestamp::from_micros(1_795_272_367_000_000 + micros).unwrap();
        let skew = |date: &'static str, micros| skew_seconds(&HeaderValue::from_static(date), at(micros));
        let date = "Sat, 21 Nov 2026 14:46:07 GMT";
        assert_eq!([skew(date, 0), skew(date, 999_999)], [Some(0), Some(0)]);
        assert_eq!([skew(date, 3_200_000), skew(date, -2_000_000)], [Some(3), Some(-2)]);
        assert_eq!(skew("yesterday", 0), None);
    }

    #[tokio::test]
    async fn who_waits_for_its_budget_takes_no_place_of_those_who_need_not() {
        let usdm = rest(&Hosts::default(), "https://x.example", "binance_usdm");
        let ratios = &usdm.host.budgets["statistics"];
        let all = NonZeroU32::new(ratios.weight_max).unwrap();
        ratios.limiter.check_n(all).unwrap().unwrap();
        let mut waiting: Vec<_> =
            (0..2 * CONCURRENT_MAX).map(|_| Box::pin(usdm.get("/ratios", 1, "statistics"))).collect();
        for request in &mut waiting {
            assert!(futures_util::poll!(request).is_pending());
        }
        assert_eq!(usdm.host.concurrent.available_permits(), CONCURRENT_MAX);
    }

    #[test]
    fn what_others_have_used_counts() {
        let spot = rest(&Hosts::default(), "https://x.example", "binance_spot");
        let limit = spot.limits.iter().find(|limit| limit.used_header.is_some()).unwrap();
        let used = |percent: u32| {
            let mut headers = HeaderMap::new();
            headers.insert(limit.used_header.unwrap(), (limit.weight * percent / 100).into());
            spot.count_used(&headers);
            spot.gate().closed()
        };
        assert!(used(79).is_none());
        let closed = used(80).unwrap();
        assert!(closed.remaining() <= limit.per && closed.why.contains("4800 of 6000"), "{}", closed.why);
    }
}
