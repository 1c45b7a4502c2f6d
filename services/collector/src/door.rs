//! How many sockets an exchange lets one address open, and how fast: shared by all markets behind one address, like the
//! budgets of REST.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use marketprism_exchanges::registry::{ConnectLimit, Integration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections opened at once after a start, where the exchange's limit allows so many; the rest follow at its pace.
const BURST_MAX: u32 = 10;
/// The share of the exchange's limit of attempts that we use: others may run behind the same address.
const ATTEMPTS_PERCENT: u32 = 50;
/// Places that only successors take: where every other is taken, no socket could be rolled over.
const SUCCESSORS_MAX: usize = 4;

/// A base URL, and through which proxy it is reached.
pub(crate) type Address = (String, Option<String>);

/// Doors by address and pace. Bounded by the exchanges and proxies that were ever configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doors(Arc<Mutex<BTreeMap<(Address, Duration), Door>>>);

/// The way in of one address. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pace: Arc<DefaultDirectRateLimiter>,
    places: Option<Places>,
}

#[derive(Debug, Clone)]
struct Places {
    everyone: Arc<Semaphore>,
    successors: Arc<Semaphore>,
}

/// A place of an open socket, given back when it is dropped; `None` where the exchange does not count them.
pub(crate) type Place = Option<OwnedSemaphorePermit>;

impl Doors {
    /// The door of the exchange at `base`, through this proxy. `attempts_per_minute` overrides what the integration says.
    pub(crate) fn of(
        &self,
        base: &str,
        proxy: Option<String>,
        limit: &ConnectLimit,
        attempts_per_minute: Option<NonZeroU32>,
    ) -> Door {
        let ours = limit.attempts * ATTEMPTS_PERCENT / 100;
        // Spread evenly, but for the burst.
        let (period, burst) = match attempts_per_minute {
            Some(attempts) => (Duration::from_secs(60) / attempts.get(), attempts.get()),
            None => (limit.per * 100 / ATTEMPTS_PERCENT / limit.attempts.max(1), ours),
        };
        let burst = NonZeroU32::new(burst.min(BURST_MAX)).unwrap_or(NonZeroU32::MIN);
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let door = doors.entry(((base.to_owned(), proxy), period)).or_insert_with(|| {
            let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
            let places = limit.open_max.map(|open_max| Places {
                everyone: Arc::new(Semaphore::new(open_max.saturating_sub(SUCCESSORS_MAX).max(1))),
                successors: Arc::new(Semaphore::new(SUCCESSORS_MAX)),
            });
            Door { pace: Arc::new(RateLimiter::direct(quota.allow_burst(burst))), places }
        });
        door.clone()
    }
}

impl Door {
    /// Waits for a place. A successor has more of them to choose from.
    pub(crate) async fn place(&self, is_successor: bool) -> Place {
        let Places { everyone, successors } = self.places.as_ref()?;
        // Only fails when closed, which never happens; then the connection goes ahead without.
        let everyone = everyone.clone().acquire_owned();
        if !is_successor {
            return everyone.await.ok();
        }
        tokio::select! {
            biased;
            place = everyone => place.ok(),
            place = successors.clone().acquire_owned() => place.ok(),
        }
    }

    /// Waits for the next attempt's turn.
    pub(crate) async fn turn(&self) {
        self.pace.until_ready().await;
    }
}

/// More sockets than the exchange allows one address to have, those for successors left out.
pub(crate) fn too_many(integration: &Integration, sockets: usize) -> Option<String> {
    let open_max = integration.connect_limit.open_max?.saturating_sub(SUCCESSORS_MAX);
    let id = integration.id;
    (sockets > open_max).then(|| {
        format!(
            "{id}: {sockets} sockets are more than the {open_max} that one address may have, besides those for \
             successors: the others wait; take fewer symbols or data types, or less redundancy"
        )
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use marketprism_exchanges::registry;

    use super::*;

    fn door(doors: &Doors, id: &str, base: &str) -> Door {
        doors.of(base, None, &registry::find(id).unwrap().connect_limit, None)
    }

    #[test]
    fn no_window_of_the_exchange_sees_more_attempts_than_our_share() {
        for integration in registry::INTEGRATIONS {
            let limit = integration.connect_limit;
            let door = door(&Doors::default(), integration.id, "wss://x.example");
            let at_once = (0..limit.attempts).take_while(|_| door.pace.check().is_ok()).count();
            // So many come by within the window afterwards.
            let most = u32::try_from(at_once).unwrap() + limit.attempts * ATTEMPTS_PERCENT / 100;
            assert!((1..=limit.attempts).contains(&most), "{}: {most}", integration.id);
        }
    }

    #[test]
    fn two_markets_at_one_address_share_their_pace() {
        let doors = Doors::default();
        let spot = door(&doors, "okx_spot", "wss://x.example");
        let swap = door(&doors, "okx_swap", "wss://x.example");
        assert!(spot.pace.check().is_ok() && swap.pace.check().is_err());
        assert!(door(&doors, "okx_swap", "wss://y.example").pace.check().is_ok());
    }

    #[tokio::test]
    async fn a_successor_finds_a_place_where_everyone_else_has_to_wait() {
        let door = door(&Doors::default(), "deribit", "wss://x.example");
        let now = |is_successor| door.place(is_successor).now_or_never();
        let mut taken: Vec<_> = std::iter::from_fn(|| now(false)).take(100).collect();
        assert_eq!(taken.len(), 20);
        let successors: Vec<_> = std::iter::from_fn(|| now(true)).take(100).collect();
        assert_eq!(successors.len(), SUCCESSORS_MAX);
        // The predecessors go, and the next ones are rolled over.
        taken.truncate(20 - SUCCESSORS_MAX);
        assert!(now(true).is_some() && now(false).is_some());
    }

    #[test]
    fn more_sockets_than_places_are_said() {
        let deribit = registry::find("deribit").unwrap();
        assert_eq!(too_many(deribit, 20), None);
        assert!(too_many(deribit, 21).unwrap().contains("21 sockets are more than the 20"));
        assert_eq!(too_many(registry::find("okx_spot").unwrap(), 1_000), None);
    }
}
