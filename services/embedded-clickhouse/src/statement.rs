//! Tells what a statement is: an insert with data (and where the data begins), a query to stream, or anything else.
//!
//! Insert data must never reach the engine inside SQL text: the engine's client layer ends a statement at the first
//! blank line, and the rest of the data is lost without an error. So the text is cut here, before the data.

use crate::exception::{Code, Exception};
use crate::lexer::{Kind, Token, tokens};

/// What to do with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `INSERT INTO … FORMAT x` or `… VALUES`, with data after it.
    Insert {
        /// Length of the head, without its FORMAT clause.
        head_length: usize,
        /// Where the data begins.
        data_start: usize,
        /// Format of the data.
        format: String,
    },
    /// Returns rows; can be streamed.
    Select(Output),
    /// Everything else: run as a whole.
    Other(Output),
}

/// The text to run, and the format that it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// The statement; a FORMAT clause is blanked out, so that positions in error messages stay right.
    pub(crate) sql: Vec<u8>,
    /// The format of its FORMAT clause.
    pub(crate) format: Option<String>,
}

/// What the beginning of a text shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The statement.
    Statement(Statement),
    /// More text is needed to tell.
    Incomplete,
}

/// Looks at the text so far; `complete` when there is no more of it.
///
/// # Errors
/// Clauses that would read or write files of the machine on the client's behalf.
pub(crate) fn parse(text: &[u8], complete: bool) -> Result<Parsed, Exception> {
    // A token that touches the end may go on in the next piece, so it decides nothing yet.
    let tokens: Vec<Token> =
        tokens(text).take_while(|token| complete || token.end < text.len()).take(TOKENS_MAX).collect();
    let Some(first) = tokens.first() else {
        return Ok(if complete {
            Parsed::Statement(Statement::Other(output(text, &tokens)))
        } else {
            Parsed::Incomplete
        });
    };
    if first.is(text, "INSERT")
        && let Some(insert) = insert(text, &tokens)?
    {
        // The byte after the head may be the line feed that belongs to it.
        let cut = matches!(&insert, Statement::Insert { data_start, .. } if *data_start >= text.len());
        return Ok(if cut && !complete { Parsed::Incomplete } else { Parsed::Statement(insert) });
    }
    if !complete {
        return Ok(Parsed::Incomplete);
    }
    for pair in tokens.windows(2) {
        if let [a, b] = pair
            && a.is(text, "INTO")
            && b.is(text, "OUTFILE")
        {
            return Err(Exception::new(Code::IntoOutfileNotAllowed, "INTO OUTFILE is not allowed"));
        }
    }
    let returns_rows =
        ["SELECT", "WITH", "FROM"].iter().any(|word| first.is(text, word)) || first.is_symbol(b'(');
    let writes = tokens.iter().any(|token| token.is(text, "INSERT"));
    let output = output(text, &tokens);
    Ok(Parsed::Statement(if returns_rows && !writes {
        Statement::Select(output)
    } else {
        Statement::Other(output)
    }))
}

/// Where to stop looking: room for an `IN` list of a million values, a bound against endless text.
const TOKENS_MAX: usize = 4_000_000;

/// An insert whose data follows; `None` when its rows come from a SELECT, or its end is not there yet.
fn insert(text: &[u8], tokens: &[Token]) -> Result<Option<Statement>, Exception> {
    for (index, token) in tokens.iter().enumerate().skip(1) {
        let previous = index.checked_sub(1).and_then(|index| tokens.get(index));
        let next = tokens.get(index + 1);
        // A table or column may bear any of these words as its name.
        let is_name = previous.is_some_and(|previous| {
            previous.is_symbol(b'.')
                || ["INTO", "TABLE", "FUNCTION"].iter().any(|word| previous.is(text, word))
        });
        if is_name {
            continue;
        }
        if token.is_symbol(b';') || token.is(text, "SELECT") || token.is(text, "WITH") {
            return Ok(None);
        }
        if token.is(text, "INFILE") {
            return Err(Exception::new(
                Code::UnknownTypeOfQuery,
                "INSERT FROM INFILE is not allowed over HTTP",
            ));
        }
        if token.is(text, "VALUES") {
            return Ok(Some(Statement::Insert {
                head_length: token.start,
                data_start: token.end,
                format: "Values".to_owned(),
            }));
        }
        if token.is(text, "FORMAT")
            && let Some(name) = next.filter(|next| next.kind == Kind::Word)
        {
            return Ok(Some(Statement::Insert {
                head_length: token.start,
                data_start: data_start(text, name.end),
                format: String::from_utf8_lossy(name.of(text)).into_owned(),
            }));
        }
    }
    Ok(None)
}

