//! The request body as a blocking reader for the statement's thread: chunks from the socket, decoded as the client said.

use std::io::{self, BufRead, BufReader, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::exception::{Code, Exception};
use crate::framing::{BlockError, BlockReader};

/// Pieces of body between socket and thread: a few, so that a fast client waits for the engine instead of filling memory.
pub(crate) const BODY_PIECES_MAX: usize = 8;

/// One message from the socket's side.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Bytes as they came.
    Data(Bytes),
    /// The body ended as its length or last chunk said.
    End,
}

/// How the client encoded the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentEncoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
    Lz4,
}

impl ContentEncoding {
    /// From a `Content-Encoding` header.
    pub(crate) fn parse(value: &str) -> Result<Self, Exception> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            "lz4" => Ok(Self::Lz4),
            other => {
                Err(Exception::new(Code::NotImplemented, format_args!("Unknown Content-Encoding: {other}")))
            }
        }
    }
}

/// Opens the decoded body. `blocks` says that it is also in ClickHouse's compressed blocks (`decompress=1`).
pub(crate) fn decoded(
    pieces: mpsc::Receiver<Piece>,
    encoding: ContentEncoding,
    blocks: bool,
) -> Box<dyn BufRead> {
    let raw = Pieces { pieces, current: Bytes::new(), ended: false };
    let decoded: Box<dyn BufRead> = match encoding {
        ContentEncoding::Identity => Box::new(raw),
        ContentEncoding::Gzip => buffered(flate2::bufread::MultiGzDecoder::new(raw)),
        ContentEncoding::Deflate => buffered(flate2::bufread::ZlibDecoder::new(raw)),
        ContentEncoding::Lz4 => buffered(lz4_flex::frame::FrameDecoder::new(raw)),
        ContentEncoding::Zstd => match zstd::stream::read::Decoder::with_buffer(raw) {
            Ok(decoder) => buffered(decoder),
            Err(error) => buffered(Failed(Some(error))),
        },
    };
    if blocks { Box::new(BlockReader::new(decoded)) } else { decoded }
}

fn buffered(reader: impl Read + 'static) -> Box<dyn BufRead> {
    /// Large enough that a piece is worth a call into the engine.
    const BUFFER_BYTES: usize = 256 * 1024;
    Box::new(BufReader::with_capacity(BUFFER_BYTES, reader))
}

/// What the client is told when its body cannot be read.
pub(crate) fn exception(error: &io::Error) -> Exception {
    let code = match error.get_ref().and_then(|inner| inner.downcast_ref::<BlockError>()) {
        Some(BlockError::Checksum) => Code::ChecksumDoesNotMatch,
        Some(BlockError::Method(_)) => Code::UnknownCompressionMethod,
        Some(BlockError::Truncated) => Code::CannotReadAllData,
        Some(BlockError::Size { .. } | BlockError::Decompress) => Code::CannotDecompress,
        None if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionAborted) => {
            Code::CannotReadAllData
        }
        None => Code::CannotDecompress,
    };
    Exception::new(code, format_args!("{error}"))
}

struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                // Not an end: what was sent so far must not be taken for the whole.
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionAborted,
                        "the body was cut off before its end",
                    ));
                }
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, length: usize) {
        self.current.advance(length.min(self.current.len()));
    }
}

struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::Error::other("the decoder could not be made")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_without_its_end_is_an_error() {
        let (sender, receiver) = mpsc::channel(BODY_PIECES_MAX);
        sender.blocking_send(Piece::Data(Bytes::from_static(b"abc"))).unwrap();
        drop(sender);
        let mut data = Vec::new();
        let error = decoded(receiver, ContentEncoding::Identity, false).read_to_end(&mut data).unwrap_err();
        assert_eq!(data, b"abc");
        assert_eq!(exception(&error).code(), 33);
    }

    #[test]
    fn an_ended_body_is_whole_and_stays_ended() {
        let (sender, receiver) = mpsc::channel(BODY_PIECES_MAX);
        sender.blocking_send(Piece::Data(Bytes::from_static(b"abc"))).unwrap();
        sender.blocking_send(Piece::End).unwrap();
        drop(sender);
        let mut body = decoded(receiver, ContentEncoding::Identity, false);
        let mut data = Vec::new();
        body.read_to_end(&mut data).unwrap();
        assert_eq!(data, b"abc");
        assert!(body.fill_buf().unwrap().is_empty());
    }
}
