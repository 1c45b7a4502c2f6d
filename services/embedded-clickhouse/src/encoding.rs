//! Encodes the response body piece by piece. Every piece is flushed, so that a row is at the client when it is made.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::FrameEncoder;

use crate::framing;

/// How the response is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
    Lz4,
    /// ClickHouse's compressed blocks (`compress=1`).
    Blocks,
}

impl Encoding {
    /// The first of the client's `Accept-Encoding` that this front has.
    pub(crate) fn accepted(header: &str) -> Self {
        let known = header.split(',').find_map(|offer| {
            match offer.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
                "gzip" => Some(Self::Gzip),
                "deflate" => Some(Self::Deflate),
                "zstd" => Some(Self::Zstd),
                "lz4" => Some(Self::Lz4),
                _ => None,
            }
        });
        known.unwrap_or(Self::Identity)
    }

    /// The `Content-Encoding` header; blocks are announced by the request alone.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity | Self::Blocks => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Zstd => Some("zstd"),
            Self::Lz4 => Some("lz4"),
        }
    }
}

/// A running encoder.
pub(crate) enum Encoder {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Lz4(FrameEncoder<Vec<u8>>),
    Blocks,
}

impl Encoder {
    pub(crate) fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
            Encoding::Lz4 => Self::Lz4(FrameEncoder::new(Vec::new())),
            Encoding::Blocks => Self::Blocks,
        })
    }

    /// Encodes one piece, whole.
    pub(crate) fn piece(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(data.to_vec()),
            Self::Blocks => framing::block(data),
            Self::Gzip(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Deflate(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Lz4(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// What closes the encoded stream.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity | Self::Blocks => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_offer_is_taken() {
        assert_eq!(Encoding::accepted("br, zstd;q=0.5, gzip"), Encoding::Zstd);
        assert_eq!(Encoding::accepted("br"), Encoding::Identity);
        assert_eq!(Encoding::accepted(""), Encoding::Identity);
    }
}
