//! From the statement's thread to the socket: first how it went, then the encoded body, piece by piece.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::encoding::{Encoder, Encoding};
use crate::exception::Exception;
use crate::ffi::Progress;

/// Result pieces between thread and socket: a few, so that a slow reader holds the engine back instead of filling memory.
pub(crate) const REPLY_PIECES_MAX: usize = 4;

/// Known when the response's headers are sent: while rows are streamed, only what the first piece took.
#[derive(Debug)]
pub(crate) struct Head {
    /// The format of the body; none if there is no body.
    pub(crate) format: Option<String>,
    /// Rows and bytes so far.
    pub(crate) progress: Progress,
    /// Bytes of result so far.
    pub(crate) result_bytes: usize,
    /// Time since the statement began.
    pub(crate) elapsed: Duration,
}

/// The thread's end.
pub(crate) struct Reply {
    head: Option<oneshot::Sender<Result<Head, Exception>>>,
    pieces: mpsc::Sender<io::Result<Bytes>>,
    encoder: Option<Encoder>,
    /// Marks an exception inside the body.
    tag: String,
    version: String,
    begun: Instant,
}

/// The client does not read any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl Reply {
    pub(crate) fn new(
        head: oneshot::Sender<Result<Head, Exception>>,
        pieces: mpsc::Sender<io::Result<Bytes>>,
        encoding: Encoding,
        tag: String,
        version: String,
    ) -> Self {
        // A body that cannot be encoded is sent as it is only if nothing was promised: `Identity` never fails.
        let encoder = Encoder::new(encoding).ok();
        Self { head: Some(head), pieces, encoder, tag, version, begun: Instant::now() }
    }

    /// Whether the client has gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Sends the headers.
    pub(crate) fn begin(
        &mut self,
        format: Option<&str>,
        progress: Progress,
        result_bytes: usize,
    ) -> Result<(), Gone> {
        let head =
            Head { format: format.map(str::to_owned), progress, result_bytes, elapsed: self.begun.elapsed() };
        self.head.take().map_or(Ok(()), |sender| sender.send(Ok(head)).map_err(|_| Gone))
    }

    /// Sends a piece of the body.
    pub(crate) fn piece(&mut self, data: &[u8]) -> Result<(), Gone> {
        let encoded = match &mut self.encoder {
            Some(encoder) => encoder.piece(data),
            None => Err(io::Error::other("the result cannot be encoded")),
        };
        self.pieces.blocking_send(encoded.map(Bytes::from)).map_err(|_| Gone)
    }

    /// Ends the body as whole.
    pub(crate) fn finish(&mut self) -> Result<(), Gone> {
        match self.encoder.take().map(Encoder::finish) {
            Some(Ok(tail)) if tail.is_empty() => Ok(()),
            Some(tail) => self.pieces.blocking_send(tail.map(Bytes::from)).map_err(|_| Gone),
            None => Ok(()),
        }
    }

    /// Tells the exception: as the response itself if nothing was sent yet, else at the body's end, which is then broken
    /// off, so that no client can take the part for the whole.
    pub(crate) fn fail(&mut self, exception: Exception) -> Result<(), Gone> {
        /// The broken body throws away what is not yet written to the socket; this lets the text out first.
        const FLUSH: Duration = Duration::from_millis(50);

        if let Some(head) = self.head.take() {
            return head.send(Err(exception)).map_err(|_| Gone);
        }
        let message = exception.text(&self.version);
        let tag = &self.tag;
        let tail =
            format!("\r\n__exception__\r\n{tag}\r\n{message}{} {tag}\r\n__exception__\r\n", message.len());
        self.piece(tail.as_bytes())?;
        std::thread::sleep(FLUSH);
        self.pieces.blocking_send(Err(io::Error::other("the statement failed"))).map_err(|_| Gone)
    }
}
