//! The generator's dice: seeded, integer only, with the shapes seen in real captures.
//! Level counts: median 13, mean about 20 a diff (BTC-class `depth@100ms`); sizes: heavy-tailed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Level counts of a diff at evenly spaced quantiles.
const LEVEL_COUNTS: [u64; 18] = [1, 2, 4, 5, 6, 7, 9, 10, 12, 13, 15, 18, 21, 25, 30, 38, 54, 105];

/// A reproducible stream of choices. ChaCha's output is fixed by its specification, so a seed means the
/// same market in every release.
#[derive(Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The `stream`th independent stream of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Evenly below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// The same for signed counts of ticks and steps.
    pub(crate) fn below_signed(&mut self, bound: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(bound).unwrap_or(0))).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// How many levels a diff touches.
    pub(crate) fn level_count(&mut self) -> u64 {
        let last = u64::try_from(LEVEL_COUNTS.len()).unwrap_or(1);
        let index = usize::try_from(self.below(last)).unwrap_or(0);
        LEVEL_COUNTS.get(index).copied().unwrap_or(1)
    }

    /// Ticks from the touch: roughly exponential, mean about 25.
    pub(crate) fn distance_ticks(&mut self) -> i64 {
        let halvings = i64::from(self.0.next_u64().trailing_zeros());
        halvings * 17 + self.below_signed(17)
    }

    /// A size around `usual_steps`, at least one step, heavy-tailed.
    pub(crate) fn quantity_steps(&mut self, usual_steps: i64) -> i64 {
        let doublings = self.0.next_u64().trailing_zeros().min(7);
        let steps = (usual_steps << doublings) / 4 * (1 + self.below_signed(200)) / 100;
        steps.max(1) + self.below_signed(10)
    }
}
