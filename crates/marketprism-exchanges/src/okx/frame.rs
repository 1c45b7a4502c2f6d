//! What kind of frame came: a push of a channel, an answer to a request, a notice, or the text `pong`.
//!
//! The envelope is recognised by its first bytes, so the payload is parsed once, by the channel's own decoder. A frame
//! written any other way takes the slow path through the same types.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode;
use crate::session::Rejected;

/// A frame, told apart but not yet decoded.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// The answer to the text `ping`; it is no JSON.
    Pong,
    /// Data of a channel.
    Push(Push<'a>),
    /// Anything about the connection itself.
    Event(Event<'a>),
}

/// ```json
/// {"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":"update","data":[{…}]}
/// {"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{…}]}
/// ```
#[derive(Debug)]
pub(super) struct Push<'a> {
    pub(super) channel: Cow<'a, str>,
    /// The instrument's id, or the type of instruments.
    pub(super) name: Cow<'a, str>,
    /// `snapshot` or `update`, of books only.
    pub(super) action: Option<Cow<'a, str>>,
    /// The text of the array.
    pub(super) data: &'a str,
}

/// ```json
/// {"id":"7","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}
/// {"event":"error","msg":"Subscribe failed, wrong URL or channel:books,instId:NOPE-USDT doesn't exist.","code":"60018","connId":"5e1f2fe5","id":"7"}
/// {"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}
/// ```
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) event: Cow<'a, str>,
    /// Channel and name, where it is about one.
    pub(super) arg: Option<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) code: Cow<'a, str>,
    pub(super) message: Cow<'a, str>,
    pub(super) id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct AnyFrame<'a> {
    #[serde(borrow, default)]
    arg: Option<AnyArg<'a>>,
    #[serde(borrow, default)]
    action: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct AnyArg<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow, default, rename = "instId")]
    instrument_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "instType")]
    instrument_type: Option<Cow<'a, str>>,
}

impl<'a> AnyArg<'a> {
    fn split(self) -> (Cow<'a, str>, Cow<'a, str>) {
        (self.channel, self.instrument_id.or(self.instrument_type).unwrap_or_default())
    }
}

/// Tells what a text frame is.
pub(super) fn read(text: &str) -> Result<Incoming<'_>, Rejected> {
    if text == "pong" {
        return Ok(Incoming::Pong);
    }
    match split(text) {
        Some(push) => Ok(Incoming::Push(push)),
        None => read_any(text),
    }
}

/// A push as the exchange writes it.
fn split(text: &str) -> Option<Push<'_>> {
    let rest = text.strip_prefix(r#"{"arg":{"channel":""#)?;
    let (channel, rest) = word(rest)?;
    let (name, rest) = word(rest.strip_prefix(r#","instId":""#)?)?;
    let rest = rest.strip_prefix(r#"},"#)?;
    let (action, rest) = match rest.strip_prefix(r#""action":""#) {
        Some(rest) => {
            let (action, rest) = word(rest)?;
            (Some(Cow::Borrowed(action)), rest.strip_prefix(',')?)
        }
        None => (None, rest),
    };
    let data = rest.strip_prefix(r#""data":"#)?.strip_suffix('}')?;
    Some(Push { channel: channel.into(), name: name.into(), action, data })
}

/// What stands before the next quote, and what follows it. `None` for a text with an escape: left to the real parser.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_at_checked(memchr::memchr(b'"', text.as_bytes())?)?;
    let is_plain = memchr::memchr(b'\\', word.as_bytes()).is_none();
    is_plain.then_some((word, rest.get(1..)?))
}

fn read_any(text: &str) -> Result<Incoming<'_>, Rejected> {
    let frame: AnyFrame<'_> = decode::from_str(text)?;
    let arg = frame.arg.map(AnyArg::split);
    if let Some(event) = frame.event {
        return Ok(Incoming::Event(Event {
            event,
            arg,
            code: frame.code.unwrap_or_default(),
            message: frame.msg.unwrap_or_default(),
            id: frame.id,
        }));
    }
    match (arg, frame.data) {
        (Some((channel, name)), Some(data)) => {
            Ok(Incoming::Push(Push { channel, name, action: frame.action, data: data.get() }))
        }
        _ => Err(Rejected::new(
            "unknown_event",
            format_args!("frame without channel or event: {}", Rejected::start_of(text)),
        )),
    }
}
