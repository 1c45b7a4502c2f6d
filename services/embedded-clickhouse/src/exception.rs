//! A ClickHouse exception: code, text and HTTP status, as the server tells them.

use axum::http::StatusCode;

use crate::confine;

/// What a client gets to hear when a statement fails.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    code: u32,
    text: String,
}

/// The codes that this front raises itself. The engine's own pass through as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Code {
    CannotParseMultipart = 6,
    CannotReadAllData = 33,
    ChecksumDoesNotMatch = 40,
    NotImplemented = 48,
    SyntaxError = 62,
    UnknownFormat = 73,
    UnknownTypeOfQuery = 78,
    UnknownCompressionMethod = 89,
    UnknownSetting = 115,
    CannotStartThread = 439,
    IntoOutfileNotAllowed = 175,
    TooManySimultaneousQueries = 202,
    ReadOnly = 164,
    CannotDecompress = 271,
    SessionNotFound = 372,
    SessionIsLocked = 373,
    InvalidSessionTimeout = 374,
    AccessDenied = 497,
    AuthenticationFailed = 516,
    UnknownException = 1002,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::CannotParseMultipart => "CANNOT_PARSE_TEXT",
            Self::CannotReadAllData => "CANNOT_READ_ALL_DATA",
            Self::ChecksumDoesNotMatch => "CHECKSUM_DOESNT_MATCH",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::UnknownFormat => "UNKNOWN_FORMAT",
            Self::UnknownTypeOfQuery => "UNKNOWN_TYPE_OF_QUERY",
            Self::UnknownCompressionMethod => "UNKNOWN_COMPRESSION_METHOD",
            Self::UnknownSetting => "UNKNOWN_SETTING",
            Self::CannotStartThread => "CANNOT_SCHEDULE_TASK",
            Self::IntoOutfileNotAllowed => "INTO_OUTFILE_NOT_ALLOWED",
            Self::TooManySimultaneousQueries => "TOO_MANY_SIMULTANEOUS_QUERIES",
            Self::ReadOnly => "READONLY",
            Self::CannotDecompress => "CANNOT_DECOMPRESS",
            Self::SessionNotFound => "SESSION_NOT_FOUND",
            Self::SessionIsLocked => "SESSION_IS_LOCKED",
            Self::InvalidSessionTimeout => "INVALID_SESSION_TIMEOUT",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::AuthenticationFailed => "AUTHENTICATION_FAILED",
            Self::UnknownException => "UNKNOWN_EXCEPTION",
        }
    }
}

/// `SETTING_CONSTRAINT_VIOLATION` (`users_xml.rs` has the only constraints) and `PATH_ACCESS_DENIED`.
const REFUSED: [u32; 2] = [452, 481];

/// What a denied statement is told besides.
const ALLOWED_BY: &str = "(statements stay within the engine's own tables; allow_outside of the configuration of embedded-clickhouse allows more)";

impl Exception {
    /// An exception of this front.
    pub(crate) fn new(code: Code, message: impl std::fmt::Display) -> Self {
        Self {
            code: code as u32,
            text: format!("Code: {}. DB::Exception: {message}. ({})", code as u32, code.name()),
        }
    }

    /// An exception of the engine. Some texts end with a version, some do not: it is cut here and added by [`Self::text`].
    pub(crate) fn from_engine(text: &str) -> Self {
        let text = text.trim();
        let text = text.find("Code: ").and_then(|start| text.get(start..)).unwrap_or(text);
        // Some are wrapped in themselves, once or twice: then the innermost is the text, up to its own version.
        let innermost =
            text.rfind("DB::Exception: Code: ").and_then(|start| text.get(start + "DB::Exception: ".len()..));
        let nested = innermost.filter(|_| text.matches("DB::Exception: Code: ").count() > 1);
        let end = nested.map_or_else(|| text.rfind("(version "), |text| text.find("(version "));
        let text = nested.unwrap_or(text);
        let text = end.and_then(|end| text.get(..end)).unwrap_or(text).trim_end();
        let code = Self::code_of(text);
        if code == Code::AccessDenied as u32 {
            let text = text.trim_end_matches(" (ACCESS_DENIED)");
            return Self { code, text: format!("{text} {ALLOWED_BY} (ACCESS_DENIED)") };
        }
        // Settings are constrained, and files and networks refused by the kernel, for the same reason.
        if REFUSED.contains(&code) || confine::is_refusal(text) {
            return Self::new(Code::AccessDenied, format_args!("{text} {ALLOWED_BY}"));
        }
        Self { code, text: text.to_owned() }
    }

    fn code_of(text: &str) -> u32 {
        text.strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(digits, _)| digits.parse().ok())
            .unwrap_or(Code::UnknownException as u32)
    }

    /// Whether a statement reached outside of the engine's own tables.
    pub(crate) fn is_denied(&self) -> bool {
        self.code == Code::AccessDenied as u32
    }

    /// The number that `X-ClickHouse-Exception-Code` carries.
    pub(crate) fn code(&self) -> u32 {
        self.code
    }

    /// The text as the server writes it, ending with the version and a line feed.
    pub(crate) fn text(&self, version: &str) -> String {
        format!("{} (version {version} (official build))\n", self.text)
    }

    /// The server's HTTP status for the code.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            194 => StatusCode::UNAUTHORIZED,
            192 | 193 | 497 | 512 | 516 => StatusCode::FORBIDDEN,
            6 | 15 | 25 | 26 | 27 | 36 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 427 => StatusCode::BAD_REQUEST,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 336 | 511 => StatusCode::NOT_FOUND,
            159 => StatusCode::REQUEST_TIMEOUT,
            48 => StatusCode::NOT_IMPLEMENTED,
            173 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_texts_are_normalised() {
        for text in [
            "Code: 60. DB::Exception: Unknown table t. (UNKNOWN_TABLE)",
            "Code: 60. DB::Exception: Unknown table t. (UNKNOWN_TABLE) (version 26.7.2.1 (official build))\n",
            "Error: Code: 60. DB::Exception: Unknown table t. (UNKNOWN_TABLE)",
        ] {
            let exception = Exception::from_engine(text);
            assert_eq!(exception.code(), 60);
            assert_eq!(exception.status(), StatusCode::NOT_FOUND);
            assert_eq!(
                exception.text("26.7.2.1"),
                "Code: 60. DB::Exception: Unknown table t. (UNKNOWN_TABLE) (version 26.7.2.1 (official build))\n"
            );
        }
        assert_eq!(Exception::from_engine("something else").code(), 1002);
    }
}
