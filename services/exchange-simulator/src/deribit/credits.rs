//! Deribit's rate limits: each call costs credits of a pool that refills steadily. Pure: the caller brings the time.

use tokio::time::Instant;

use super::rpc::{Method, Query};

/// One pool: at most `max` credits, `refill_per_second` coming back.
#[derive(Debug)]
struct Pool {
    max: u64,
    refill_per_second: u64,
    /// In thousandths, so that whole milliseconds refill without rounding.
    millicredits: u64,
    refilled_at: Instant,
}

impl Pool {
    fn full(max: u64, refill_per_second: u64, now: Instant) -> Self {
        Self { max, refill_per_second, millicredits: max * 1000, refilled_at: now }
    }

    fn spend(&mut self, cost: u64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled_at);
        let refill = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if refill > 0 {
            let credits = self.millicredits.saturating_add(refill.saturating_mul(self.refill_per_second));
            self.millicredits = credits.min(self.max * 1000);
            self.refilled_at = now;
        }
        match self.millicredits.checked_sub(cost * 1000) {
            Some(left) => {
                self.millicredits = left;
                true
            }
            None => false,
        }
    }
}

/// The pools of one socket, or of REST.
#[derive(Debug)]
pub(crate) struct Credits {
    usual: Pool,
    subscribe: Pool,
    get_instruments: Pool,
}

impl Credits {
    /// Of a socket: `get_instruments` once in 10 s there, 5 at once.
    pub(crate) fn of_socket(now: Instant) -> Self {
        Self { get_instruments: Pool::full(50_000, 1_000, now), ..Self::of_rest(now) }
    }

    /// Of REST.
    pub(crate) fn of_rest(now: Instant) -> Self {
        Self {
            usual: Pool::full(50_000, 10_000, now),
            subscribe: Pool::full(30_000, 10_000, now),
            get_instruments: Pool::full(500_000, 10_000, now),
        }
    }

    /// Pays for a call; false when the pool does not hold enough, which ends the session.
    pub(crate) fn spend(&mut self, method: Method, now: Instant) -> bool {
        if method == Method::Subscribe {
            self.subscribe.spend(3_000, now)
        } else if method == Method::Query(Query::GetInstruments) {
            self.get_instruments.spend(10_000, now)
        } else {
            self.usual.spend(500, now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Credits, Method, Query};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn bursts_and_refills_are_the_exchanges() {
        let start = Instant::now();
        let mut credits = Credits::of_socket(start);
        for (method, burst, refill) in [
            (Method::Subscribe, 10, Duration::from_millis(300)),
            (Method::Query(Query::GetInstruments), 5, Duration::from_secs(10)),
            (Method::Query(Query::Test), 100, Duration::from_millis(50)),
        ] {
            for call in 0..burst {
                assert!(credits.spend(method, start), "{method:?} {call}");
            }
            assert!(!credits.spend(method, start), "{method:?} after its burst");
            assert!(!credits.spend(method, start + refill - Duration::from_millis(1)), "{method:?}");
            assert!(credits.spend(method, start + refill), "{method:?}");
            assert!(!credits.spend(method, start + refill), "{method:?}");
        }
    }
}