/// Where data begins after `FORMAT x`: blanks and at most one line end belong to the statement, as in the server.
fn data_start(text: &[u8], name_end: usize) -> usize {
    let mut at = name_end;
    while matches!(text.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

/// Takes the FORMAT clause at a statement's end out of it.
fn output(text: &[u8], tokens: &[Token]) -> Output {
    let mut output = Output { sql: text.to_vec(), format: None };
    for (index, triple) in tokens.windows(2).enumerate() {
        let [word, name] = triple else { continue };
        let next = tokens.get(index + 2);
        let ends = next.is_none_or(|next| next.is_symbol(b';') || next.is(text, "SETTINGS"));
        if word.is(text, "FORMAT") && name.kind == Kind::Word && ends {
            if let Some(clause) = output.sql.get_mut(word.start..name.end) {
                clause.fill(b' ');
            }
            output.format = Some(String::from_utf8_lossy(name.of(text)).into_owned());
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Statement {
        match parse(text.as_bytes(), true).unwrap() {
            Parsed::Statement(statement) => statement,
            Parsed::Incomplete => panic!("incomplete: {text}"),
        }
    }

    fn insert_parts(text: &str) -> (&str, &str, String) {
        match parsed(text) {
            Statement::Insert { head_length, data_start, format } => {
                (text.get(..head_length).unwrap(), text.get(data_start..).unwrap(), format)
            }
            other @ (Statement::Select(_) | Statement::Other(_)) => {
                panic!("not an insert with data: {other:?}")
            }
        }
    }

    #[test]
    fn insert_data_is_cut_off_the_text() {
        for (text, head, data, format) in [
            ("INSERT INTO t FORMAT RowBinary\n\n\n;", "INSERT INTO t ", "\n\n;", "RowBinary"),
            (
                "insert into `t;` (a, `format`) format CSV  \r\n1,2",
                "insert into `t;` (a, `format`) ",
                "1,2",
                "CSV",
            ),
            (
                "INSERT INTO t SETTINGS a = 'FORMAT x' FORMAT TSV 1",
                "INSERT INTO t SETTINGS a = 'FORMAT x' ",
                "1",
                "TSV",
            ),
            ("INSERT INTO t VALUES (1), ('a;b')", "INSERT INTO t ", " (1), ('a;b')", "Values"),
            ("INSERT INTO format FORMAT TSV\n1", "INSERT INTO format ", "1", "TSV"),
            ("INSERT INTO d.values VALUES (1)", "INSERT INTO d.values ", " (1)", "Values"),
            (
                "/* ; */ INSERT INTO FUNCTION null('a Int') FORMAT Native\n",
                "/* ; */ INSERT INTO FUNCTION null('a Int') ",
                "",
                "Native",
            ),
        ] {
            assert_eq!(insert_parts(text), (head, data, format.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_head_that_may_go_on_decides_nothing() {
        let whole = b"INSERT INTO t FORMAT RowBinary\n\n";
        for length in 0.."INSERT INTO t FORMAT RowBinary\n".len() {
            assert_eq!(
                parse(whole.get(..length).unwrap(), false).unwrap(),
                Parsed::Incomplete,
                "after {length} bytes"
            );
        }
        let Parsed::Statement(Statement::Insert { data_start, .. }) = parse(whole, false).unwrap() else {
            panic!()
        };
        assert_eq!(data_start, whole.len() - 1);
    }

    #[test]
    fn rows_from_a_query_are_no_data() {
        for text in [
            "INSERT INTO t SELECT 1",
            "INSERT INTO t (a) WITH 1 AS x SELECT x",
            "INSERT INTO t SELECT 1; INSERT INTO t VALUES (1)",
            "WITH 1 AS x INSERT INTO t SELECT x",
        ] {
            assert!(matches!(parsed(text), Statement::Other(_)), "{text}");
        }
    }

    #[test]
    fn the_format_clause_is_taken_out_of_a_query() {
        let Statement::Select(output) = parsed("SELECT 1 AS format FORMAT JSON SETTINGS max_threads = 1")
        else {
            panic!()
        };
        assert_eq!(output.format.as_deref(), Some("JSON"));
        assert_eq!(output.sql, b"SELECT 1 AS format             SETTINGS max_threads = 1");
        let Statement::Other(output) = parsed("SHOW TABLES FORMAT CSV;") else { panic!() };
        assert_eq!(output.format.as_deref(), Some("CSV"));
    }

    #[test]
    fn files_of_the_machine_are_refused() {
        assert_eq!(parse(b"SELECT 1 INTO OUTFILE 'x'", true).unwrap_err().code(), 175);
        assert_eq!(parse(b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", true).unwrap_err().code(), 78);
    }
}
