//! Hot tier ↔ cold tier ↔ ledger, below the watermark: what was copied is still there, and the same. Rows that the hot tier let
//! go of after they were proved are not missing in it.

use std::collections::{BTreeSet, HashSet};

use marketprism_store::range::{Range, Summary};
use marketprism_store::release::in_effect;

use crate::finding::{Finding, Place, Side, Trouble};
use crate::stream::by_sequence;
use crate::verify::Told;
use crate::{IntegrityError, Pipeline};

/// Compares the ranges of the ledger that lie in `scope`, at one's edges as far as they do.
pub(crate) async fn check(
    pipeline: &Pipeline,
    scope: &Range,
    told: &mut Told<'_>,
) -> Result<(), IntegrityError> {
    for (range, entered) in ledger(pipeline, scope).await? {
        let part = Range {
            from_seq: range.from_seq.max(scope.from_seq),
            to_seq: range.to_seq.min(scope.to_seq),
            ..range
        };
        let (hot, cold) = (pipeline.hot.summary(&part).await?, pipeline.cold.summary(&part).await?);
        let is_as_entered = part != range || cold == entered;
        let is_same = hot == cold && cold.rows == cold.sequences;
        if !(is_same && is_as_entered) {
            let troubles = troubles(pipeline, &part).await?;
            if troubles.is_empty() && !is_as_entered {
                let Range { data_type, stream_epoch, from_seq, to_seq } = range;
                told.tell(Finding {
                    place: Place::Range { data_type, stream_epoch, from_seq, to_seq },
                    trouble: Trouble::Ledger { rows_entered: entered.rows, rows: cold.rows },
                });
            }
            for (sequence, trouble) in troubles {
                told.row(&part, sequence, trouble);
            }
        }
        told.progressed(&part);
    }
    Ok(())
}

/// The entries of the ledger that overlap a range, each once.
pub(crate) async fn ledger(
    pipeline: &Pipeline,
    scope: &Range,
) -> Result<Vec<(Range, Summary)>, IntegrityError> {
    let mut entries = pipeline.cold.ranges(scope.data_type).await?;
    entries.retain(|(range, _)| {
        range.stream_epoch == scope.stream_epoch
            && range.from_seq <= scope.to_seq
            && range.to_seq >= scope.from_seq
    });
    // One whose insert was answered too late, or that was entered anew by a repair, is there twice: the last one counts.
    entries.reverse();
    entries.dedup_by_key(|(range, _)| *range);
    entries.reverse();
    Ok(entries)
}

/// What is wrong with each row.
async fn troubles(pipeline: &Pipeline, range: &Range) -> Result<Vec<(u64, Trouble)>, IntegrityError> {
    let (hot, cold) = (pipeline.hot.fingerprints(range).await?, pipeline.cold.fingerprints(range).await?);
    let (hot, cold) = (by_sequence(&hot), by_sequence(&cold));
    // Read after the rows: a release is logged before anything goes.
    let released = released(pipeline, range).await?;
    let mut troubles = Vec::new();
    for sequence in hot.keys().chain(cold.keys()).copied().collect::<BTreeSet<_>>() {
        let rows =
            |tier: &std::collections::BTreeMap<u64, _>| tier.get(&sequence).copied().unwrap_or_default();
        let (in_hot, in_cold): (&[_], &[_]) = (rows(&hot), rows(&cold));
        for (side, rows) in [(Side::Hot, in_hot), (Side::Cold, in_cold)] {
            if rows.len() > 1 {
                troubles.push((sequence, Trouble::Duplicated { side, copies: rows.len() as u64 }));
            }
        }
        match (in_hot, in_cold) {
            ([], _) if released.contains(&sequence) => {}
            ([], _) => troubles.push((sequence, Trouble::Missing { side: Side::Hot })),
            (_, []) => troubles.push((sequence, Trouble::Missing { side: Side::Cold })),
            ([hot], [cold]) if hot.row != cold.row => {
                troubles.push((sequence, Trouble::Different { one: Side::Hot, other: Side::Cold }));
            }
            _ => {}
        }
    }
    Ok(troubles)
}

/// The sequences of a range, as the cold tier has them, that the hot tier let go of.
pub(crate) async fn released(pipeline: &Pipeline, range: &Range) -> Result<HashSet<u64>, IntegrityError> {
    let log = pipeline.cold.releases(range.data_type, None).await?;
    let in_effect = in_effect(&log);
    let mut released = HashSet::new();
    if in_effect.is_empty() {
        return Ok(released);
    }
    for (day, sequences) in pipeline.cold.sequences_by_day(range).await? {
        let of_day: Vec<_> = in_effect
            .iter()
            .filter(|one| u32::from(one.day) == day && one.rows.range.stream_epoch == range.stream_epoch)
            .map(|one| one.rows.range.from_seq..=one.rows.range.to_seq)
            .collect();
        released.extend(sequences.into_iter().filter(|one| of_day.iter().any(|part| part.contains(one))));
    }
    Ok(released)
}
