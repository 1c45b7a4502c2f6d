//! Streams a query's result: the engine formats each piece as a document of its own, so repeated headers are cut.

use crate::exception::{Code, Exception};
use crate::execute::Failure;
use crate::ffi::{Connection, Progress};
use crate::format::Streaming;
use crate::reply::Reply;
use crate::request::Request;
use crate::statement::Output;

/// Runs the query and sends its pieces; `None`, and nothing sent, if a format with a header gave no row.
pub(crate) fn stream(
    connection: &mut Connection,
    request: &Request,
    output: &Output,
    format: &str,
    streaming: Streaming,
    reply: &mut Reply,
) -> Result<Option<Progress>, Failure> {
    let mut stream = connection.stream(&output.sql, format, &request.parameters);
    if let Some(error) = stream.error() {
        return Err(Exception::from_engine(&error).into());
    }
    let mut header: Option<Vec<u8>> = None;
    let mut progress = Progress::default();
    let mut begun = false;
    loop {
        let piece = stream.fetch();
        if let Some(error) = piece.error() {
            return Err(Exception::from_engine(&error).into());
        }
        let bytes = piece.bytes();
        if bytes.is_empty() {
            break;
        }
        progress = piece.progress();
        let rows = match &header {
            None => {
                if streaming == Streaming::Header {
                    header = Some(bytes.get(..header_length(format, bytes)?).unwrap_or_default().to_vec());
                }
                bytes
            }
            Some(header) => bytes.strip_prefix(header.as_slice()).ok_or_else(|| broken(format))?,
        };
        if !begun {
            reply.begin(Some(format), progress, bytes.len())?;
            begun = true;
        }
        reply.piece(rows)?;
    }
    if !begun {
        if streaming == Streaming::Header {
            return Ok(None);
        }
        reply.begin(Some(format), progress, 0)?;
    }
    Ok(Some(progress))
}

fn broken(format: &str) -> Exception {
    Exception::new(
        Code::UnknownException,
        format_args!("The engine's pieces of a {format} result do not fit together"),
    )
}

/// Where the rows begin. Not the pieces' common prefix: equal first rows would count as header.
fn header_length(format: &str, piece: &[u8]) -> Result<usize, Exception> {
    let types = format.ends_with("AndTypes");
    let length = if format.starts_with("RowBinary") {
        row_binary_header_length(piece, types)
    } else {
        line_header_length(piece, if types { 2 } else { 1 }, format.starts_with("CSV"))
    };
    length.ok_or_else(|| broken(format))
}

/// A count, that many names and, if so, that many types; texts are preceded by their lengths.
fn row_binary_header_length(piece: &[u8], types: bool) -> Option<usize> {
    let (columns, mut at) = varint(piece, 0)?;
    for _ in 0..columns.checked_mul(if types { 2 } else { 1 })? {
        let (length, start) = varint(piece, at)?;
        at = start.checked_add(usize::try_from(length).ok()?)?;
    }
    (at <= piece.len()).then_some(at)
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value: u64 = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
    }
    None
}

/// Lines end outside of CSV's quotes; TSV and JSON escape line feeds within names.
fn line_header_length(piece: &[u8], lines: usize, quotes: bool) -> Option<usize> {
    let mut quoted = false;
    let mut ends = piece.iter().enumerate().filter(|(_, byte)| {
        quoted ^= quotes && **byte == b'"';
        **byte == b'\n' && !quoted
    });
    ends.nth(lines - 1).map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_where_the_rows_begin() {
        assert_eq!(header_length("RowBinaryWithNames", b"\x01\x01a\x01a\x01a").unwrap(), 3);
        assert_eq!(header_length("RowBinaryWithNamesAndTypes", b"\x01\x01a\x05UInt8\x01").unwrap(), 9);
        assert_eq!(header_length("TSVWithNames", b"a\tb\"\na\tb\n").unwrap(), 5);
        assert_eq!(header_length("CSVWithNamesAndTypes", b"\"a\nb\"\n\"UInt8\"\n1\n").unwrap(), 14);
        for length in 0..9 {
            assert!(header_length("RowBinaryWithNamesAndTypes", &b"\x01\x01a\x05UInt8"[..length]).is_err());
        }
        assert!(header_length("RowBinaryWithNames", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f").is_err());
    }
}
