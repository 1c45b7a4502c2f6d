//! A capture as a sequence of frames and books, whichever its format and however many its files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::capture::{CaptureError, Entry, Lines, Malformed};
use super::{cryptofeed, frame, hbt};
use crate::binance::product::Product;
use crate::config::{CaptureFormat, ReplayConfig};
use crate::streams::Feed;

/// What happens next in the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happening {
    /// `data` is the frame without its envelope, as recorded.
    Frame { instrument_id: String, feed: Feed, data: String },
    /// A REST book arrived.
    Snapshot { instrument_id: String, body: String },
    /// A REST exchangeInfo arrived.
    ExchangeInfo(String),
    /// A line that is none of the format's; the replay goes on behind it.
    Malformed(PathBuf),
}

/// A book from a file beside the capture.
pub(crate) type BookBeside = (i64, String, String);

/// The capture, from its beginning.
pub(crate) struct Entries {
    lines: Lines,
    format: CaptureFormat,
    product: Product,
    /// Books from sibling files, by time, merged in at their place.
    beside: VecDeque<BookBeside>,
    /// What the files are about: of whom a book without a name is.
    last_instrument_id: Option<String>,
    waiting: Option<(i64, Happening)>,
}

impl Entries {
    pub(crate) fn new(config: &ReplayConfig, beside: Vec<BookBeside>) -> Self {
        Self {
            lines: Lines::new(config.paths.clone()),
            format: config.format,
            product: config.product(),
            beside: beside.into(),
            last_instrument_id: None,
            waiting: None,
        }
    }

    /// The next happening and when it was received; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(i64, Happening)>, CaptureError> {
        let recorded = match self.waiting.take() {
            Some(recorded) => Some(recorded),
            None => self.next_recorded()?,
        };
        let recorded_ns = recorded.as_ref().map_or(i64::MAX, |(at_ns, _)| *at_ns);
        if let Some((at_ns, _, _)) = self.beside.front()
            && *at_ns <= recorded_ns
            && let Some((at_ns, instrument_id, body)) = self.beside.pop_front()
        {
            self.waiting = recorded;
            return Ok(Some((at_ns, Happening::Snapshot { instrument_id, body })));
        }
        Ok(recorded)
    }

    fn next_recorded(&mut self) -> Result<Option<(i64, Happening)>, CaptureError> {
        // Lines without a time of their own happen at the beginning: they are only facts.
        while let Some((line, path)) = self.lines.next()? {
            match self.happening(&line, &path) {
                Ok(Some(happening)) => return Ok(Some(happening)),
                Ok(None) => {}
                Err(Malformed) => return Ok(Some((i64::MIN, Happening::Malformed(path)))),
            }
        }
        Ok(None)
    }

    fn happening(&mut self, line: &str, path: &Path) -> Result<Option<(i64, Happening)>, Malformed> {
        Ok(match parse(self.format, line)? {
            Entry::Other => None,
            Entry::ExchangeInfo(body) => Some((i64::MIN, Happening::ExchangeInfo(body))),
            Entry::Snapshot { at_ns, instrument_id, body } => {
                let named = instrument_id.or_else(|| self.last_instrument_id.clone());
                let instrument_id = named.or_else(|| instrument_id_of_file(path)).ok_or(Malformed)?;
                Some((at_ns, Happening::Snapshot { instrument_id, body }))
            }
            Entry::Frame { at_ns, text } => {
                frame::open(&text, self.product)?.map(|(instrument_id, captured)| {
                    self.last_instrument_id = Some(instrument_id.clone());
                    let data = captured.data.to_owned();
                    (at_ns, Happening::Frame { instrument_id, feed: captured.feed, data })
                })
            }
        })
    }
}

/// Reads a line of `format`.
pub(crate) fn parse(format: CaptureFormat, line: &str) -> Result<Entry, Malformed> {
    match format {
        CaptureFormat::Hbt => hbt::parse(line),
        CaptureFormat::Cryptofeed => cryptofeed::parse(line),
    }
}

/// `ethusdt_20240808.gz` is about ETHUSDT.
fn instrument_id_of_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (symbol, _) = name.split_once('_')?;
    Some(symbol.to_uppercase())
}
