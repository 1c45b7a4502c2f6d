//! Writes our format: appends whole blocks and nothing else, so that a crash costs the last second.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use marketprism_core::Timestamp;

use crate::block::Packer;
use crate::error::ReadError;
use crate::header;
use crate::reader::Reader;
use crate::record::Record;

/// A block is written when its records have so many bytes: far beyond, zstd gains nothing any more …
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// … or when its first record is so old: what a crash costs.
pub const BLOCK_AGE_MICROS_MAX: i64 = 1_000_000;

/// Appends records to one file.
pub struct Writer {
    file: File,
    packer: Packer,
    /// Length of the file up to the last whole block.
    whole_bytes: u64,
    block: Vec<u8>,
    records: u32,
    begun: Option<Timestamp>,
}

impl Writer {
    /// Opens a file to append to, made if it is not there. What a crash left of an unfinished block is cut off.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or is not a recording.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut reader = Reader::new(io::BufReader::new(&file))?;
        while reader.next_record()?.is_some() {}
        let whole_bytes = reader.whole_bytes();
        file.set_len(whole_bytes)?;
        file.seek(SeekFrom::Start(whole_bytes))?;
        Ok(Self { file, packer: Packer::new()?, whole_bytes, block: Vec::new(), records: 0, begun: None })
    }

    /// Adds a record; writes the block when that makes it full.
    ///
    /// # Errors
    /// When the block cannot be written: see [`Self::flush`].
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        header::encode(record, &mut self.block)?;
        self.records += 1;
        let begun = *self.begun.get_or_insert(record.at);
        let is_old = record.at.micros_since(begun) >= BLOCK_AGE_MICROS_MAX;
        if is_old || self.block.len() >= BLOCK_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Records that are not in the file yet.
    pub fn pending_records(&self) -> u32 {
        self.records
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Writes what is pending as a block.
    ///
    /// # Errors
    /// When the file cannot take it. The pending records are gone then, and the file ends with the last whole block.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let packed = self.packer.pack(&self.block, self.records);
        self.block.clear();
        self.block.shrink_to(BLOCK_BYTES_MAX * 2);
        (self.records, self.begun) = (0, None);
        let block = packed?;
        if let Err(error) = self.file.write_all(&block) {
            // Half a block in the middle of a file would hide everything after it.
            self.file.set_len(self.whole_bytes)?;
            self.file.seek(SeekFrom::Start(self.whole_bytes))?;
            return Err(error);
        }
        self.whole_bytes += block.len() as u64;
        Ok(())
    }

    /// Writes what is pending and waits until the disk has it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("whole_bytes", &self.whole_bytes).finish_non_exhaustive()
    }
}
