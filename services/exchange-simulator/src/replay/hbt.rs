//! hftbacktest's raw format: `<receive time, ns> <frame>` a line; the REST snapshot is a bare
//! `{"lastUpdateId":…}` line at its arrival place.

use super::capture::{Entry, Malformed};

/// Reads one line.
pub(crate) fn parse(line: &str) -> Result<Entry, Malformed> {
    if line.is_empty() {
        return Ok(Entry::Other);
    }
    let (time, frame) = line.split_once(' ').ok_or(Malformed)?;
    let at_ns = time.parse().map_err(|_| Malformed)?;
    if frame.starts_with("{\"lastUpdateId\":") {
        return Ok(Entry::Snapshot { at_ns, instrument_id: None, body: frame.to_owned() });
    }
    Ok(Entry::Frame { at_ns, text: frame.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{Entry, Malformed, parse};

    #[test]
    fn frames_and_snapshots() {
        assert_eq!(
            parse("12 {\"stream\":\"a@trade\",\"data\":{}}"),
            Ok(Entry::Frame { at_ns: 12, text: "{\"stream\":\"a@trade\",\"data\":{}}".to_owned() })
        );
        assert!(matches!(parse("13 {\"lastUpdateId\":1}"), Ok(Entry::Snapshot { at_ns: 13, .. })));
        assert_eq!(parse("x {}"), Err(Malformed));
    }
}
