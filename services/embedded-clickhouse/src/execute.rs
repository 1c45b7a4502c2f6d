//! One statement from text to reply, on a thread of its own: reads the text, opens a connection, runs, replies.

use std::io::BufRead;

use tokio::sync::mpsc;

use crate::body::{self, Piece};
use crate::engine::{Engine, Setting, identifier};
use crate::exception::{Code, Exception};
use crate::ffi::{Connection, Progress};
use crate::format::{self, Streaming};
use crate::lease::Lease;
use crate::lexer;
use crate::reply::{Gone, Reply};
use crate::request::Request;
use crate::select;
use crate::session::Sessions;
use crate::statement::{self, Output, Parsed, Statement};

/// The server's `max_query_size` is 256 KiB of SQL; literal-heavy texts are raised by a setting there, and bounded here.
const STATEMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What went wrong, and whether there is anyone to tell.
pub(crate) enum Failure {
    Exception(Exception),
    Gone,
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Self {
        Self::Exception(exception)
    }
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// What a statement came to, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Done { written_rows: u64 },
    Failed { code: u32 },
    Cancelled,
}

/// Runs the request's statement and replies.
pub(crate) fn execute(
    engine: &Engine,
    sessions: &Sessions,
    request: &Request,
    id: &str,
    pieces: mpsc::Receiver<Piece>,
    mut reply: Reply,
) -> Ended {
    match attempt(engine, sessions, request, id, pieces, &mut reply) {
        Ok(progress) => Ended::Done { written_rows: progress.written_rows },
        Err(Failure::Gone) => Ended::Cancelled,
        Err(Failure::Exception(exception)) => {
            let code = exception.code();
            if exception.is_denied() {
                let reason = exception.text(engine.version());
                tracing::warn!(
                    query_id = request.query_id,
                    reason = reason.trim_end(),
                    "a statement is denied"
                );
            }
            match reply.fail(exception) {
                Ok(()) => Ended::Failed { code },
                Err(Gone) => Ended::Cancelled,
            }
        }
    }
}

fn attempt(
    engine: &Engine,
    sessions: &Sessions,
    request: &Request,
    id: &str,
    pieces: mpsc::Receiver<Piece>,
    reply: &mut Reply,
) -> Result<Progress, Failure> {
    crate::engine::enter()?;
    let mut body = body::decoded(pieces, request.content_encoding, request.blocks);
    let (text, statement) = read(&request.query, body.as_mut())?;
    let settings = settings(engine, request, id)?;
    let mut lease = Lease::open(engine, sessions, request, &settings, &statement)?;
    let connection = lease.connection()?;
    if request.session.is_none()
        && let Some(database) = &request.database
    {
        crate::engine::run(connection, &format!("USE {}", identifier(database)))?;
    }
    if reply.is_gone() {
        return Err(Failure::Gone);
    }
    let progress = match statement {
        Statement::Insert { head_length, data_start, format } => {
            let head = text.get(..head_length).unwrap_or_default();
            let data = text.get(data_start..).unwrap_or_default();
            let progress = insert(connection, request, head, &format, data, body.as_mut())?;
            reply.begin(None, progress, 0)?;
            progress
        }
        Statement::Select(output) => {
            check_single(connection, &output)?;
            let format = format_of(&output, request);
            let streaming = if request.whole || rows_in_array(request, &output) {
                Streaming::Whole
            } else {
                format::streaming(&format)
            };
            match streaming {
                Streaming::Whole => whole(connection, request, &output, &format, reply)?,
                Streaming::Rows | Streaming::Header => {
                    match select::stream(connection, request, &output, &format, streaming, reply)? {
                        Some(progress) => progress,
                        // No row came, so no header came either: made whole, it has one.
                        None => whole(connection, request, &output, &format, reply)?,
                    }
                }
            }
        }
        Statement::Other(output) => {
            check_single(connection, &output)?;
            let format = format_of(&output, request);
            whole(connection, request, &output, &format, reply)?
        }
    };
    reply.finish()?;
    Ok(progress)
}

/// The text of the statement, and for an insert the first of its data; the rest stays in the body.
fn read(query: &[u8], body: &mut dyn BufRead) -> Result<(Vec<u8>, Statement), Exception> {
    let mut text = query.to_vec();
    if !text.is_empty() && text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
    // Looked at again only when it has doubled, so that many small pieces cost no more than a few large ones.
    let mut look_at = 0;
    loop {
        if text.len() >= look_at
            && let Parsed::Statement(statement) = statement::parse(&text, false)?
        {
            return Ok((text, statement));
        }
        look_at = text.len() * 2;
        let piece = body.fill_buf().map_err(|error| body::exception(&error))?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        text.extend_from_slice(piece);
        body.consume(length);
        if text.len() > STATEMENT_BYTES_MAX {
            // An insert whose head is complete is found here at the latest.
            if let Parsed::Statement(statement) = statement::parse(&text, false)? {
                return Ok((text, statement));
            }
            return Err(Exception::new(
                Code::SyntaxError,
                format_args!("Max query size exceeded: a statement has at most {STATEMENT_BYTES_MAX} bytes"),
            ));
        }
    }
    match statement::parse(&text, true)? {
        Parsed::Statement(statement) if !text.iter().all(u8::is_ascii_whitespace) => Ok((text, statement)),
        Parsed::Statement(_) | Parsed::Incomplete => Err(Exception::new(
            Code::SyntaxError,
            "Syntax error: failed at position 1 (end of query): Empty query",
        )),
    }
}

