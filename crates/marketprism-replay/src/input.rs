//! Files as one sequence of records: those of a lane one after the other, lanes merged by time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use marketprism_core::Timestamp;
use marketprism_recording::capture::{CaptureReader, companions};
use marketprism_recording::{Cut, ReadError, Reader, Record};

use crate::error::ReplayError;
use crate::options::Format;

/// Files that belong together, in their order: one connection's, or one recording's. `-` is standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane(pub Vec<PathBuf>);

/// What was in the files beside records.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// Where files were cut off.
    pub(crate) cuts: Vec<String>,
    /// Lines that say nothing that happened.
    pub(crate) remarks: u64,
    /// Lines that are none of the format's.
    pub(crate) malformed: u64,
    /// The first of them.
    pub(crate) malformed_first: Option<String>,
}

/// All lanes, merged.
#[derive(Debug)]
pub(crate) struct Input {
    lanes: Vec<OpenLane>,
    remains: Remains,
}

#[derive(Debug)]
struct OpenLane {
    format: Format,
    paths: VecDeque<PathBuf>,
    file: Option<(PathBuf, Source)>,
    head: Option<Record>,
    /// Holds REST bodies only: it has no socket.
    is_companion: bool,
    /// When its last record was.
    last: Option<Timestamp>,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A record of this lane.
    Record(usize, Record),
    /// A lane is over; its last record was at this time.
    LaneEnds(usize, Timestamp),
}

enum Source {
    Recording(Reader<Box<dyn Read + Send>>),
    Capture(CaptureReader),
}

impl Input {
    /// Opens the first file of each lane.
    pub(crate) fn open(lanes: &[Lane], format: Format) -> Result<Self, ReplayError> {
        let mut companion_paths = Vec::new();
        if let Format::Capture(capture) = format {
            let named: Vec<_> = lanes.iter().flat_map(|lane| &lane.0).collect();
            let found = named.iter().flat_map(|path| companions(path, capture));
            companion_paths.extend(found.filter(|path| !named.contains(&path)));
            // Parallel connections share theirs.
            companion_paths.sort();
            companion_paths.dedup();
        }
        let lane = |paths: VecDeque<PathBuf>, is_companion| OpenLane {
            format,
            paths,
            file: None,
            head: None,
            is_companion,
            last: None,
        };
        // Bodies first: where times are equal an instrument list precedes the frames it explains.
        let beside = companion_paths.into_iter().map(|path| lane([path].into(), true));
        let named = lanes.iter().map(|of_it| lane(of_it.0.clone().into(), false));
        let mut input = Self { lanes: beside.chain(named).collect(), remains: Remains::default() };
        for lane in &mut input.lanes {
            lane.advance(&mut input.remains)?;
        }
        Ok(input)
    }

    /// The earliest record, or the end of a lane.
    pub(crate) fn next(&mut self) -> Result<Option<Next>, ReplayError> {
        let ended = self.lanes.iter().position(|lane| lane.head.is_none() && lane.last.is_some());
        if let Some(at) = ended
            && let Some(lane) = self.lanes.get_mut(at)
            && let Some(last) = lane.last.take()
            && !lane.is_companion
        {
            return Ok(Some(Next::LaneEnds(at, last)));
        }
        let time = |(_, lane): &(usize, &OpenLane)| lane.head.as_ref().map(|record| record.at);
        let with_records = self.lanes.iter().enumerate().filter(|(_, lane)| lane.head.is_some());
        let Some(at) = with_records.min_by_key(time).map(|(at, _)| at) else { return Ok(None) };
        let Some(lane) = self.lanes.get_mut(at) else { return Ok(None) };
        let Some(record) = lane.head.take() else { return Ok(None) };
        lane.last = Some(record.at);
        lane.advance(&mut self.remains)?;
        Ok(Some(Next::Record(at, record)))
    }

    /// What else was in the files read so far.
    pub(crate) fn into_remains(mut self) -> Remains {
        for lane in &mut self.lanes {
            lane.close(&mut self.remains);
        }
        self.remains
    }
}

impl OpenLane {
    /// Reads the next record into `head`, over file ends.
    fn advance(&mut self, remains: &mut Remains) -> Result<(), ReplayError> {
        loop {
            let (path, source) = match &mut self.file {
                Some((path, source)) => (path, source),
                None => {
                    let Some(path) = self.paths.pop_front() else { return Ok(()) };
                    let source = Source::open(&path, self.format)
                        .map_err(|source| ReplayError::Read { path: path.clone(), source })?;
                    let (path, source) = self.file.insert((path, source));
                    (path, source)
                }
            };
            self.head = source.next().map_err(|source| ReplayError::Read { path: path.clone(), source })?;
            if self.head.is_some() {
                return Ok(());
            }
            self.close(remains);
        }
    }

    fn close(&mut self, remains: &mut Remains) {
        let Some((path, source)) = self.file.take() else { return };
        let path = path.display();
        if let Some(cut) = source.cut() {
            remains.cuts.push(format!("{path}: {cut}"));
        }
        if let Source::Capture(capture) = source {
            remains.remarks += capture.remarks();
            let (malformed, first) = capture.malformed();
            remains.malformed += malformed;
            if let Some(line) = first {
                remains.malformed_first.get_or_insert_with(|| format!("{path}: line {line}"));
            }
        }
    }
}

impl Source {
    fn open(path: &std::path::Path, format: Format) -> Result<Self, ReadError> {
        let input: Box<dyn Read + Send> =
            if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
        Ok(match format {
            Format::Marketprism => Self::Recording(Reader::new(Box::new(BufReader::new(input)) as Box<_>)?),
            Format::Capture(capture) => Self::Capture(CaptureReader::new(input, path, capture)?),
        })
    }

    fn next(&mut self) -> Result<Option<Record>, ReadError> {
        match self {
            Self::Recording(reader) => reader.next_record(),
            Self::Capture(reader) => reader.next_record(),
        }
    }

    fn cut(&self) -> Option<Cut> {
        match self {
            Self::Recording(reader) => reader.cut(),
            Self::Capture(reader) => reader.cut(),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Recording(_) => "Recording",
            Self::Capture(_) => "Capture",
        })
    }
}
