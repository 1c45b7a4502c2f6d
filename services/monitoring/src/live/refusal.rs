//! What the live view cannot answer, as the API's error.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

/// A question that is not answered.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// A parameter that cannot be.
    pub(crate) fn invalid(field: &str, value: impl Display, reason: impl Display) -> Self {
        let value: String = value.to_string().chars().take(128).collect();
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "INVALID_PARAMETER",
            message: format!("{field}: `{value}` {reason}"),
        }
    }

    /// What is needed for the answer does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "SERVICE_UNAVAILABLE", message: message.into() }
    }

    /// A word of one of the closed sets.
    ///
    /// # Errors
    /// Names the field and the value.
    pub(crate) fn word<T: FromStr>(field: &str, value: &str) -> Result<T, Self> {
        value.parse().map_err(|_| Self::invalid(field, value, "is not known"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message } = self;
        (status, Json(json!({ "status": "error", "error_code": code, "message": message }))).into_response()
    }
}
