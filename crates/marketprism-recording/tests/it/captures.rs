//! Captures in the formats of others, with our own numbers.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use marketprism_recording::capture::{CaptureReader, Format, companions};
use marketprism_recording::{Cut, Record, What};

const HBT: &str = r#"1700000000000000000 {"stream":"btcusdt@depth@0ms","data":{"U":1,"u":2}}
no line of this format
1700000000100000000 {"lastUpdateId":1,"bids":[],"asks":[]}

1700000000200000000 {"stream":"btcusdt@trade","data":{"t":1}}
"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn read(bytes: Vec<u8>, format: Format) -> (Vec<Record>, CaptureReader) {
    let mut reader =
        CaptureReader::new(std::io::Cursor::new(bytes), Path::new("btcusdt_1.gz"), format).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        records.push(record);
    }
    (records, reader)
}

#[test]
fn plain_and_gzip_are_the_same_and_every_line_is_accounted_for() {
    let (plain, reader) = read(HBT.into(), Format::Hbt);
    assert_eq!(plain.len(), 3);
    assert!(matches!(&plain[1].what, What::Answer { path, .. } if path == "/depth?symbol=BTCUSDT"));
    assert_eq!((reader.remarks(), reader.malformed(), reader.cut()), (1, (1, Some(2)), None));
    let two_members = [gzip(&HBT[..40]), gzip(&HBT[40..])].concat();
    assert_eq!(read(two_members, Format::Hbt).0, plain);
}

#[test]
fn a_gzip_file_that_ends_early_gives_its_lines_and_the_place() {
    let text: String = (0..5_000).map(|number| format!("{number} {{\"n\":{}}}\n", number * 7919)).collect();
    let mut bytes = gzip(&text);
    bytes.truncate(bytes.len() / 2);
    let (records, reader) = read(bytes, Format::Hbt);
    assert!((100..5_000).contains(&records.len()), "{}", records.len());
    assert_eq!(reader.cut(), Some(Cut::Line { line: records.len() as u64 }));
}

#[test]
fn rest_bodies_beside_a_capture_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let beside = |name: &str| folder.path().join(name);
    for name in ["OKX.ws.1.0", "OKX.0", "OTHER.http.0.0"] {
        std::fs::write(beside(name), "").unwrap();
    }
    assert_eq!(companions(&beside("OKX.ws.1.0"), Format::Cryptofeed), [beside("OKX.0")]);
    assert!(companions(&beside("OKX.0"), Format::Cryptofeed).is_empty());
    assert!(companions(&beside("OKX.ws.1.0"), Format::Hbt).is_empty());
}
