//! The parameters of a request: each is known, given once and valid, or the answer names it and its value.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::envelope::Failure;

/// Characters of one value.
const VALUE_CHARS_MAX: usize = 100;
/// How many entries a list has unless asked otherwise, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT: RangeInclusive<usize> = 1..=1000;

/// What is not read yet; what is left at the end is unknown.
pub(super) struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut parameters = BTreeMap::new();
        for (field, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
            if shown.len() < value.len() {
                let reason = format!("is longer than {VALUE_CHARS_MAX} characters");
                return Err(Failure::parameter(&field, &shown, reason));
            }
            if parameters.insert(field.to_string(), shown.clone()).is_some() {
                return Err(Failure::parameter(&field, &shown, "is there twice"));
            }
        }
        Ok(Self(parameters))
    }
}

impl Parameters {
    /// Free text.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        self.0.remove(field)
    }

    /// One of the words that `T` knows.
    pub(super) fn word<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.0.remove(field) else { return Ok(None) };
        let word = serde_json::from_value(Value::String(value.clone()));
        word.map(Some).map_err(|error| Failure::parameter(field, &value, error))
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, field: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.0.remove(field) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| Failure::parameter(field, &value, "is neither true nor false"))
    }

    /// How many entries are wanted.
    pub(super) fn limit(&mut self) -> Result<usize, Failure> {
        let Some(value) = self.0.remove("limit") else { return Ok(LIMIT_DEFAULT) };
        let limit = value.parse().ok().filter(|limit| LIMIT.contains(limit));
        limit.ok_or_else(|| Failure::parameter("limit", &value, "is no number from 1 to 1000"))
    }

    /// Nothing else was given.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.0.first_key_value() {
            None => Ok(()),
            Some((field, value)) => Err(Failure::parameter(field, value, "there is no such parameter here")),
        }
    }
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}
