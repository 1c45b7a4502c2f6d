//! Reading Binance's query parameters, and the errors that wrong ones get: `{"code":-1121,"msg":"Invalid symbol."}`.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::product::Product;
use crate::hub::Hub;

/// Query parameters, decoded.
pub(crate) type Parameters = HashMap<String, String>;

/// An error body with its HTTP status.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) msg: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json_response(self.status, json!({ "code": self.code, "msg": self.msg }).to_string())
    }
}

pub(crate) fn json_response(status: StatusCode, body: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    (status, headers, body).into_response()
}

/// The listed instrument that `symbol` names.
pub(crate) fn instrument(hub: &Hub, product: Product, parameters: &Parameters) -> Result<usize, Refusal> {
    let symbol = mandatory(parameters, "symbol")?;
    hub.catalogue.find(product.market(), symbol).ok_or_else(invalid_symbol)
}

/// A parameter that must not be absent.
pub(crate) fn mandatory<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Refusal> {
    let given = parameters.get(name).filter(|text| !text.is_empty());
    given.map(String::as_str).ok_or_else(|| {
        let text = format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
        bad_request(-1102, &text)
    })
}

/// A whole number, where it is given.
pub(crate) fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let legal = "legal range is '^[0-9]{1,20}$'";
        bad_request(-1100, &format!("Illegal characters found in parameter '{name}'; {legal}."))
    })
}

pub(crate) fn bad_request(code: i64, msg: &str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, code, msg: msg.to_owned() }
}

pub(crate) fn invalid_symbol() -> Refusal {
    bad_request(-1121, "Invalid symbol.")
}
