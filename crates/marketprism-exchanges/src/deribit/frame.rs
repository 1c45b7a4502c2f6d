//! What kind of frame came: a channel's event, an answer to a call of ours, or a heartbeat.
//!
//! The envelope of an event is recognised by its first bytes, so the payload is parsed once, by the channel's own
//! decoder. A frame written any other way takes the slow path through the same types.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rpc::RpcError;
use crate::decode;
use crate::session::Rejected;

/// A frame, told apart but not yet decoded.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// Something on a channel.
    Event {
        channel: Cow<'a, str>,
        /// The payload's text.
        data: &'a str,
    },
    Answer(Answer<'a>),
    /// A sign of life.
    Heartbeat,
    /// A sign of life is asked for.
    TestRequest,
}

/// An answer to a call on the socket; its times are not used.
///
/// ```json
/// {"jsonrpc":"2.0","id":3,"result":["book.ETH-PERPETUAL.100ms"],"usIn":1790133840888348,"usOut":1790133840889867,"usDiff":1519,"testnet":false}
/// {"jsonrpc":"2.0","id":1,"error":{"code":10028,"message":"too_many_requests","data":null}}
/// ```
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// Ours are numbers; an error without one is about a text that was no JSON.
    pub(super) id: Option<u64>,
    pub(super) outcome: Result<&'a str, RpcError>,
}

#[derive(Deserialize)]
struct AnyFrame<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<AnyParams<'a>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct AnyParams<'a> {
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    heartbeat: Option<Cow<'a, str>>,
}

/// Tells what a text frame is.
pub(super) fn read(text: &str) -> Result<Incoming<'_>, Rejected> {
    match split(text) {
        Some((channel, data)) => Ok(Incoming::Event { channel: Cow::Borrowed(channel), data }),
        None => read_any(text),
    }
}

/// The envelope as the exchange writes it.
///
/// ```json
/// {"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.100ms","data":[…]}}
/// ```
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":""#)?;
    let (channel, rest) = rest.split_at_checked(memchr::memchr(b'"', rest.as_bytes())?)?;
    let data = rest.strip_prefix(r#"","data":"#)?.strip_suffix("}}")?;
    // An escape in the name: left to the real parser.
    if memchr::memchr(b'\\', channel.as_bytes()).is_some() {
        return None;
    }
    Some((channel, data))
}

/// ```json
/// {"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}
/// ```
fn read_any(text: &str) -> Result<Incoming<'_>, Rejected> {
    let frame: AnyFrame<'_> = decode::from_str(text)?;
    let id = frame.id.and_then(|id| id.get().parse().ok());
    match (frame.method.as_deref(), frame.params, frame.result, frame.error) {
        (Some("subscription"), Some(AnyParams { channel: Some(channel), data: Some(data), .. }), ..) => {
            Ok(Incoming::Event { channel, data: data.get() })
        }
        (Some("heartbeat"), Some(AnyParams { heartbeat: Some(kind), .. }), ..) => match kind.as_ref() {
            "test_request" => Ok(Incoming::TestRequest),
            _ => Ok(Incoming::Heartbeat),
        },
        (None, _, _, Some(error)) => Ok(Incoming::Answer(Answer { id, outcome: Err(error) })),
        (None, _, Some(result), None) => Ok(Incoming::Answer(Answer { id, outcome: Ok(result.get()) })),
        _ => Err(Rejected::new(
            "unknown_event",
            format_args!("neither event, answer nor heartbeat: {}", Rejected::start_of(text)),
        )),
    }
}
