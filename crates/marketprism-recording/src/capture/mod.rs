//! Captures made by others: text, one line a frame, plain or gzip.
//!
//! What a line means is the format's business (`hbt.rs`, `cryptofeed.rs`). Frames are passed on as recorded: old stream names
//! (`depth@0ms`, `books-l2-tbt`) are what the exchange called them then, and the session knows them.

mod cryptofeed;
mod hbt;
mod lines;

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use compact_str::CompactString;
use marketprism_core::Timestamp;

use self::lines::Lines;
use crate::error::{Cut, ReadError};
use crate::record::{Record, What};

/// Whose format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// hftbacktest: `<receive time, ns> <frame>`, REST books as bare `{"lastUpdateId":…}`.
    Hbt,
    /// cryptofeed: `<receive time, s>: <frame>`, REST bodies as `<url> -> <time, s>: <body>`.
    Cryptofeed,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Happened(Timestamp, What),
    /// Nothing that happened, such as the recorder's own settings.
    Remark,
}

/// A line that is none of the format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Malformed;

/// The records of a capture, in the order of its lines.
#[derive(Debug)]
pub struct CaptureReader {
    lines: Lines,
    format: Format,
    about: hbt::About,
    remarks: u64,
    malformed: u64,
    malformed_line: Option<u64>,
}

impl CaptureReader {
    /// Reads a capture; `path` is where it is from, for the instrument in its name. Everything it says is about socket 0.
    ///
    /// # Errors
    /// When the input fails.
    pub fn new(input: impl Read + Send + 'static, path: &Path, format: Format) -> Result<Self, ReadError> {
        let (lines, about) = (Lines::new(input)?, hbt::About::of_file(path));
        Ok(Self { lines, format, about, remarks: 0, malformed: 0, malformed_line: None })
    }

    /// The next record; `None` at the end, also where the capture was cut off: see [`Self::cut`].
    ///
    /// # Errors
    /// When the input fails or a line is longer than any line of a capture.
    pub fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        while let Some(line) = self.lines.next()? {
            let parsed = match self.format {
                Format::Hbt => hbt::parse(line, &mut self.about),
                Format::Cryptofeed => cryptofeed::parse(line),
            };
            match parsed {
                Ok(Line::Happened(at, what)) => {
                    let nowhere = CompactString::const_new("");
                    return Ok(Some(Record { at, integration: nowhere.clone(), connection: nowhere, what }));
                }
                Ok(Line::Remark) => self.remarks += 1,
                Err(Malformed) => {
                    self.malformed += 1;
                    self.malformed_line.get_or_insert(self.lines.number());
                }
            }
        }
        Ok(None)
    }

    /// Where the capture was cut off, once its end was reached.
    pub fn cut(&self) -> Option<Cut> {
        self.lines.is_cut().then(|| Cut::Line { line: self.lines.number() })
    }

    /// Lines that say nothing that happened.
    pub fn remarks(&self) -> u64 {
        self.remarks
    }

    /// Lines that are none of the format's, and the first of them, counted from 1.
    pub fn malformed(&self) -> (u64, Option<u64>) {
        (self.malformed, self.malformed_line)
    }
}

/// The files beside a capture that hold its REST bodies, where there are any: cryptofeed writes `X.http.0.0` and `X.0` beside
/// `X.ws.1.0`.
#[must_use]
pub fn companions(path: &Path, format: Format) -> Vec<PathBuf> {
    match format {
        Format::Hbt => Vec::new(),
        Format::Cryptofeed => cryptofeed::companions(path),
    }
}
