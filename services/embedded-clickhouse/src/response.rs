//! The HTTP response: status, the interface's headers, body.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, header};

use crate::encoding::Encoding;
use crate::engine::Engine;
use crate::exception::Exception;
use crate::format;
use crate::reply::Head;

/// Rows, or the empty answer of a statement without any.
pub(crate) fn rows(
    head: &Head,
    encoding: Encoding,
    tag: &str,
    query_id: &str,
    engine: &Engine,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    let mut set = |name: &'static str, value: &str| {
        // A value that no header can carry (a query id with a line feed) is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    set("x-clickhouse-query-id", query_id);
    set("x-clickhouse-timezone", engine.timezone());
    set("x-clickhouse-server-display-name", "embedded-clickhouse");
    set("x-clickhouse-summary", &summary(head));
    set("x-clickhouse-exception-tag", tag);
    if let Some(format) = &head.format {
        set("x-clickhouse-format", format);
        set("content-type", format::content_type(format));
        if let Some(encoding) = encoding.header() {
            set("content-encoding", encoding);
        }
    }
    response
}

/// A statement that failed before any row was sent.
pub(crate) fn exception(exception: &Exception, version: &str, query_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(exception.text(version)));
    *response.status_mut() = exception.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    headers.insert("x-clickhouse-exception-code", HeaderValue::from(exception.code()));
    if let Ok(id) = HeaderValue::from_str(query_id) {
        headers.insert("x-clickhouse-query-id", id);
    }
    response
}

fn summary(head: &Head) -> String {
    let progress = head.progress;
    // A statement that writes counts what it wrote as its result, as the server does.
    let (result_rows, result_bytes) = if progress.written_rows > 0 {
        (progress.written_rows, progress.written_bytes)
    } else {
        (progress.result_rows, head.result_bytes as u64)
    };
    format!(
        r#"{{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}","total_rows_to_read":"0","result_rows":"{result_rows}","result_bytes":"{result_bytes}","elapsed_ns":"{}"}}"#,
        progress.read_rows,
        progress.read_bytes,
        progress.written_rows,
        progress.written_bytes,
        head.elapsed.as_nanos(),
    )
}
