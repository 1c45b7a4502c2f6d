//! ClickHouse's own compressed blocks, of `compress=1` and `decompress=1`.
//!
//! Each block: CityHash128 (version 1.0.2) of the rest, 16 bytes; method, 1 byte; size of this rest, u32 little endian,
//! with the 9 bytes from the method on; size of the data, u32 little endian; compressed data.

use std::io::{self, BufRead, Read};

const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
/// The server's own bound (`MAX_COMPRESSED_SIZE`, 1 GiB) is far above what clients send; 256 MiB keeps a lying header
/// from claiming the memory of a small machine.
const BLOCK_BYTES_MAX: usize = 256 * 1024 * 1024;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
const METHOD_ZSTD: u8 = 0x90;

/// Reads the data out of compressed blocks.
#[derive(Debug)]
pub(crate) struct BlockReader<R> {
    inner: R,
    data: Vec<u8>,
    at: usize,
}

/// Why a block cannot be read; carried inside the [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockError {
    #[error("Checksum doesn't match: corrupted data")]
    Checksum,
    #[error("Unknown compression method: {0:#04x}")]
    Method(u8),
    #[error("Compressed block claims impossible sizes: {compressed} bytes compressed, {data} bytes of data")]
    Size { compressed: usize, data: usize },
    #[error("Cannot decompress a block")]
    Decompress,
    #[error("Cannot read all data: the compressed body ends within a block")]
    Truncated,
}

impl<R: BufRead> BlockReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, data: Vec::new(), at: 0 }
    }

    fn next_block(&mut self) -> io::Result<()> {
        self.data.clear();
        self.at = 0;
        if self.inner.fill_buf()?.is_empty() {
            return Ok(());
        }
        let mut checksum = [0; CHECKSUM_BYTES];
        self.exact(&mut checksum)?;
        let mut header = [0; HEADER_BYTES];
        self.exact(&mut header)?;
        let [method, c0, c1, c2, c3, d0, d1, d2, d3] = header;
        let compressed = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        let size = u32::from_le_bytes([d0, d1, d2, d3]) as usize;
        if !(HEADER_BYTES..=BLOCK_BYTES_MAX).contains(&compressed) || size > BLOCK_BYTES_MAX {
            return Err(io::Error::other(BlockError::Size { compressed, data: size }));
        }
        let mut rest = Vec::new();
        rest.extend_from_slice(&header);
        let body = (compressed - HEADER_BYTES) as u64;
        let arrived = (&mut self.inner).take(body).read_to_end(&mut rest)?;
        if (arrived as u64) < body {
            return Err(io::Error::other(BlockError::Truncated));
        }
        if city_hash(&rest) != checksum {
            return Err(io::Error::other(BlockError::Checksum));
        }
        let payload = rest.get(HEADER_BYTES..).unwrap_or_default();
        self.data = match method {
            METHOD_NONE => payload.to_vec(),
            METHOD_LZ4 => lz4_flex::block::decompress(payload, size)
                .map_err(|_| io::Error::other(BlockError::Decompress))?,
            METHOD_ZSTD => {
                zstd::bulk::decompress(payload, size).map_err(|_| io::Error::other(BlockError::Decompress))?
            }
            other => return Err(io::Error::other(BlockError::Method(other))),
        };
        if self.data.len() != size {
            return Err(io::Error::other(BlockError::Decompress));
        }
        Ok(())
    }

    fn exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(buffer).map_err(|error| {
            // An end in the middle of a block; an error of the reader below carries its own reason.
            let ended = error.kind() == io::ErrorKind::UnexpectedEof;
            if ended { io::Error::other(BlockError::Truncated) } else { error }
        })
    }
}

impl<R: BufRead> Read for BlockReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for BlockReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // A block may be empty without being the end.
        while self.at >= self.data.len() && !self.inner.fill_buf()?.is_empty() {
            self.next_block()?;
        }
        Ok(self.data.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

/// One LZ4 block of `data`.
pub(crate) fn block(data: &[u8]) -> io::Result<Vec<u8>> {
    let compressed = lz4_flex::block::compress(data);
    let too_large = |_| io::Error::other("a result piece is too large for one block");
    let compressed_size = u32::try_from(compressed.len() + HEADER_BYTES).map_err(too_large)?;
    let size = u32::try_from(data.len()).map_err(too_large)?;
    let mut block = vec![0; CHECKSUM_BYTES];
    block.push(METHOD_LZ4);
    block.extend_from_slice(&compressed_size.to_le_bytes());
    block.extend_from_slice(&size.to_le_bytes());
    block.extend_from_slice(&compressed);
    let checksum = city_hash(block.get(CHECKSUM_BYTES..).unwrap_or_default());
    if let Some(place) = block.get_mut(..CHECKSUM_BYTES) {
        place.copy_from_slice(&checksum);
    }
    Ok(block)
}

/// The hash as it is on the wire: the crate's two 64-bit halves swapped, each little endian.
fn city_hash(data: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_rs::cityhash_102_128(data).rotate_left(64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        BlockReader::new(bytes).read_to_end(&mut data)?;
        Ok(data)
    }

    fn reason(bytes: &[u8]) -> BlockError {
        *read(bytes).unwrap_err().get_ref().unwrap().downcast_ref().unwrap()
    }

    #[test]
    fn blocks_join_and_empty_ones_do_not_end_the_data() {
        let bytes = [block(b"abc").unwrap(), block(b"").unwrap(), block(&[7; 100_000]).unwrap()].concat();
        assert_eq!(read(&bytes).unwrap(), [b"abc".to_vec(), vec![7; 100_000]].concat());
        assert_eq!(read(b"").unwrap(), b"");
    }

    #[test]
    fn damage_is_an_error_and_never_data() {
        let good = block(b"some data that is compressed").unwrap();
        for length in 1..good.len() {
            assert_eq!(reason(&good[..length]), BlockError::Truncated, "cut after {length} bytes");
        }
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(reason(&flipped), BlockError::Checksum);
        let mut huge = good;
        huge[CHECKSUM_BYTES + 1..CHECKSUM_BYTES + 5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(reason(&huge), BlockError::Size { .. }));
    }
}
