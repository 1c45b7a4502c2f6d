//! What kind of frame came: a stream's event, an answer to a request of ours, or an announcement.
//!
//! The envelope is recognised by its first bytes, so the payload is parsed once, by the stream's own decoder. A
//! frame written any other way takes the slow path through the same types.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::session::Rejected;

/// A frame, told apart but not yet decoded.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// `{"stream":"btcusdt@trade","data":{…}}`.
    Event {
        /// The stream's name.
        stream: Cow<'a, str>,
        /// The payload's text.
        data: &'a str,
    },
    /// An answer to SUBSCRIBE and the like.
    Answer(Answer),
    /// The exchange will close this connection.
    ServerShutdown,
}

/// An answer to a request on the socket.
///
/// ```json
/// {"result":null,"id":1}
/// {"code":2,"msg":"Invalid request: …"}
/// {"error":{"code":2,"msg":"Invalid request: …"},"id":1}
/// ```
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: Option<u64>,
    pub(super) refused: Option<Refusal>,
}

/// Why a request was refused.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) msg: String,
}

/// ```json
/// {"e":"serverShutdown","E":1770123456789}
/// {"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}
/// ```
const SERVER_SHUTDOWN: &str = "serverShutdown";

#[derive(Deserialize)]
struct AnyFrame<'a> {
    #[serde(borrow, default)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    e: Option<Cow<'a, str>>,
    // Ours are numbers; anything else is not an answer to us.
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Refusal>,
    #[serde(default)]
    code: Option<i64>,
    #[serde(default)]
    msg: Option<String>,
}

/// Tells what a text frame is.
pub(super) fn read(text: &str) -> Result<Incoming<'_>, Rejected> {
    match split(text) {
        Some((stream, data)) => Ok(event(Cow::Borrowed(stream), data)),
        None => read_any(text),
    }
}

fn event<'a>(stream: Cow<'a, str>, data: &'a str) -> Incoming<'a> {
    if stream.strip_prefix('!') == Some(SERVER_SHUTDOWN) {
        Incoming::ServerShutdown
    } else {
        Incoming::Event { stream, data }
    }
}

/// The envelope as the exchange writes it.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(r#"{"stream":""#)?;
    let (stream, rest) = rest.split_at_checked(memchr::memchr(b'"', rest.as_bytes())?)?;
    let data = rest.strip_prefix(r#"","data":"#)?.strip_suffix('}')?;
    // An escape in the name: left to the real parser.
    if memchr::memchr(b'\\', stream.as_bytes()).is_some() {
        return None;
    }
    Some((stream, data))
}

fn read_any(text: &str) -> Result<Incoming<'_>, Rejected> {
    let frame: AnyFrame<'_> = serde_json::from_str(text).map_err(|error| Rejected::decode(&error, text))?;
    if let (Some(stream), Some(data)) = (frame.stream, frame.data) {
        return Ok(event(stream, data.get()));
    }
    if frame.e.as_deref() == Some(SERVER_SHUTDOWN) {
        return Ok(Incoming::ServerShutdown);
    }
    let refused = frame.error.or_else(|| {
        let code = frame.code?;
        Some(Refusal { code, msg: frame.msg.unwrap_or_default() })
    });
    let id = frame.id.and_then(|id| id.get().parse().ok());
    if refused.is_some() || id.is_some() || frame.result.is_some() {
        return Ok(Incoming::Answer(Answer { id, refused }));
    }
    Err(Rejected::new("unknown_event", format_args!("frame without stream: {}", Rejected::start_of(text))))
}
