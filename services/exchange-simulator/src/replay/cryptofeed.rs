//! cryptofeed's text format, one line each:
//! `<receive time, s>: <frame>`, `<url> -> <time, s>: <REST body>`, `<url> <- <time>: <sent by the client>`,
//! `<url> <-> <time>` connected, `configuration: {…}`. REST bodies may also be in sibling files.

use std::path::{Path, PathBuf};

use super::capture::{Entry, Malformed};

/// Reads one line.
pub(crate) fn parse(line: &str) -> Result<Entry, Malformed> {
    if line.is_empty() || line.starts_with("configuration: ") {
        return Ok(Entry::Other);
    }
    if line.starts_with(|first: char| first.is_ascii_digit()) {
        let (time, frame) = line.split_once(": ").ok_or(Malformed)?;
        let at_ns = nanoseconds(time).ok_or(Malformed)?;
        return Ok(Entry::Frame { at_ns, text: frame.to_owned() });
    }
    if line.contains(" <-> ") || line.contains(" <- ") {
        return Ok(Entry::Other);
    }
    let (url, answer) = line.split_once(" -> ").ok_or(Malformed)?;
    let (time, body) = answer.split_once(": ").ok_or(Malformed)?;
    let at_ns = nanoseconds(time).ok_or(Malformed)?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    if path.ends_with("/depth") {
        let symbol = query.split('&').find_map(|pair| pair.strip_prefix("symbol=")).ok_or(Malformed)?;
        let instrument_id = Some(symbol.to_owned());
        return Ok(Entry::Snapshot { at_ns, instrument_id, body: body.to_owned() });
    }
    if path.ends_with("/exchangeInfo") {
        return Ok(Entry::ExchangeInfo(body.to_owned()));
    }
    Ok(Entry::Other)
}

/// The files beside `X.ws.1.0` that hold its REST bodies: `X.http.0.0` and `X.0`, where they exist.
pub(crate) fn siblings(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((base, _)) = name.split_once(".ws.") else { return Vec::new() };
    ["http.0.0", "0"]
        .into_iter()
        .map(|suffix| path.with_file_name(format!("{base}.{suffix}")))
        .filter(|sibling| sibling.is_file())
        .collect()
}

/// `1633998512.0633569` to nanoseconds, without a float in between.
fn nanoseconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::{Entry, nanoseconds, parse};

    #[test]
    fn times_are_exact() {
        assert_eq!(nanoseconds("1633998512.0633569"), Some(1_633_998_512_063_356_900));
        assert_eq!(nanoseconds("1"), Some(1_000_000_000));
        assert_eq!(nanoseconds("x.5"), None);
    }

    #[test]
    fn rest_bodies_are_told_apart() {
        let line = "https://h/api/v3/depth?symbol=BTCUSDT&limit=1000 -> 2.5: {\"lastUpdateId\":1}";
        let Ok(Entry::Snapshot { at_ns, instrument_id, .. }) = parse(line) else { panic!("{line}") };
        assert_eq!((at_ns, instrument_id.as_deref()), (2_500_000_000, Some("BTCUSDT")));
        assert_eq!(parse("wss://h/stream?streams=a <-> 1.0"), Ok(Entry::Other));
        assert!(matches!(parse("https://h/fapi/v1/exchangeInfo -> 1.0: {}"), Ok(Entry::ExchangeInfo(_))));
        assert!(parse("nonsense").is_err());
    }
}
