//! Reads our format, block by block: whatever its length, one block is in memory.

use std::io::{ErrorKind, Read};

use crate::block::{PREFIX_BYTES, Prefix, Unpacker};
use crate::error::{Cut, ReadError};
use crate::header;
use crate::record::Record;

/// The records of a recording, in the order they were written.
pub struct Reader<R> {
    input: R,
    unpacker: Unpacker,
    /// Where the next block begins.
    at_byte: u64,
    block: Vec<u8>,
    /// How much of the block was taken, and how many records that were.
    taken: usize,
    records: u32,
    /// Where the present block begins.
    block_at_byte: u64,
    cut: Option<Cut>,
}

impl<R: Read> Reader<R> {
    /// Reads from the input's present place, where a block must begin.
    ///
    /// # Errors
    /// When there is no memory for the decompressor.
    pub fn new(input: R) -> Result<Self, ReadError> {
        Ok(Self {
            input,
            unpacker: Unpacker::new()?,
            at_byte: 0,
            block: Vec::new(),
            taken: 0,
            records: 0,
            block_at_byte: 0,
            cut: None,
        })
    }

    /// The next record; `None` at the end, also where the recording was cut off: see [`Self::cut`].
    ///
    /// # Errors
    /// When the input fails, or holds something else than whole blocks as they were written. Nothing further can be read then.
    pub fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        while self.taken >= self.block.len() {
            if !self.next_block()? {
                return Ok(None);
            }
        }
        let mut rest = self.block.get(self.taken..).unwrap_or_default();
        self.records = self.records.saturating_add(1);
        let (at_byte, record) = (self.block_at_byte, self.records);
        let decoded =
            header::decode(&mut rest).map_err(|reason| ReadError::Record { at_byte, record, reason })?;
        self.taken = self.block.len() - rest.len();
        Ok(Some(decoded))
    }

    /// Where the recording was cut off, once its end was reached.
    pub fn cut(&self) -> Option<Cut> {
        self.cut.clone()
    }

    /// Where the next block begins: after the end was reached, the length of what is whole.
    pub fn whole_bytes(&self) -> u64 {
        self.at_byte
    }

    /// Whether there was a whole block.
    fn next_block(&mut self) -> Result<bool, ReadError> {
        if self.cut.is_some() {
            return Ok(false);
        }
        let at_byte = self.at_byte;
        let broken = |reason| ReadError::Block { at_byte, reason };
        let mut prefix = [0; PREFIX_BYTES];
        let read = read_up_to(&mut self.input, &mut prefix)?;
        if read == 0 {
            return Ok(false);
        }
        if read < PREFIX_BYTES {
            return Ok(self.cut_off(read));
        }
        let prefix = Prefix::decode(prefix).map_err(broken)?;
        // Grows with what is there, not with what is said.
        let mut compressed = Vec::new();
        let said = u64::from(prefix.compressed_bytes);
        let read = self.input.by_ref().take(said).read_to_end(&mut compressed)?;
        if compressed.len() as u64 != said {
            return Ok(self.cut_off(PREFIX_BYTES + read));
        }
        self.block = self.unpacker.unpack(prefix, &compressed).map_err(broken)?;
        (self.taken, self.records, self.block_at_byte) = (0, 0, at_byte);
        self.at_byte += PREFIX_BYTES as u64 + said;
        Ok(true)
    }

    fn cut_off(&mut self, bytes: usize) -> bool {
        self.cut = Some(Cut::Block { at_byte: self.at_byte, bytes: bytes as u64 });
        false
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("at_byte", &self.at_byte).finish_non_exhaustive()
    }
}

/// Fills `place` as far as the input goes.
fn read_up_to(input: &mut impl Read, place: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while let Some(rest) = place.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