/// The request's settings, with ours last: read-only access wins over what it says itself.
fn settings(engine: &Engine, request: &Request, id: &str) -> Result<Vec<Setting>, Exception> {
    let mut settings = Vec::with_capacity(request.settings.len() + 2);
    let mut comment = id.to_owned();
    for (name, value) in &request.settings {
        engine.check_setting(name)?;
        if name == "log_comment" {
            comment = format!("{id} {value}");
        } else {
            settings.push((name.clone(), value.clone()));
        }
    }
    // The engine takes no query id; this is what `KILL QUERY` finds the statement by.
    settings.push(("log_comment".to_owned(), comment));
    if request.read_only && request.session.is_none() {
        settings.retain(|(name, value)| name != "readonly" || value != "0");
        if !settings.iter().any(|(name, _)| name == "readonly") {
            settings.push(("readonly".to_owned(), "2".to_owned()));
        }
    }
    Ok(settings)
}

/// The engine would run `a; b` one after the other; the server refuses, and so do we.
fn check_single(connection: &mut Connection, output: &Output) -> Result<(), Exception> {
    match connection.statement_count(&output.sql) {
        Some(count) if count > 1 => {
            Err(Exception::new(Code::SyntaxError, "Syntax error (Multi-statements are not allowed)"))
        }
        _ => Ok(()),
    }
}

fn format_of(output: &Output, request: &Request) -> String {
    output
        .format
        .clone()
        .or_else(|| request.default_format.clone())
        .unwrap_or_else(|| format::DEFAULT.to_owned())
}

/// With this setting JSON rows are one array, which has an end.
fn rows_in_array(request: &Request, output: &Output) -> bool {
    const NAME: &str = "output_format_json_array_of_rows";
    request.settings.iter().any(|(name, _)| name == NAME)
        || output.sql.windows(NAME.len()).any(|window| window == NAME.as_bytes())
}

fn whole(
    connection: &mut Connection,
    request: &Request,
    output: &Output,
    format: &str,
    reply: &mut Reply,
) -> Result<Progress, Failure> {
    /// Pieces in which a whole result is encoded and sent.
    const PIECE_BYTES: usize = 1024 * 1024;

    let outcome = connection.query(&output.sql, format, &request.parameters);
    if let Some(error) = outcome.error() {
        return Err(Exception::from_engine(&error).into());
    }
    let bytes = outcome.bytes();
    reply.begin(Some(format), outcome.progress(), bytes.len())?;
    for piece in bytes.chunks(PIECE_BYTES) {
        reply.piece(piece)?;
    }
    Ok(outcome.progress())
}

fn insert(
    connection: &mut Connection,
    request: &Request,
    head: &[u8],
    format: &str,
    data: &[u8],
    body: &mut dyn BufRead,
) -> Result<Progress, Exception> {
    if !format::is_input(format) {
        return Err(Exception::new(
            Code::UnknownFormat,
            format_args!(
                "Format {format} is not suitable for input of the embedded engine (Native, RowBinary*, JSON*, CSV*, TSV*, Values and LineAsString are)"
            ),
        ));
    }
    let values = if format == "Values" { Some(values(data, body)?) } else { None };
    let data = values.as_deref().unwrap_or(data);
    let mut insert = connection.insert(head, format, &request.parameters);
    if let Some(error) = insert.error() {
        return Err(Exception::from_engine(&error));
    }
    let mut taken = insert.append(data);
    while taken {
        // A body that cannot be read to its end drops the insert, which cancels it.
        let piece = body.fill_buf().map_err(|error| body::exception(&error))?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        taken = insert.append(piece);
        body.consume(length);
    }
    let refused = insert.error();
    let outcome = insert.finish();
    match refused.or_else(|| outcome.error()) {
        Some(error) => Err(Exception::from_engine(&error)),
        None if !taken => {
            Err(Exception::new(Code::UnknownException, "The engine refused insert data without a reason"))
        }
        None => Ok(outcome.progress()),
    }
}

/// `VALUES` data, whole: the engine drops what follows a semicolon without an error, and another statement may be there.
fn values(data: &[u8], body: &mut dyn BufRead) -> Result<Vec<u8>, Exception> {
    let mut values = data.to_vec();
    loop {
        let piece = body.fill_buf().map_err(|error| body::exception(&error))?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        values.extend_from_slice(piece);
        body.consume(length);
        if values.len() > STATEMENT_BYTES_MAX {
            return Err(Exception::new(
                Code::SyntaxError,
                format_args!(
                    "VALUES of one insert have at most {STATEMENT_BYTES_MAX} bytes: send more as another format"
                ),
            ));
        }
    }
    let mut after = lexer::tokens(&values).skip_while(|token| !token.is_symbol(b';') || token.depth > 0);
    if after.any(|token| !token.is_symbol(b';')) {
        return Err(Exception::new(Code::SyntaxError, "Syntax error (Multi-statements are not allowed)"));
    }
    Ok(values)
}
