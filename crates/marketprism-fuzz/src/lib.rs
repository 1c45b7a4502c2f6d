//! Development only: what cargo-fuzz (`fuzz/`) and a bounded test run feed with arbitrary bytes.
//!
//! [`session`] drives one integration with a script made of the bytes, [`recording`] and [`capture`] read them as files. They panic
//! where an invariant is broken; nothing else may.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken invariant ends the run: that is what it is for"
)]

mod script;
mod sessions;

use std::io::Cursor;
use std::path::Path;

use marketprism_recording::Reader;
use marketprism_recording::capture::{CaptureReader, Format};

pub use sessions::session;

/// The integrations, by the names of the fuzz targets.
pub const INTEGRATIONS: [&str; 5] = ["binance_spot", "binance_usdm", "okx_spot", "okx_swap", "deribit"];

/// Reads bytes as a recording of ours, and as the records of a whole block: a checksum keeps arbitrary bytes from ever being one.
pub fn recording(bytes: &[u8]) {
    read_recording(bytes);
    let compressed = zstd::bulk::compress(bytes, 1).expect("memory for a compressor");
    let length = |length: usize| u32::try_from(length).expect("a fuzzer's input is short");
    let mark = u32::from_le_bytes(*b"MPRC");
    // As docs/recording.md says it.
    let fields = [0x184D_2A5D, 20, mark, 1, length(compressed.len()), length(bytes.len()), 1];
    let mut block: Vec<u8> = fields.into_iter().flat_map(u32::to_le_bytes).collect();
    block.extend_from_slice(&compressed);
    read_recording(&block);
}

/// Whole blocks come out, or an error says where, in bounded memory.
fn read_recording(bytes: &[u8]) {
    let mut reader = Reader::new(bytes).expect("memory for a decompressor");
    let mut last = 0;
    while let Ok(Some(_)) = reader.next_record() {
        assert!(reader.whole_bytes() >= last, "never goes back");
        last = reader.whole_bytes();
    }
    assert!(last <= bytes.len() as u64, "nothing is read that is not there");
}

/// Reads bytes as a capture of somebody else's.
pub fn capture(bytes: &[u8]) {
    for format in [Format::Hbt, Format::Cryptofeed] {
        let input = Cursor::new(bytes.to_vec());
        let Ok(mut reader) = CaptureReader::new(input, Path::new("btcusdt_1.gz"), format) else { continue };
        while let Ok(Some(_)) = reader.next_record() {}
    }
}
