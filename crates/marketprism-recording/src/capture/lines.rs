//! The lines of an input, plain or gzip, in constant memory.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::ReadError;

/// The longest line of the known captures is an instrument list of 2 MB; today's longest list has 20.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// The lines of an input.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
    is_cut: bool,
}

impl Lines {
    pub(super) fn new(input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let is_gzip = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn BufRead + Send> =
            if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) };
        Ok(Self { input, line: Vec::new(), number: 0, is_cut: false })
    }

    /// The next line without its end, or `None` after the last one. Bytes that are no UTF-8 are replaced: the line is then
    /// none of any format's.
    pub(super) fn next(&mut self) -> Result<Option<&str>, ReadError> {
        self.line.clear();
        if self.is_cut {
            return Ok(None);
        }
        let read = self.input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line);
        match read {
            Ok(0) => return Ok(None),
            Ok(read) if read as u64 >= LINE_BYTES_MAX => {
                return Err(ReadError::LongLine { line: self.number + 1, bytes_max: LINE_BYTES_MAX });
            }
            Ok(_) => {}
            // A gzip stream without its end: the line it breaks off in is not whole.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.is_cut = true;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        self.number += 1;
        Ok(Some(str::from_utf8(&self.line).unwrap_or("\u{fffd}").trim_end()))
    }

    /// The number of the present line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}
