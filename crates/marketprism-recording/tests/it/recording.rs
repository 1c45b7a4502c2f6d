//! Our own format: what is written is read, wherever the file ends.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use marketprism_core::Timestamp;
use marketprism_recording::{BLOCK_AGE_MICROS_MAX, Cut, Payload, ReadError, Reader, Record, What, Writer};
use proptest::prelude::*;

const START: i64 = 1_700_000_000_000_000;

fn record(after_micros: i64, what: What) -> Record {
    let at = Timestamp::from_micros(START + after_micros).unwrap();
    Record { at, integration: "binance_spot".into(), connection: "stream-0".into(), what }
}

fn frame(number: i64) -> Record {
    let payload = Payload::Text(format!(r#"{{"stream":"btcusdt@trade","data":{{"t":{number}}}}}"#));
    record(number, What::Frame { link: 3, payload })
}

fn every_kind() -> Vec<Record> {
    let path = || "/api/v3/depth?symbol=BTCUSDT&limit=1000".to_owned();
    let kinds = [
        What::Session { run: 5, config: r#"{"instruments":[]}"#.to_owned() },
        What::Instruments("[]".to_owned()),
        What::Opened { link: 7 },
        What::Closed { link: 7 },
        What::Frame { link: 7, payload: Payload::Text("{}\n{}".to_owned()) },
        What::Frame { link: 7, payload: Payload::Binary(vec![0, 255, b'\n']) },
        What::Sent { link: 7, text: "ping".to_owned() },
        What::Request { path: path() },
        What::Answer { path: path(), body: b"{\"lastUpdateId\":1,\xff}".to_vec() },
        What::Failed { path: path(), status: Some(429), retry_after_seconds: Some(5), reason: "slow".into() },
        What::Failed { path: path(), status: None, retry_after_seconds: None, reason: String::new() },
        What::Dropped { records: 12 },
    ];
    kinds.into_iter().zip(0..).map(|(what, number)| record(number, what)).collect()
}

fn write(path: &Path, records: &[Record]) {
    let mut writer = Writer::open(path).unwrap();
    for record in records {
        writer.write(record).unwrap();
    }
    writer.finish().unwrap();
}

fn read(bytes: &[u8]) -> (Vec<Record>, Option<Cut>) {
    let mut reader = Reader::new(bytes).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        records.push(record);
    }
    (records, reader.cut())
}

/// A file of three blocks with ten frames each.
fn three_blocks(path: &Path) -> Vec<Record> {
    let records: Vec<_> = (0..30).map(frame).collect();
    for block in records.chunks(10) {
        write(path, block);
    }
    records
}

#[test]
fn every_kind_of_record_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mprec");
    write(&path, &every_kind());
    assert_eq!(read(&std::fs::read(&path).unwrap()), (every_kind(), None));
}

/// As the documentation says: ordinary tools can read a recording.
#[test]
fn a_recording_is_plain_zstd_with_lines_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mprec");
    write(&path, &[frame(1)]);
    write(&path, &[frame(2)]);
    let file = std::fs::File::open(&path).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    let header = r#"{"at":1700000000000001,"integration":"binance_spot","connection":"stream-0","what":"frame","link":3,"bytes":41}"#;
    assert_eq!(lines[0], header);
    assert_eq!(lines[3], r#"{"stream":"btcusdt@trade","data":{"t":2}}"#);
}

#[test]
fn a_block_is_written_when_a_second_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&folder.path().join("a.mprec")).unwrap();
    writer.write(&frame(0)).unwrap();
    writer.write(&frame(BLOCK_AGE_MICROS_MAX - 1)).unwrap();
    assert_eq!((writer.pending_records(), writer.bytes()), (2, 0));
    writer.write(&frame(BLOCK_AGE_MICROS_MAX)).unwrap();
    assert_eq!(writer.pending_records(), 0);
    assert!(writer.bytes() > 0);
}

#[test]
fn wherever_it_is_cut_off_the_whole_blocks_are_read_and_the_place_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mprec");
    let records = three_blocks(&path);
    let whole = std::fs::read(&path).unwrap();
    let block_bytes = (whole.len() / 3) as u64;
    for length in 0..whole.len() {
        let (found, cut) = read(&whole[..length]);
        assert_eq!(found, records[..found.len()], "{length}");
        assert_eq!(found.len() % 10, 0, "{length}");
        let (at_byte, bytes) = match cut {
            Some(Cut::Block { at_byte, bytes }) => (at_byte, bytes),
            Some(other) => panic!("{other}"),
            None => (length as u64, 0),
        };
        assert_eq!(at_byte + bytes, length as u64);
        assert!(bytes <= block_bytes + 10, "{length}: {bytes}");
    }
    assert_eq!(read(&whole), (records, None));
}

#[test]
fn after_a_crash_the_writer_goes_on_behind_the_last_whole_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mprec");
    let records = three_blocks(&path);
    let whole = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(whole - 5).unwrap();
    write(&path, &[frame(99)]);
    let (found, cut) = read(&std::fs::read(&path).unwrap());
    assert_eq!(cut, None);
    assert_eq!(found[..20], records[..20]);
    assert_eq!(found[20..], [frame(99)]);
}

#[test]
fn damage_is_told_with_its_place_and_nothing_is_cut_off_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mprec");
    three_blocks(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.len() / 3 + 60;
    bytes[place] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = Writer::open(&path).unwrap_err();
    assert!(
        matches!(error, ReadError::Block { at_byte, .. } if (1..place as u64).contains(&at_byte)),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "a file that is not understood is left alone");
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::File::create(&path).unwrap().write_all(b"dear diary, today nothing happened").unwrap();
    let error = Writer::open(&path).unwrap_err().to_string();
    assert_eq!(error, "block at byte 0: no block of a MarketPrism recording begins so");
}

proptest! {
    /// Nor does anything else make it panic, or take memory that was only promised.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        is_prefixed in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mprec");
        write(&path, &[frame(1)]);
        let mut input = std::fs::read(&path).unwrap();
        if is_prefixed {
            let at = at.index(input.len());
            for (place, byte) in input[at..].iter_mut().zip(&bytes) {
                *place = *byte;
            }
        } else {
            input = bytes;
        }
        let mut reader = Reader::new(&input[..]).unwrap();
        while let Ok(Some(_)) = reader.next_record() {}
    }
}
