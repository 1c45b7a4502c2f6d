//! Until when an exchange wants to hear nothing of us, and why: shared by everything that would knock at one address.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an exchange is left alone that refuses this address (451, 403): nothing changes within minutes but by an
/// operator's hand, and asking on may turn a refusal into a ban.
const REFUSED_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Pause where the exchange says "too many" and not for how long.
const LIMITED_PAUSE: Duration = Duration::from_secs(10);
/// Pause where the exchange has banned the address and does not say for how long: the shortest ban is two minutes.
const BANNED_PAUSE: Duration = Duration::from_secs(120);
/// The longest pause believed: a ban is three days at most.
const PAUSE_MAX: Duration = Duration::from_secs(3 * 24 * 3600);

/// What an error status means for everything else we would ask at the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 429: we ask too often.
    Limited,
    /// 418: we went on, and are banned.
    Banned,
    /// 451 or 403: not from this address.
    Refused,
}

impl Refusal {
    /// `None` for a status that concerns one request only.
    pub(crate) const fn of_status(status: u16) -> Option<Self> {
        match status {
            429 => Some(Self::Limited),
            418 => Some(Self::Banned),
            451 | 403 => Some(Self::Refused),
            _ => None,
        }
    }

    /// How long to stay away, given what the exchange said of it.
    fn pause(self, retry_after_seconds: Option<u64>) -> Duration {
        let told = retry_after_seconds.map(Duration::from_secs);
        let usual = match self {
            Self::Limited => LIMITED_PAUSE,
            Self::Banned => BANNED_PAUSE,
            Self::Refused => REFUSED_PAUSE,
        };
        told.unwrap_or(usual).min(PAUSE_MAX)
    }
}

/// Open until somebody closes it for a while. Clones are one gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<Option<Closed>>>);

/// Why, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    /// The status that closed it.
    pub(crate) status: u16,
    /// In words, for health and log: what happened and what to do.
    pub(crate) why: String,
    until: Instant,
}

impl Closed {
    /// How long it stays closed.
    pub(crate) fn remaining(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

impl Gate {
    /// Closes the gate where `status` asks for it, and says so in the log. `exchange` is the integration's id.
    pub(crate) fn refused(
        &self,
        exchange: &str,
        status: u16,
        body: &str,
        retry_after_seconds: Option<u64>,
    ) -> Option<Refusal> {
        let refusal = Refusal::of_status(status)?;
        let pause = refusal.pause(retry_after_seconds);
        let pause_seconds = pause.as_secs();
        let why = match refusal {
            Refusal::Limited => {
                format!("{exchange}: the exchange says we ask too often (429); pausing for {pause_seconds} s")
            }
            Refusal::Banned => format!(
                "{exchange}: the exchange has banned this address (418) for {pause_seconds} s: {body}; \
                 look for other programs behind the same address"
            ),
            Refusal::Refused => format!(
                "{exchange} refuses this address (status {status}: {body}); use a proxy (exchanges.{exchange}.proxy) \
                 or set exchanges.{exchange}.enabled: false; tried again in {pause_seconds} s, or when it is enabled anew"
            ),
        };
        match refusal {
            Refusal::Limited => tracing::warn!(exchange, status, pause_seconds, "{why}"),
            Refusal::Banned | Refusal::Refused => {
                tracing::error!(exchange, status, pause_seconds, "{why}");
            }
        }
        self.close(Closed { status, why, until: Instant::now() + pause });
        Some(refusal)
    }

    /// Closes the gate before the exchange has to: so much of its limit's weight is used, and its window turns after
    /// `pause`.
    pub(crate) fn nearly_limited(&self, exchange: &str, (used, of): (u64, u32), pause: Duration) {
        let pause_seconds = pause.as_secs();
        let why = format!(
            "{exchange}: {used} of {of} request weight is used from this address; pausing for {pause_seconds} s"
        );
        tracing::warn!(exchange, used, of, pause_seconds, "{why}");
        self.close(Closed { status: 429, why, until: Instant::now() + pause });
    }

    /// The longer pause holds.
    fn close(&self, closed: Closed) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.until < closed.until) {
            *known = Some(closed);
        }
    }

    /// Opens the gate where the exchange refused this address: whoever asks for that has changed something. Limits and bans
    /// hold: asking into them would make them longer.
    pub(crate) fn forgive_refusal(&self) {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.take_if(|closed| Refusal::of_status(closed.status) == Some(Refusal::Refused));
    }

    /// Why it is closed now; `None` when it is open.
    pub(crate) fn closed(&self) -> Option<Closed> {
        let closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.clone().filter(|closed| closed.until > Instant::now())
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&self) {
        while let Some(closed) = self.closed() {
            tokio::time::sleep_until(closed.until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_is_closed_for_as_long_as_the_exchange_says() {
        let gate = Gate::default();
        gate.opened().await;
        assert_eq!(gate.refused("binance_spot", 500, "", Some(9)), None, "a fault of one request");
        assert!(gate.closed().is_none());
        assert_eq!(gate.refused("binance_spot", 429, "", Some(7)), Some(Refusal::Limited));
        assert_eq!(gate.refused("binance_spot", 429, "", Some(2)), Some(Refusal::Limited));
        assert_eq!(gate.closed().map(|closed| closed.remaining().as_secs()), Some(7), "the longer one holds");
        let closed = Instant::now();
        gate.opened().await;
        assert_eq!(closed.elapsed().as_secs(), 7);
        assert!(gate.closed().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_address_is_told_what_to_do() {
        let gate = Gate::default();
        assert_eq!(gate.refused("binance_spot", 451, "restricted location", None), Some(Refusal::Refused));
        let closed = gate.closed().unwrap();
        assert_eq!(closed.remaining(), REFUSED_PAUSE);
        for word in ["451", "restricted location", "exchanges.binance_spot.proxy", "enabled: false"] {
            assert!(closed.why.contains(word), "{}", closed.why);
        }
        gate.forgive_refusal();
        assert!(gate.closed().is_none());
        gate.refused("binance_spot", 418, "banned", Some(60));
        gate.forgive_refusal();
        assert!(gate.closed().is_some(), "a ban is no refusal");
    }
}
