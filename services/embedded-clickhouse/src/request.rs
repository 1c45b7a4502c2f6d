//! What an HTTP request asks: parameters of URL and form, headers, credentials. Runs nothing.

use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::body::ContentEncoding;
use crate::encoding::Encoding;
use crate::engine::Setting;
use crate::exception::{Code, Exception};
use crate::ffi::Parameters;
use crate::session::{self, SessionRequest};

/// A request, as the statement's thread needs it.
#[derive(Debug)]
pub(crate) struct Request {
    /// The statement's text, or its beginning; the body follows.
    pub(crate) query: Vec<u8>,
    /// `query_id`, the client's or ours.
    pub(crate) query_id: String,
    /// `database`
    pub(crate) database: Option<String>,
    /// `default_format`
    pub(crate) default_format: Option<String>,
    /// Every parameter that is not one of the interface's own.
    pub(crate) settings: Vec<Setting>,
    /// `param_…`
    pub(crate) parameters: Parameters,
    /// `session_…`
    pub(crate) session: Option<SessionRequest>,
    /// GET: must change nothing.
    pub(crate) read_only: bool,
    /// `wait_end_of_query`: headers only when the result is whole.
    pub(crate) whole: bool,
    /// `Content-Encoding`
    pub(crate) content_encoding: ContentEncoding,
    /// `decompress`: the body is in compressed blocks.
    pub(crate) blocks: bool,
    /// What to send.
    pub(crate) encoding: Encoding,
}

/// Who asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Name-value pairs in the order they came; a later one wins.
pub(crate) type Pairs = Vec<(String, String)>;

/// The parameters of a URL.
pub(crate) fn url_pairs(query: Option<&str>) -> Pairs {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// From `Authorization: Basic`, else `X-ClickHouse-User` and `-Key`, else `user` and `password`, else `default` without.
pub(crate) fn credentials(headers: &HeaderMap, pairs: &Pairs) -> Result<Credentials, Exception> {
    if let Some(authorization) = text(headers, header::AUTHORIZATION.as_str()) {
        return basic(authorization).ok_or_else(|| {
            Exception::new(
                Code::AuthenticationFailed,
                "Authorization has to be `Basic` with a user and a password",
            )
        });
    }
    let named = |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let user = text(headers, "x-clickhouse-user").map(str::to_owned).or_else(|| named("user"));
    let password = text(headers, "x-clickhouse-key").map(str::to_owned).or_else(|| named("password"));
    Ok(Credentials {
        user: user.filter(|user| !user.is_empty()).unwrap_or_else(|| "default".to_owned()),
        password: password.unwrap_or_default(),
    })
}

fn basic(authorization: &str) -> Option<Credentials> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.to_owned() })
}

