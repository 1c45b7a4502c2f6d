//! Reading capture files line by line, plain or gzip, one file after the other. What a line means is the
//! format's business (`hbt.rs`, `cryptofeed.rs`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::vec;

use flate2::read::MultiGzDecoder;

/// The longest line of the known captures is an exchangeInfo body of 2 MB; a longer one is no capture.
const LINE_BYTES_MAX: u64 = 32 << 20;

/// What a line of a capture says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A frame as the exchange sent it: `{"stream":…,"data":…}`.
    Frame { at_ns: i64, text: String },
    /// A REST depth body. `None`: of the symbol the file is about.
    Snapshot { at_ns: i64, instrument_id: Option<String>, body: String },
    /// An exchangeInfo body.
    ExchangeInfo(String),
    /// Nothing of interest.
    Other,
}

/// A line that is none of the format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A file of the capture that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read capture {path}")]
pub struct CaptureError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// The lines of several files in turn.
pub(crate) struct Lines {
    paths: vec::IntoIter<PathBuf>,
    current: Option<(PathBuf, Box<dyn BufRead + Send>)>,
}

impl Lines {
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths: paths.into_iter(), current: None }
    }

    /// The next line and its file, or `None` at the end of the last one.
    pub(crate) fn next(&mut self) -> Result<Option<(String, PathBuf)>, CaptureError> {
        loop {
            let (path, reader) = match &mut self.current {
                Some(current) => (&current.0, &mut current.1),
                None => {
                    let Some(path) = self.paths.next() else { return Ok(None) };
                    let reader = open(&path).map_err(|source| CaptureError { path: path.clone(), source })?;
                    let current = self.current.insert((path, reader));
                    (&current.0, &mut current.1)
                }
            };
            match read_line(reader) {
                Ok(Some(line)) => return Ok(Some((line, path.clone()))),
                Ok(None) => self.current = None,
                Err(source) => return Err(CaptureError { path: path.clone(), source }),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut reader = BufReader::new(File::open(path)?);
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { Box::new(reader) })
}

fn read_line(reader: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.take(LINE_BYTES_MAX).read_line(&mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if u64::try_from(read).unwrap_or(u64::MAX) >= LINE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 32 MiB"));
    }
    line.truncate(line.trim_end().len());
    Ok(Some(line))
}
