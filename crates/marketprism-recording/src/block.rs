//! Blocks: records compressed together, each block readable without the others.
//!
//! A block is two zstd frames: a skippable one that says what follows, and the data with zstd's own checksum. So a file
//! is also plain zstd, and `zstdcat FILE` prints its records.
//!
//! | bytes | little-endian |
//! |---|---|
//! | 4 | `0x184D2A5D`, a skippable frame |
//! | 4 | 20, the bytes of the next five fields |
//! | 4 | `MPRC` |
//! | 4 | version, 1 |
//! | 4 | bytes of the compressed frame that follows |
//! | 4 | bytes of the records in it |
//! | 4 | records in it |

use zstd::bulk::{Compressor, Decompressor};

/// Bytes of what precedes the compressed frame.
pub(crate) const PREFIX_BYTES: usize = 28;
/// The largest block read: a REST body is at most 64 MiB, and a block ends with the record that fills it.
const RECORDS_BYTES_MAX: u32 = 128 << 20;
const SKIPPABLE: u32 = 0x184D_2A5D;
const SKIPPABLE_BYTES: u32 = 20;
const MARK: [u8; 4] = *b"MPRC";
const VERSION: u32 = 1;
/// Levels above take twice the time for a few per cent.
const COMPRESSION_LEVEL: i32 = 3;

/// What precedes the compressed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) compressed_bytes: u32,
    pub(crate) records_bytes: u32,
    pub(crate) records: u32,
}

impl Prefix {
    fn encode(self) -> [u8; PREFIX_BYTES] {
        let mut bytes = [0; PREFIX_BYTES];
        let Self { compressed_bytes, records_bytes, records } = self;
        let mark = u32::from_le_bytes(MARK);
        let fields = [SKIPPABLE, SKIPPABLE_BYTES, mark, VERSION, compressed_bytes, records_bytes, records];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads it. `Err` says what is wrong.
    pub(crate) fn decode(bytes: [u8; PREFIX_BYTES]) -> Result<Self, String> {
        let mut fields = [0; PREFIX_BYTES / 4];
        for (field, place) in fields.iter_mut().zip(bytes.chunks_exact(4)) {
            *field = place.try_into().map(u32::from_le_bytes).unwrap_or_default();
        }
        let [skippable, skippable_bytes, mark, version, compressed_bytes, records_bytes, records] = fields;
        if (skippable, skippable_bytes, mark) != (SKIPPABLE, SKIPPABLE_BYTES, u32::from_le_bytes(MARK)) {
            return Err("no block of a MarketPrism recording begins so".to_owned());
        }
        if version != VERSION {
            return Err(format!("version {version} is unknown; this program reads {VERSION}"));
        }
        if records_bytes > RECORDS_BYTES_MAX || compressed_bytes > RECORDS_BYTES_MAX {
            let most = RECORDS_BYTES_MAX;
            return Err(format!("{compressed_bytes} bytes for {records_bytes} are beyond the most, {most}"));
        }
        Ok(Self { compressed_bytes, records_bytes, records })
    }
}

/// Makes blocks.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut compressor = Compressor::new(COMPRESSION_LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self(compressor))
    }

    /// A whole block, prefix and all.
    pub(crate) fn pack(&mut self, records_bytes: &[u8], records: u32) -> std::io::Result<Vec<u8>> {
        let compressed = self.0.compress(records_bytes)?;
        let too_long = |_| std::io::Error::other("a block is longer than 4 GiB");
        let prefix = Prefix {
            compressed_bytes: compressed.len().try_into().map_err(too_long)?,
            records_bytes: records_bytes.len().try_into().map_err(too_long)?,
            records,
        };
        let mut block = Vec::with_capacity(PREFIX_BYTES + compressed.len());
        block.extend_from_slice(&prefix.encode());
        block.extend_from_slice(&compressed);
        Ok(block)
    }
}

/// Opens blocks.
pub(crate) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(Decompressor::new()?))
    }

    /// The records of a block. `Err` says what is wrong with it: zstd checks its own checksum.
    pub(crate) fn unpack(&mut self, prefix: Prefix, compressed: &[u8]) -> Result<Vec<u8>, String> {
        let capacity = usize::try_from(prefix.records_bytes).unwrap_or_default();
        let records = self.0.decompress(compressed, capacity).map_err(|error| error.to_string())?;
        if records.len() == capacity {
            return Ok(records);
        }
        Err(format!("{} bytes of records instead of {capacity}", records.len()))
    }
}
