//! hftbacktest's raw format: `<receive time, ns> <frame>` a line. A REST depth body is a bare `{"lastUpdateId":…}` line at the
//! place where it arrived, without its path: it is of the instrument that the file is about.

use std::path::Path;

use marketprism_core::Timestamp;

use super::{Line, Malformed};
use crate::record::{Payload, What};

/// The instrument that a file is about.
#[derive(Debug)]
pub(super) struct About(String);

impl About {
    /// `ethusdt_20240808.gz` is about ETHUSDT, until its frames say it.
    pub(super) fn of_file(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Self(name.split(['_', '.']).next().unwrap_or_default().to_uppercase())
    }

    /// `{"stream":"ethusdt@trade",…}`
    fn learn(&mut self, frame: &str) {
        let symbol = frame.strip_prefix("{\"stream\":\"").and_then(|rest| rest.split_once('@'));
        if let Some((symbol, _)) = symbol
            && !symbol.eq_ignore_ascii_case(&self.0)
        {
            self.0 = symbol.to_uppercase();
        }
    }
}

/// Reads one line.
pub(super) fn parse(line: &str, about: &mut About) -> Result<Line, Malformed> {
    if line.is_empty() {
        return Ok(Line::Remark);
    }
    let (time, frame) = line.split_once(' ').ok_or(Malformed)?;
    let at = time.parse().ok().and_then(Timestamp::from_nanos).ok_or(Malformed)?;
    if frame.starts_with("{\"lastUpdateId\":") {
        let path = format!("/depth?symbol={}", about.0);
        return Ok(Line::Happened(at, What::Answer { path, body: frame.as_bytes().to_vec() }));
    }
    about.learn(frame);
    Ok(Line::Happened(at, What::Frame { link: 0, payload: Payload::Text(frame.to_owned()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_snapshots() {
        let mut about = About::of_file(Path::new("folder/ethusdt_20240808.gz"));
        let snapshot = "1700000000000001999 {\"lastUpdateId\":1}";
        let Ok(Line::Happened(at, What::Answer { path, body })) = parse(snapshot, &mut about) else {
            panic!("{snapshot}")
        };
        assert_eq!((at.as_micros(), path.as_str()), (1_700_000_000_000_001, "/depth?symbol=ETHUSDT"));
        assert_eq!(body, b"{\"lastUpdateId\":1}");

        let frame = "{\"stream\":\"btcusdt@trade\",\"data\":{}}";
        let Ok(Line::Happened(_, What::Frame { link: 0, payload })) =
            parse(&format!("12 {frame}"), &mut about)
        else {
            panic!("{frame}")
        };
        assert_eq!(payload, Payload::Text(frame.to_owned()));
        let Ok(Line::Happened(_, What::Answer { path, .. })) = parse(snapshot, &mut about) else {
            panic!("{snapshot}")
        };
        assert_eq!(path, "/depth?symbol=BTCUSDT", "the frames know better than the file's name");
        assert_eq!(parse("x {}", &mut about), Err(Malformed));
        assert_eq!(parse("", &mut about), Ok(Line::Remark));
    }
}
