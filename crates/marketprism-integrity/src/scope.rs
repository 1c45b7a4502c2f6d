//! What to look at: tables, epochs, and a range of stream sequences or of event time.

use std::str::FromStr;

use marketprism_core::{DataType, Timestamp};

use crate::{IntegrityError, Pipeline};

/// One end of a range, inclusive: a sequence, or a time of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Sequence in the stream.
    Sequence(u64),
    /// Event time.
    Time(Timestamp),
}

/// A range that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Neither a number nor a time.
    #[error("`{0}` is neither a stream sequence nor a time such as 2026-11-21T06:30:00Z")]
    Bound(String),
    /// One end a sequence, the other one a time.
    #[error("--from and --to: one is a sequence and the other a time")]
    Mixed,
    /// It ends before it begins.
    #[error("--to is before --from")]
    Empty,
}

impl FromStr for Bound {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let sequence = text.parse().map(Self::Sequence).ok();
        let time = || text.parse().map(Self::Time).ok();
        sequence.or_else(time).ok_or_else(|| ScopeError::Bound(text.to_owned()))
    }
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Whose tables.
    pub data_types: Vec<DataType>,
    /// One epoch, or all.
    pub epoch: Option<u32>,
    from: Option<Bound>,
    to: Option<Bound>,
}

impl Scope {
    /// A scope of these tables, all where none is named.
    ///
    /// # Errors
    /// When the range cannot be.
    pub fn new(
        data_types: Vec<DataType>,
        epoch: Option<u32>,
        from: Option<Bound>,
        to: Option<Bound>,
    ) -> Result<Self, ScopeError> {
        match (from, to) {
            (Some(Bound::Sequence(from)), Some(Bound::Sequence(to))) if to < from => Err(ScopeError::Empty),
            (Some(Bound::Time(from)), Some(Bound::Time(to))) if to < from => Err(ScopeError::Empty),
            (Some(Bound::Sequence(_)), Some(Bound::Time(_)))
            | (Some(Bound::Time(_)), Some(Bound::Sequence(_))) => Err(ScopeError::Mixed),
            _ => {
                let data_types = if data_types.is_empty() { DataType::ALL.to_vec() } else { data_types };
                Ok(Self { data_types, epoch, from, to })
            }
        }
    }

    /// The times of the range, µs since 1970, the end excluded; `None` for one of sequences, or of everything.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let time = |bound: Option<Bound>| match bound {
            Some(Bound::Time(time)) => Some(time.as_micros()),
            Some(Bound::Sequence(_)) | None => None,
        };
        let (from, to) = (time(self.from), time(self.to));
        if from.is_none() && to.is_none() {
            return None;
        }
        // Far enough for any stored time, and far enough from what the tables can tell to be calculated with.
        let last = 7_258_118_400_000_000;
        Some((from.unwrap_or(Timestamp::DAY_MICROS), to.map_or(last, |to| to.saturating_add(1))))
    }

    /// The sequences of a table and epoch that are in the range, inclusive.
    pub(crate) async fn sequences(
        &self,
        pipeline: &Pipeline,
        data_type: DataType,
        epoch: u32,
    ) -> Result<(u64, u64), IntegrityError> {
        if let Some((from, to)) = self.times() {
            let hot = pipeline.hot.sequences_of_time(data_type, epoch, from, to).await?;
            let cold = pipeline.cold.sequences_of_time(data_type, epoch, from, to).await?;
            // A tier without rows around that time knows no bounds.
            let from = match (hot.0, cold.0) {
                (1, known) | (known, 1) => known,
                (hot, cold) => hot.min(cold),
            };
            let to = match (hot.1, cold.1) {
                (u64::MAX, known) | (known, u64::MAX) => known,
                (hot, cold) => hot.max(cold),
            };
            return Ok((from, to));
        }
        let sequence = |bound: Option<Bound>| match bound {
            Some(Bound::Sequence(sequence)) => Some(sequence),
            Some(Bound::Time(_)) | None => None,
        };
        Ok((sequence(self.from).unwrap_or(1), sequence(self.to).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_sequences_or_of_times() {
        let bound = |text: &str| Some(text.parse::<Bound>().unwrap());
        let scope = |from, to| Scope::new(Vec::new(), None, from, to);
        assert_eq!(scope(bound("7"), None).unwrap().data_types, DataType::ALL);
        assert_eq!(scope(bound("7"), bound("6")), Err(ScopeError::Empty));
        assert_eq!(scope(bound("7"), bound("2026-11-21T06:30:00Z")), Err(ScopeError::Mixed));
        let times = scope(bound("2026-11-21T06:30:00Z"), bound("2026-11-21T06:30:00Z")).unwrap();
        assert_eq!(times.times(), Some((1_795_242_600_000_000, 1_795_242_600_000_001)));
        assert!("yesterday".parse::<Bound>().unwrap_err().to_string().contains("yesterday"));
    }
}
