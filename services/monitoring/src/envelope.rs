//! What every answer of the API looks like, good or bad.
//!
//! `{"status":"success","message":"…","data":…,"timestamp":"…"}`, or
//! `{"status":"error","error_code":"INVALID_PARAMETERS","message":"…","details":{"field":"limit","value":"0"},"timestamp":"…"}`

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{AppendHeaders, IntoResponse, Json, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A good answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Success<T> {
    /// Always `success`.
    status: &'static str,
    /// One sentence about the data.
    message: String,
    /// What was asked for.
    data: T,
    /// When it was answered, UTC.
    #[schema(format = DateTime)]
    timestamp: String,
}

impl<T> Success<T> {
    pub(crate) fn new(message: impl Into<String>, data: T) -> Self {
        Self { status: "success", message: message.into(), data, timestamp: Timestamp::now().to_string() }
    }
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Of the details: when a request may come again; becomes the header too.
pub(crate) const RETRY_AFTER_SECONDS: &str = "retry_after_seconds";

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ErrorCode {
    /// 400: a parameter is unknown or cannot be understood; `details` names it.
    InvalidParameters,
    /// 401: no credentials, or wrong ones.
    Unauthorized,
    /// 403: a page of somebody else asked.
    Forbidden,
    /// 404: there is no such path.
    NotFound,
    /// 405: the path has other methods.
    MethodNotAllowed,
    /// 429: too many requests from one address.
    TooManyRequests,
    /// 501: this service changes nothing.
    OperationNotAllowed,
    /// 503: who would know does not answer; `details` names it, with `configured: "false"` where there is no such server.
    ServiceUnavailable,
}

impl ErrorCode {
    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameters => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::OperationNotAllowed => StatusCode::NOT_IMPLEMENTED,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A bad answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failure {
    /// Always `error`.
    status: &'static str,
    error_code: ErrorCode,
    /// For people.
    message: String,
    /// `field` and `value`, `upstream` (and `configured`), or `retry_after_seconds`.
    details: BTreeMap<&'static str, String>,
    /// When it was answered, UTC.
    #[schema(format = DateTime)]
    timestamp: String,
}

impl Failure {
    pub(crate) fn new(error_code: ErrorCode, message: impl Into<String>) -> Self {
        let timestamp = Timestamp::now().to_string();
        Self { status: "error", error_code, message: message.into(), details: BTreeMap::new(), timestamp }
    }

    /// The parameter `field` has `value`, which cannot be for `reason`.
    pub(crate) fn parameter(field: &str, value: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidParameters, format!("{field}: `{value}`: {reason}"))
            .with("field", field)
            .with("value", value)
    }

    /// Who would know does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, message)
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, detail: impl Into<String>) -> Self {
        self.details.insert(name, detail.into());
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let wait = self.details.get(RETRY_AFTER_SECONDS).map(|wait| [(RETRY_AFTER, wait.clone())]);
        // A browser asks its user, and sends what he says with everything that the console loads.
        let ask = (self.error_code == ErrorCode::Unauthorized)
            .then_some([(WWW_AUTHENTICATE, "Basic realm=\"MarketPrism\"")]);
        (self.error_code.status(), wait.map(AppendHeaders), ask.map(AppendHeaders), Json(self))
            .into_response()
    }
}
