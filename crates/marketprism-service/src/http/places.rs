//! How many clients may be connected: in all, and of one address. Where there is no place, the connection makes room that has been idle the
//! longest, so that half requests and forgotten connections keep nobody out; where none is idle, the new one is refused.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use super::metrics::{Limit, Meter};
use super::standing::Standing;

/// The places of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connections_max: usize,
    per_address_max: usize,
    meter: Meter,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// Bounded by `connections_max`.
    taken: BTreeMap<u64, Holder>,
    /// How many of them each address has; no entry is zero.
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Holder {
    network: IpAddr,
    standing: Arc<Standing>,
    displaced: CancellationToken,
}

/// What a new connection gets.
#[derive(Debug)]
pub(super) enum Taken {
    /// A free place.
    Free(Place),
    /// The place of another one, which is told to go.
    Displacing(Place),
    /// None.
    Refused,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
    pub(super) peer: SocketAddr,
    pub(super) standing: Arc<Standing>,
    /// Cancelled when the connection has to make room.
    pub(super) displaced: CancellationToken,
}

impl Places {
    pub(super) fn new(limits: &Limits, meter: Meter) -> Self {
        Self(Arc::new(Shared {
            connections_max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            meter,
            table: Mutex::default(),
        }))
    }

    /// A place for a connection from `peer`. What is refused or displaced is counted and logged.
    pub(super) fn take(&self, peer: SocketAddr) -> Taken {
        let network = network(peer.ip());
        let mut table = self.lock();
        let of_address = table.by_address.get(&network).copied().unwrap_or_default();
        let full = if of_address >= self.0.per_address_max {
            Some((Some(network), Limit::Address))
        } else if table.taken.len() >= self.0.connections_max {
            Some((None, Limit::Connections))
        } else {
            None
        };
        let mut displaced_peer = None;
        if let Some((among, limit)) = full {
            displaced_peer = table.make_room(among);
            if displaced_peer.is_none() {
                drop(table);
                self.0.meter.closed(limit, peer.ip());
                return Taken::Refused;
            }
        }
        let (standing, displaced) = (Arc::new(Standing::new()), CancellationToken::new());
        let number = table.next;
        table.next += 1;
        let holder = Holder { network, standing: Arc::clone(&standing), displaced: displaced.clone() };
        table.taken.insert(number, holder);
        *table.by_address.entry(network).or_default() += 1;
        drop(table);
        let place = Place { places: self.clone(), number, peer, standing, displaced };
        let Some(gone) = displaced_peer else { return Taken::Free(place) };
        self.0.meter.closed(Limit::Displaced, gone);
        Taken::Displacing(place)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes the place of the connection that has been idle the longest, among those of an address or among all.
    fn make_room(&mut self, among: Option<IpAddr>) -> Option<IpAddr> {
        let candidates =
            self.taken.iter().filter(|(_, one)| among.is_none_or(|network| one.network == network));
        let idle = candidates.filter_map(|(number, one)| Some((one.standing.idle_since()?, *number)));
        let (_, number) = idle.min()?;
        let holder = self.remove(number)?;
        holder.displaced.cancel();
        Some(holder.network)
    }

    fn remove(&mut self, number: u64) -> Option<Holder> {
        let holder = self.taken.remove(&number)?;
        if let Some(count) = self.by_address.get_mut(&holder.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&holder.network);
            }
        }
        Some(holder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that made room has no entry any more.
        self.places.lock().remove(self.number);
    }
}

/// What one client has: an IPv4 address, or all of an IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let limits = Limits { connections_max: 3, connections_per_address_max: 2, ..Limits::STANDARD };
        Places::new(&limits, Meter::new("test"))
    }

    fn take(places: &Places, peer: &str) -> Option<Place> {
        match places.take(SocketAddr::new(peer.parse().unwrap(), 1)) {
            Taken::Free(place) | Taken::Displacing(place) => Some(place),
            Taken::Refused => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_idlest_makes_room_and_the_busy_keep_their_places() {
        let places = places();
        let first = take(&places, "10.0.0.1").unwrap();
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        let second = take(&places, "10.0.0.1").unwrap();
        let other = take(&places, "10.0.0.2").unwrap();
        first.standing.begin();
        // The address has its two places: its own idle one goes, not that of another.
        let third = take(&places, "10.0.0.1").unwrap();
        assert!(second.displaced.is_cancelled());
        assert!(!first.displaced.is_cancelled() && !other.displaced.is_cancelled());
        third.standing.begin();
        assert!(take(&places, "10.0.0.1").is_none(), "both are busy");
        // All three places are taken: the only idle one goes.
        let fourth = take(&places, "10.0.0.3").unwrap();
        assert!(other.displaced.is_cancelled());
        first.standing.end();
        drop((first, second, other));
        assert_eq!(places.lock().taken.len(), 2, "a displaced one gives nothing back twice");
        drop((third, fourth));
        assert!(places.lock().taken.is_empty() && places.lock().by_address.is_empty());
    }

    #[tokio::test]
    async fn an_ipv6_network_is_one_address() {
        let places = places();
        let held = ["2001:db8::1", "2001:db8::2"].map(|peer| take(&places, peer).unwrap());
        held.iter().for_each(|place| place.standing.begin());
        assert!(take(&places, "2001:db8::3").is_none());
        assert!(take(&places, "::ffff:10.0.0.1").is_some());
    }
}
