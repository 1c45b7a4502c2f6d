//! What happens to whom and when in a round. Pure: a seed and a number always give the same round.

use std::fmt;
use std::time::Duration;

use marketprism_demo::stack::{COLD_STANDBY, HOT_STANDBY};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The last fault begins within this time after the first.
const SPREAD_MILLIS: u64 = 2_000;
/// How long a killed process stays away and a cut connection cut: both are noticed at once.
const AWAY_MILLIS: (u64, u64) = (100, 4_000);
/// How long a process is frozen and a connection mute: often longer than whoever stands by waits (`run.rs`), so that the
/// frozen one wakes to find its work taken over.
const DEAF_MILLIS: (u64, u64) = (100, 15_000);

/// A process that may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    Collector,
    Broker,
    HotStorage,
    HotStandby,
    ColdStorage,
    ColdStandby,
    HotEngine,
    ColdEngine,
}

/// A connection between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Link {
    CollectorExchange,
    CollectorBroker,
    HotStorageBroker,
    HotStorageEngine,
    ColdStorageBroker,
    ColdStorageHotEngine,
    ColdStorageColdEngine,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// SIGKILL, and started again afterwards.
    Kill(Target),
    /// SIGSTOP, and SIGCONT afterwards.
    Freeze(Target),
    /// All connections are closed and none accepted until afterwards.
    Cut(Link),
    /// Nothing passes and nobody is told, until afterwards.
    Mute(Link),
}

/// One fault of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) deed: Deed,
    /// From the beginning of the round's faults.
    pub(crate) at: Duration,
    /// From then until it is over.
    pub(crate) lasts: Duration,
}

impl Target {
    pub(crate) const ALL: [Self; 8] = [
        Self::Collector,
        Self::Broker,
        Self::HotStorage,
        Self::HotStandby,
        Self::ColdStorage,
        Self::ColdStandby,
        Self::HotEngine,
        Self::ColdEngine,
    ];

    /// Its name in the stack.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Broker => "nats-server",
            Self::HotStorage => "hot-storage",
            Self::HotStandby => HOT_STANDBY,
            Self::ColdStorage => "cold-storage",
            Self::ColdStandby => COLD_STANDBY,
            Self::HotEngine => "clickhouse-hot",
            Self::ColdEngine => "clickhouse-cold",
        }
    }
}

impl Link {
    pub(crate) const ALL: [Self; 7] = [
        Self::CollectorExchange,
        Self::CollectorBroker,
        Self::HotStorageBroker,
        Self::HotStorageEngine,
        Self::ColdStorageBroker,
        Self::ColdStorageHotEngine,
        Self::ColdStorageColdEngine,
    ];

    /// Who connects to whom.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CollectorExchange => "collector → exchange",
            Self::CollectorBroker => "collector → nats-server",
            Self::HotStorageBroker => "hot-storage → nats-server",
            Self::HotStorageEngine => "hot-storage → clickhouse-hot",
            Self::ColdStorageBroker => "cold-storage → nats-server",
            Self::ColdStorageHotEngine => "cold-storage → clickhouse-hot",
            Self::ColdStorageColdEngine => "cold-storage → clickhouse-cold",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(target) => write!(f, "kill {}", target.name()),
            Self::Freeze(target) => write!(f, "freeze {}", target.name()),
            Self::Cut(link) => write!(f, "cut {}", link.name()),
            Self::Mute(link) => write!(f, "mute {}", link.name()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deed, at, lasts } = self;
        write!(f, "{deed} at {:.1} s for {:.1} s", at.as_secs_f64(), lasts.as_secs_f64())
    }
}

/// The faults of round `number`: one, or two that overlap or follow each other closely, by the time they begin.
pub(crate) fn round(seed: u64, number: u64) -> Vec<Fault> {
    let mut dice = Dice::new(seed, number);
    let deed = dice.deed();
    let first = Fault { deed, at: Duration::ZERO, lasts: dice.within(deed.bounds()) };
    let mut faults = vec![first];
    if dice.below(100) < 60 {
        let deed = std::iter::repeat_with(|| dice.deed()).find(|deed| deed.victim() != first.deed.victim());
        if let Some(deed) = deed {
            let at = Duration::from_millis(dice.below(SPREAD_MILLIS));
            faults.push(Fault { deed, at, lasts: dice.within(deed.bounds()) });
        }
    }
    faults
}

impl Deed {
    /// What two faults at a time may not share: a process that is dead cannot be frozen.
    fn victim(self) -> &'static str {
        match self {
            Self::Kill(target) | Self::Freeze(target) => target.name(),
            Self::Cut(link) | Self::Mute(link) => link.name(),
        }
    }

    /// How long it lasts, at least and at most, ms.
    const fn bounds(self) -> (u64, u64) {
        match self {
            Self::Kill(_) | Self::Cut(_) => AWAY_MILLIS,
            Self::Freeze(_) | Self::Mute(_) => DEAF_MILLIS,
        }
    }
}

/// ChaCha's output is fixed by its specification: a seed means the same rounds in every release.
struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64, number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        Self(random)
    }

    /// Evenly below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.below(all.len() as u64);
        all.get(usize::try_from(at).ok()?).copied()
    }

    fn deed(&mut self) -> Deed {
        let target = self.one_of(&Target::ALL).unwrap_or(Target::Collector);
        let link = self.one_of(&Link::ALL).unwrap_or(Link::CollectorExchange);
        match self.below(100) {
            0..60 => Deed::Kill(target),
            60..75 => Deed::Freeze(target),
            75..90 => Deed::Cut(link),
            _ => Deed::Mute(link),
        }
    }

    fn within(&mut self, (shortest, longest): (u64, u64)) -> Duration {
        Duration::from_millis(shortest + self.below(longest - shortest))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_round_is_what_it_was_and_is_bounded(seed: u64, number: u64) {
            let faults = round(seed, number);
            prop_assert_eq!(&faults, &round(seed, number));
            prop_assert!((1..=2).contains(&faults.len()));
            for fault in &faults {
                prop_assert!(fault.at <= Duration::from_millis(SPREAD_MILLIS));
                let (shortest, longest) = fault.deed.bounds();
                let lasts = Duration::from_millis(shortest)..=Duration::from_millis(longest);
                prop_assert!(lasts.contains(&fault.lasts));
            }
            let victims: BTreeSet<_> = faults.iter().map(|fault| fault.deed.victim()).collect();
            prop_assert_eq!(victims.len(), faults.len(), "nobody is hit twice at a time");
        }
    }

    #[test]
    fn a_hundred_rounds_hit_everybody() {
        let faults: Vec<_> = (0..100).flat_map(|number| round(1, number)).collect();
        let victims: BTreeSet<_> = faults.iter().map(|fault| fault.deed.victim()).collect();
        assert_eq!(victims.len(), Target::ALL.len() + Link::ALL.len());
        assert_ne!(round(1, 0), round(2, 0));
        assert!((0..100).any(|number| round(1, number).len() == 2));
    }

    #[test]
    fn a_fault_says_what_it_is() {
        let fault = Fault {
            deed: Deed::Kill(Target::Broker),
            at: Duration::from_millis(1_200),
            lasts: Duration::from_millis(800),
        };
        assert_eq!(fault.to_string(), "kill nats-server at 1.2 s for 0.8 s");
    }
}
