//! Whether a day of the hot tier is in the cold tier, by arithmetic on counts and checksums. Pure: nothing is asked here.
//!
//! What the cold tier holds of a day must be what the hot tier holds of it, and what was let go of it before. An entry of
//! the release log is written just before its part is dropped, so the newest one may never have been carried out;
//! then the sum is right without it, and it is taken back.

use marketprism_store::range::Summary;
use marketprism_store::release::{PartRows, Release, in_effect};

/// One stream epoch of a day, as both tiers show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Both {
    pub(crate) epoch: u32,
    pub(crate) hot: Sum,
    pub(crate) cold: Summary,
}

/// Rows and their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) checksum: u64,
}

/// What the comparison says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Every row of the hot tier is in the cold tier.
    Equal,
    /// The same, and the newest entry of the release log was not carried out: these rows are still there.
    NotCarriedOut(Vec<PartRows>),
    /// This epoch differs.
    Differs { epoch: u32, released: Sum },
}

impl Sum {
    /// Of those of `rows` that belong to an epoch.
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a PartRows>, epoch: u32) -> Self {
        rows.into_iter().filter(|part| part.range.stream_epoch == epoch).fold(Self::default(), |sum, part| {
            Self {
                rows: sum.rows.saturating_add(part.rows),
                checksum: sum.checksum.wrapping_add(part.checksum),
            }
        })
    }
}

/// Compares a day. `both` has every epoch of which either tier, or the log, knows rows.
pub(crate) fn compare(both: &[Both], log: &[Release]) -> Proof {
    let entries: Vec<_> = in_effect(log).into_iter().map(|release| &release.rows).collect();
    let differing = |released: &[&PartRows]| {
        let differs = |one: &&Both| {
            let Both { epoch, hot, cold } = **one;
            let gone = Sum::of(released.iter().copied(), epoch);
            cold.rows != cold.sequences
                || cold.rows != hot.rows.saturating_add(gone.rows)
                || cold.checksum != hot.checksum.wrapping_add(gone.checksum)
        };
        both.iter().find(differs).map(|one| one.epoch)
    };
    let Some(epoch) = differing(&entries) else { return Proof::Equal };
    let newest = entries.last().map(|rows| rows.part.as_str()).unwrap_or_default();
    let before = entries.iter().rposition(|rows| rows.part != newest).map_or(0, |at| at + 1);
    let (carried_out, last) = entries.split_at(before);
    if !last.is_empty() && differing(carried_out).is_none() {
        return Proof::NotCarriedOut(last.iter().map(|rows| (*rows).clone()).collect());
    }
    Proof::Differs { epoch, released: Sum::of(entries.iter().copied(), epoch) }
}

#[cfg(test)]
mod tests {
    use marketprism_core::DataType;
    use marketprism_store::range::Range;

    use super::*;

    fn part(name: &str, epoch: u32, rows: u64, checksum: u64) -> PartRows {
        let range = Range { data_type: DataType::Trade, stream_epoch: epoch, from_seq: 1, to_seq: rows };
        PartRows { part: name.to_owned(), range, rows, checksum }
    }

    fn entry(rows: PartRows, kept: bool) -> Release {
        Release { day: 20_000, rows, kept }
    }

    fn both(epoch: u32, hot: (u64, u64), cold: (u64, u64)) -> Both {
        let (rows, checksum) = cold;
        Both {
            epoch,
            hot: Sum { rows: hot.0, checksum: hot.1 },
            cold: Summary { rows, sequences: rows, checksum },
        }
    }

    #[test]
    fn what_is_there_and_what_was_let_go_add_up_to_the_cold_tier() {
        assert_eq!(compare(&[both(1, (5, 50), (5, 50))], &[]), Proof::Equal);
        let log = [entry(part("a", 1, 3, u64::MAX), false)];
        assert_eq!(compare(&[both(1, (5, 50), (8, 49))], &log), Proof::Equal, "sums wrap around");
        for wrong in [(5, 50), (7, 48), (9, 49), (8, 50)] {
            assert!(matches!(compare(&[both(1, (4, 50), wrong)], &log), Proof::Differs { epoch: 1, .. }));
        }
        let mut doubled = both(1, (5, 50), (5, 50));
        doubled.cold.sequences = 4;
        assert!(matches!(compare(&[doubled], &[]), Proof::Differs { .. }), "a row twice in both tiers");
        let second = [both(1, (5, 50), (5, 50)), both(2, (1, 1), (2, 2))];
        assert!(matches!(compare(&second, &[]), Proof::Differs { epoch: 2, .. }));
    }

    #[test]
    fn only_the_newest_entry_may_be_one_that_was_not_carried_out() {
        let [a, b] = [part("a", 1, 3, 30), part("b", 1, 2, 20)];
        let log = [entry(a.clone(), false), entry(b.clone(), false)];
        assert_eq!(compare(&[both(1, (1, 1), (6, 51))], &log), Proof::Equal);
        assert_eq!(compare(&[both(1, (3, 21), (6, 51))], &log), Proof::NotCarriedOut(vec![b.clone()]));
        assert!(
            matches!(compare(&[both(1, (4, 31), (6, 51))], &log), Proof::Differs { .. }),
            "the older one"
        );
        let taken_back = [entry(a, false), entry(b.clone(), false), entry(b, true)];
        assert_eq!(compare(&[both(1, (3, 21), (6, 51))], &taken_back), Proof::Equal);
    }

    #[test]
    fn a_part_of_two_epochs_is_one_entry() {
        let [a1, a2] = [part("a", 1, 3, 30), part("a", 2, 2, 20)];
        let log = [entry(a1.clone(), false), entry(a2.clone(), false)];
        let still = [both(1, (3, 30), (3, 30)), both(2, (2, 20), (2, 20))];
        assert_eq!(compare(&still, &log), Proof::NotCarriedOut(vec![a1, a2]));
        let one_of_them = [both(1, (0, 0), (3, 30)), both(2, (2, 20), (2, 20))];
        assert!(matches!(compare(&one_of_them, &log), Proof::Differs { .. }));
    }
}
