//! The parameters of a request: each is known, given once and valid, or the answer names it and its value.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::envelope::Failure;

/// Characters of one value.
const VALUE_CHARS_MAX: usize = 100;
/// How many entries a list has unless asked otherwise, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT: RangeInclusive<usize> = 1..=1000;

/// What is not read yet; what is left at the end is unknown.
pub(crate) struct Parameters(BTreeMap<String, String>);

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
    pub(crate) fn text(&mut self, field: &str) -> Option<String> {
        self.0.remove(field)
    }

    /// One of the words that `T` knows.
    pub(crate) fn word<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.0.remove(field) else { return Ok(None) };
        let word = serde_json::from_value(Value::String(value.clone()));
        word.map(Some).map_err(|error| Failure::parameter(field, &value, error))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, field: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.0.remove(field) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| Failure::parameter(field, &value, "is neither true nor false"))
    }

    /// What there is no answer without.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, field: &str) -> Result<T, Failure> {
        self.word(field)?.ok_or_else(|| Failure::parameter(field, "", "is missing"))
    }

    /// A number of the range.
    pub(crate) fn number<T>(&mut self, field: &str, range: &RangeInclusive<T>) -> Result<Option<T>, Failure>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(value) = self.0.remove(field) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        let reason = format!("is no number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| Failure::parameter(field, &value, reason))
    }

    /// How many entries are wanted.
    pub(crate) fn limit(&mut self) -> Result<usize, Failure> {
        self.number("limit", &LIMIT).map(|limit| limit.unwrap_or(LIMIT_DEFAULT))
    }

    /// Nothing else was given.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.0.first_key_value() {
            None => Ok(()),
            Some((field, value)) => Err(Failure::parameter(field, value, "there is no such parameter here")),
        }
    }
}
