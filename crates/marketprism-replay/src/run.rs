//! The replay itself: records in, messages out.

use marketprism_recording::{Record, What};

use crate::captured::Captured;
use crate::error::ReplayError;
use crate::input::{Input, Lane, Next};
use crate::options::{Format, ReplayOptions};
use crate::output::{Messages, Output};
use crate::recorded::Recorded;
use crate::summary::Summary;

/// Who plays the records.
enum Stage<'o> {
    Recorded(Recorded<'o>),
    Captured(Box<Captured<'o>>),
}

/// Replays the files of each lane in their order, lanes in parallel: two lanes of captures are two connections for the same
/// streams.
///
/// # Errors
/// When a file cannot be read, `messages` cannot be written, or the files are of no market we know.
pub fn run(
    lanes: &[Lane],
    options: &ReplayOptions,
    messages: &mut dyn Messages,
) -> Result<Summary, ReplayError> {
    let integration = options.integration()?;
    let mut stage = match options.format {
        Format::Marketprism => Stage::Recorded(Recorded::new(options, integration)),
        Format::Capture(_) => {
            let integration = integration.ok_or(ReplayError::NoMarket)?;
            Stage::Captured(Box::new(Captured::new(options, integration)?))
        }
    };
    let mut out = Output::new(messages, options.from);
    let mut input = Input::open(lanes, options.format)?;
    let mut last = None;
    while let Some(next) = input.next()? {
        match next {
            Next::Record(_, record) if options.to.is_some_and(|to| record.at > to) => break,
            Next::Record(lane, record) => {
                last = Some(record.at);
                let (first, _) = out.summary.time.unwrap_or((record.at, record.at));
                out.summary.time = Some((first, record.at));
                stage.play(lane, record, &mut out)?;
            }
            Next::LaneEnds(lane, at) => stage.lane_ends(lane, at, &mut out),
        }
        if let Some(error) = out.error.take() {
            return Err(ReplayError::Write(error));
        }
    }
    if let Some(last) = last {
        match stage {
            Stage::Recorded(recorded) => recorded.end(last, &mut out),
            Stage::Captured(captured) => captured.end(last, &mut out),
        }
    }
    if let Some(error) = out.error.take() {
        return Err(ReplayError::Write(error));
    }
    let remains = input.into_remains();
    let mut summary = out.summary;
    summary.cuts = remains.cuts;
    (summary.remarks, summary.malformed) = (remains.remarks, remains.malformed);
    summary.malformed_first = remains.malformed_first;
    Ok(summary)
}

impl Stage<'_> {
    fn play(&mut self, lane: usize, record: Record, out: &mut Output<'_>) -> Result<(), ReplayError> {
        if let What::Dropped { records } = record.what {
            out.summary.dropped += records;
            return Ok(());
        }
        match self {
            Self::Recorded(recorded) => recorded.play(lane, record, out),
            Self::Captured(captured) => {
                captured.play(lane, record, out);
                Ok(())
            }
        }
    }

    fn lane_ends(&mut self, lane: usize, at: marketprism_core::Timestamp, out: &mut Output<'_>) {
        match self {
            // Its sessions go on until the end: a recording says by itself which sockets were closed.
            Self::Recorded(_) => {}
            Self::Captured(captured) => captured.lane_ends(lane, at, out),
        }
    }
}