impl Request {
    /// Sorts parameters and headers.
    pub(crate) fn new(
        method: &Method,
        headers: &HeaderMap,
        pairs: Pairs,
        user: String,
        id: &str,
    ) -> Result<Self, Exception> {
        let content_encoding =
            ContentEncoding::parse(text(headers, header::CONTENT_ENCODING.as_str()).unwrap_or_default())?;
        let mut request = Self {
            query: Vec::new(),
            query_id: id.to_owned(),
            database: text(headers, "x-clickhouse-database").map(str::to_owned),
            default_format: text(headers, "x-clickhouse-format").map(str::to_owned),
            settings: Vec::new(),
            parameters: Parameters::default(),
            session: None,
            read_only: method == Method::GET,
            whole: false,
            content_encoding,
            blocks: false,
            encoding: Encoding::accepted(text(headers, header::ACCEPT_ENCODING.as_str()).unwrap_or_default()),
        };
        let mut session =
            SessionRequest { id: String::new(), user, must_exist: false, timeout: session::TIMEOUT_DEFAULT };
        for (name, value) in pairs {
            match name.as_str() {
                "query" => request.query.extend_from_slice(value.as_bytes()),
                "query_id" if !value.is_empty() => request.query_id = value,
                "database" if !value.is_empty() => request.database = Some(value),
                "default_format" if !value.is_empty() => request.default_format = Some(value),
                "wait_end_of_query" => request.whole = flag(&value),
                "compress" => {
                    if flag(&value) {
                        request.encoding = Encoding::Blocks;
                    }
                }
                "decompress" => request.blocks = flag(&value),
                "session_id" => session.id = value,
                "session_check" => session.must_exist = flag(&value),
                "session_timeout" => session.timeout = session_timeout(&value)?,
                // The interface's own, without a meaning here.
                "query_id"
                | "database"
                | "default_format"
                | "user"
                | "password"
                | "quota_key"
                | "stacktrace"
                | "buffer_size"
                | "client_protocol_version"
                | "close_session" => {}
                "role" => {
                    return Err(Exception::new(Code::NotImplemented, "The embedded engine has no roles"));
                }
                // The engine would compress by this for a connection of its own.
                "enable_http_compression" | "http_zlib_compression_level" => {}
                _ => match name.strip_prefix("param_") {
                    Some(parameter) => request.parameters.push(parameter, value),
                    None => request.settings.push((name, value)),
                },
            }
        }
        if !session.id.is_empty() {
            request.session = Some(session);
        }
        Ok(request)
    }
}

fn flag(value: &str) -> bool {
    matches!(value, "1" | "true")
}

fn session_timeout(value: &str) -> Result<Duration, Exception> {
    let timeout =
        value.parse().ok().map(Duration::from_secs).filter(|timeout| *timeout <= session::TIMEOUT_MAX);
    timeout.ok_or_else(|| {
        let seconds_max = session::TIMEOUT_MAX.as_secs();
        Exception::new(
            Code::InvalidSessionTimeout,
            format_args!("Invalid session timeout: '{value}' (at most {seconds_max} seconds)"),
        )
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Request, Exception> {
        Request::new(&Method::POST, &HeaderMap::new(), url_pairs(Some(url)), "default".to_owned(), "our-id")
    }

    #[test]
    fn parameters_are_sorted() {
        let request = of("query=SELECT+1&database=d&max_threads=2&param_x=a%0Ab&compress=1&decompress=1&session_id=s&session_timeout=5").unwrap();
        assert_eq!(request.query, b"SELECT 1");
        assert_eq!(request.query_id, "our-id");
        assert_eq!(request.database.as_deref(), Some("d"));
        assert_eq!(request.settings, [("max_threads".to_owned(), "2".to_owned())]);
        assert_eq!(request.encoding, Encoding::Blocks);
        assert!(request.blocks);
        assert_eq!(request.session.unwrap().timeout, Duration::from_secs(5));
    }

    #[test]
    fn bad_session_timeouts_are_refused() {
        for value in ["-1", "x", "3601"] {
            assert_eq!(of(&format!("session_timeout={value}")).unwrap_err().code(), 374, "{value}");
        }
    }

    #[test]
    fn credentials_come_from_one_place() {
        let mut headers = HeaderMap::new();
        let pairs = url_pairs(Some("user=u&password=p"));
        let who =
            |user: &str, password: &str| Credentials { user: user.to_owned(), password: password.to_owned() };
        assert_eq!(credentials(&headers, &Vec::new()).unwrap(), who("default", ""));
        assert_eq!(credentials(&headers, &pairs).unwrap(), who("u", "p"));
        headers.insert("x-clickhouse-user", "h".parse().unwrap());
        headers.insert("x-clickhouse-key", "k".parse().unwrap());
        assert_eq!(credentials(&headers, &pairs).unwrap(), who("h", "k"));
        headers.insert(header::AUTHORIZATION, "Basic YTpiOmM=".parse().unwrap());
        assert_eq!(credentials(&headers, &pairs).unwrap(), who("a", "b:c"));
        headers.insert(header::AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(credentials(&headers, &pairs).unwrap_err().code(), 516);
    }
}
