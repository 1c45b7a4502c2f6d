//! A record as bytes: one line of JSON that says what it is and how many bytes follow, those bytes, a line end.
//!
//! ```text
//! {"at":1763706808123456,"integration":"binance_spot","connection":"stream-0","what":"frame","link":3,"bytes":218}
//! {"stream":"btcusdt@trade","data":{…}}
//! ```

use std::borrow::Cow;

use compact_str::CompactString;
use marketprism_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::{Payload, Record, What};

/// The line before the bytes. Readers ignore fields they do not know.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    at: Timestamp,
    #[serde(borrow)]
    integration: Cow<'a, str>,
    #[serde(borrow)]
    connection: Cow<'a, str>,
    what: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    bytes: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Session,
    Instruments,
    Opened,
    Closed,
    Frame,
    Binary,
    Sent,
    Request,
    Answer,
    Failed,
    Dropped,
}

/// What a record's bytes are about, beside when and where.
#[derive(Default)]
struct Facts<'a> {
    run: Option<u64>,
    link: Option<u64>,
    path: Option<&'a str>,
    status: Option<u16>,
    retry_after_seconds: Option<u64>,
    records: Option<u64>,
}

/// Appends a record to a block.
pub(crate) fn encode(record: &Record, block: &mut Vec<u8>) -> serde_json::Result<()> {
    let none = Facts::default;
    let (what, facts, bytes): (_, _, &[u8]) = match &record.what {
        What::Session { run, config } => {
            (Kind::Session, Facts { run: Some(*run), ..none() }, config.as_bytes())
        }
        What::Instruments(list) => (Kind::Instruments, none(), list.as_bytes()),
        What::Opened { link } => (Kind::Opened, of_link(*link), b""),
        What::Closed { link } => (Kind::Closed, of_link(*link), b""),
        What::Frame { link, payload: Payload::Text(text) } => (Kind::Frame, of_link(*link), text.as_bytes()),
        What::Frame { link, payload: Payload::Binary(bytes) } => (Kind::Binary, of_link(*link), bytes),
        What::Sent { link, text } => (Kind::Sent, of_link(*link), text.as_bytes()),
        What::Request { path } => (Kind::Request, Facts { path: Some(path), ..none() }, b""),
        What::Answer { path, body } => (Kind::Answer, Facts { path: Some(path), ..none() }, body),
        What::Failed { path, status, retry_after_seconds, reason } => {
            let (status, retry_after_seconds) = (*status, *retry_after_seconds);
            let facts = Facts { path: Some(path), status, retry_after_seconds, ..none() };
            (Kind::Failed, facts, reason.as_bytes())
        }
        What::Dropped { records } => (Kind::Dropped, Facts { records: Some(*records), ..none() }, b""),
    };
    let header = Header {
        at: record.at,
        integration: Cow::Borrowed(&record.integration),
        connection: Cow::Borrowed(&record.connection),
        what,
        run: facts.run,
        link: facts.link,
        path: facts.path.map(Cow::Borrowed),
        status: facts.status,
        retry_after_seconds: facts.retry_after_seconds,
        records: facts.records,
        bytes: bytes.len(),
    };
    serde_json::to_writer(&mut *block, &header)?;
    block.push(b'\n');
    block.extend_from_slice(bytes);
    block.push(b'\n');
    Ok(())
}

fn of_link(link: u64) -> Facts<'static> {
    Facts { link: Some(link), ..Facts::default() }
}

/// Takes the first record off `block`. `Err` says what is wrong with it.
pub(crate) fn decode(block: &mut &[u8]) -> Result<Record, String> {
    let (line, rest) = split_at_line_end(block).ok_or("a header without a line end")?;
    let header: Header<'_> = serde_json::from_slice(line).map_err(|error| format!("header: {error}"))?;
    let bytes = rest.get(..header.bytes).ok_or_else(|| format!("{} bytes are not there", header.bytes))?;
    let rest = rest.get(header.bytes..).unwrap_or_default();
    *block = rest.strip_prefix(b"\n").ok_or("no line end after the bytes")?;
    let link = || header.link.ok_or("no field `link`");
    let path = || header.path.as_deref().map(str::to_owned).ok_or("no field `path`");
    let what = match header.what {
        Kind::Session => What::Session { run: header.run.ok_or("no field `run`")?, config: text(bytes)? },
        Kind::Instruments => What::Instruments(text(bytes)?),
        Kind::Opened => What::Opened { link: link()? },
        Kind::Closed => What::Closed { link: link()? },
        Kind::Frame => What::Frame { link: link()?, payload: Payload::Text(text(bytes)?) },
        Kind::Binary => What::Frame { link: link()?, payload: Payload::Binary(bytes.to_vec()) },
        Kind::Sent => What::Sent { link: link()?, text: text(bytes)? },
        Kind::Request => What::Request { path: path()? },
        Kind::Answer => What::Answer { path: path()?, body: bytes.to_vec() },
        Kind::Failed => {
            let Header { status, retry_after_seconds, .. } = header;
            What::Failed { path: path()?, status, retry_after_seconds, reason: text(bytes)? }
        }
        Kind::Dropped => What::Dropped { records: header.records.ok_or("no field `records`")? },
    };
    let (integration, connection) =
        (CompactString::from(header.integration), CompactString::from(header.connection));
    Ok(Record { at: header.at, integration, connection, what })
}

fn split_at_line_end(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', block)?;
    Some((block.get(..end)?, block.get(end + 1..)?))
}

fn text(bytes: &[u8]) -> Result<String, String> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|error| format!("bytes: {error}"))
}
