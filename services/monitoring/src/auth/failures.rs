//! Wrong credentials, counted by address: those that go on guessing are told to wait, longer each time. Nobody is shut out by it: correct
//! credentials pass whatever others at the same address (a proxy, a company's network) tried before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong ones that are answered as such: a person who mistypes, a script that has the old password.
const FREE: u32 = 10;
/// The first wait beyond them; each further one doubles it.
const WAIT_FIRST: Duration = Duration::from_secs(6);
/// A script that is left running needs no more than this.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Without a failure for so long, an address starts afresh.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// The failures of every address. Bounded by [`Failures::forget`] and by the requests that one address may send.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Failing>>);

#[derive(Debug)]
struct Failing {
    count: u32,
    last: Instant,
    /// Until when it was told to wait.
    until: Instant,
}

impl Failures {
    /// One more at this address: how long it has to wait, if at all. While it waits, nothing is counted.
    pub(super) fn another(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.entry(address).or_insert(Failing { count: 0, last: now, until: now });
        if now.saturating_duration_since(one.last) >= FORGOTTEN_AFTER {
            one.count = 0;
        }
        one.last = now;
        if one.until > now {
            return Some(one.until - now);
        }
        one.count = one.count.saturating_add(1);
        let beyond = one.count.checked_sub(FREE + 1)?;
        let wait = WAIT_FIRST.saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX)).min(WAIT_MAX);
        one.until = now + wait;
        Some(wait)
    }

    /// Forgets the addresses that have stopped.
    pub(super) fn forget(&self, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, one| now.saturating_duration_since(one.last) < FORGOTTEN_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_waits_longer_each_time_and_is_forgotten_after_a_while() {
        let (failures, start) = (Failures::default(), Instant::now());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..FREE {
            assert_eq!(failures.another(one, start), None);
        }
        assert_eq!(failures.another(one, start), Some(WAIT_FIRST));
        let within = start + Duration::from_secs(2);
        assert_eq!(failures.another(one, within), Some(WAIT_FIRST - Duration::from_secs(2)));
        assert_eq!(failures.another(other, within), None, "each address for itself");
        let mut now = start;
        for doubled in 1..10 {
            now += WAIT_MAX;
            let expected = WAIT_FIRST.saturating_mul(1 << doubled).min(WAIT_MAX);
            assert_eq!(failures.another(one, now), Some(expected));
        }
        now += FORGOTTEN_AFTER;
        assert_eq!(failures.another(one, now), None);
        failures.forget(now);
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }
}
