//! cryptofeed's text format, one line each:
//! `<receive time, s>: <frame>`, `<url> <-> <time>` connected, `<url> <- <time>: <sent by the client>`,
//! `<url> -> <time>: <REST body>`, `configuration: {…}`.

use std::path::{Path, PathBuf};

use marketprism_core::Timestamp;

use super::{Line, Malformed};
use crate::record::{Payload, What};

/// Reads one line.
pub(super) fn parse(line: &str) -> Result<Line, Malformed> {
    if line.is_empty() || line.starts_with("configuration: ") {
        return Ok(Line::Remark);
    }
    if line.starts_with(|first: char| first.is_ascii_digit()) {
        let (at, frame) = timed(line)?;
        return Ok(Line::Happened(at, What::Frame { link: 0, payload: Payload::Text(frame.to_owned()) }));
    }
    if let Some((url, body)) = line.split_once(" -> ") {
        let (at, body) = timed(body)?;
        let path = path_of(url).to_owned();
        return Ok(Line::Happened(at, What::Answer { path, body: body.as_bytes().to_vec() }));
    }
    if let Some((_, time)) = line.split_once(" <-> ") {
        return Ok(Line::Happened(time_of(time).ok_or(Malformed)?, What::Opened { link: 0 }));
    }
    let (_, sent) = line.split_once(" <- ").ok_or(Malformed)?;
    let (at, text) = timed(sent)?;
    Ok(Line::Happened(at, What::Sent { link: 0, text: text.to_owned() }))
}

fn timed(text: &str) -> Result<(Timestamp, &str), Malformed> {
    let (time, rest) = text.split_once(": ").ok_or(Malformed)?;
    Ok((time_of(time).ok_or(Malformed)?, rest))
}

/// `1633998512.0633569`, without a float in between; rounded down to µs.
fn time_of(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    Timestamp::from_micros(seconds.checked_mul(1_000_000)?.checked_add(micros)?)
}

/// Path and query of a URL.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').and_then(|slash| after_scheme.get(slash..)).unwrap_or(after_scheme)
}

/// The files beside `X.ws.1.0` that hold its REST bodies: `X.http.0.0` and `X.0`, where they exist.
pub(super) fn companions(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((base, _)) = name.split_once(".ws.") else { return Vec::new() };
    ["0", "http.0.0"]
        .into_iter()
        .map(|suffix| path.with_file_name(format!("{base}.{suffix}")))
        .filter(|companion| companion.is_file())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        time_of(text).map(Timestamp::as_micros)
    }

    #[test]
    fn times_are_exact() {
        assert_eq!(micros("1633998512.0633569"), Some(1_633_998_512_063_356));
        assert_eq!(micros("1633998512.5"), Some(1_633_998_512_500_000));
        assert_eq!(micros("1"), Some(1_000_000));
        assert_eq!(micros("1.x"), None);
        assert_eq!(micros("99999999999999999999"), None);
    }

    #[test]
    fn each_kind_of_line_is_told_apart() {
        let happened = |line: &str| match parse(line) {
            Ok(Line::Happened(at, what)) => (at.as_micros(), what),
            other => panic!("{line}: {other:?}"),
        };
        let answer = "https://h/api/v3/depth?symbol=BTCUSDT&limit=1000 -> 2.5: {\"lastUpdateId\":1}";
        let path = "/api/v3/depth?symbol=BTCUSDT&limit=1000".to_owned();
        let body = b"{\"lastUpdateId\":1}".to_vec();
        assert_eq!(happened(answer), (2_500_000, What::Answer { path, body }));
        assert_eq!(happened("wss://h/stream?streams=a <-> 1.0"), (1_000_000, What::Opened { link: 0 }));
        let sent = What::Sent { link: 0, text: "{\"op\":1}".to_owned() };
        assert_eq!(happened("wss://h/ws <- 3.0: {\"op\":1}"), (3_000_000, sent));
        let payload = Payload::Text("{\"a\":\" -> \"}".to_owned());
        assert_eq!(happened("4.0: {\"a\":\" -> \"}"), (4_000_000, What::Frame { link: 0, payload }));
        assert_eq!(parse("configuration: {}"), Ok(Line::Remark));
        assert_eq!(parse("nonsense"), Err(Malformed));
    }
}
