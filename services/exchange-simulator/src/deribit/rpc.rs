//! JSON-RPC 2.0 as Deribit speaks it, the same over the socket and over REST: requests in, answers out. No I/O.
//!
//! In `{"jsonrpc":"2.0","id":42,"method":"public/subscribe","params":{"channels":["book.BTC-PERPETUAL.100ms"]}}`, out
//! `{"jsonrpc":"2.0","id":42,"result":["book.BTC-PERPETUAL.100ms"],"usIn":…,"usOut":…,"usDiff":1519,"testnet":false}`;
//! errors have `"error":{"code":…,"message":…}` in place of `result`. What cannot be read at all is 11050 without `id`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// The methods served over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Subscribe,
    Unsubscribe,
    UnsubscribeAll,
    SetHeartbeat,
    DisableHeartbeat,
    Query(Query),
}

/// Those that REST answers, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    Hello,
    Test,
    GetTime,
    Status,
    GetInstrument,
    GetInstruments,
    GetOrderBook,
    GetLastTradesByInstrument,
    GetFundingRateHistory,
    GetVolatilityIndexData,
    GetBookSummaryByCurrency,
}

impl Method {
    /// By its name without `public/`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "subscribe" => Self::Subscribe,
            "unsubscribe" => Self::Unsubscribe,
            "unsubscribe_all" => Self::UnsubscribeAll,
            "set_heartbeat" => Self::SetHeartbeat,
            "disable_heartbeat" => Self::DisableHeartbeat,
            other => Self::Query(Query::named(other)?),
        })
    }
}

impl Query {
    /// By its name without `public/`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hello" => Self::Hello,
            "test" => Self::Test,
            "get_time" => Self::GetTime,
            "status" => Self::Status,
            "get_instrument" => Self::GetInstrument,
            "get_instruments" => Self::GetInstruments,
            "get_order_book" => Self::GetOrderBook,
            "get_last_trades_by_instrument" => Self::GetLastTradesByInstrument,
            "get_funding_rate_history" => Self::GetFundingRateHistory,
            "get_volatility_index_data" => Self::GetVolatilityIndexData,
            "get_book_summary_by_currency" => Self::GetBookSummaryByCurrency,
            _ => return None,
        })
    }
}

/// A request that could be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) method: Method,
    pub(crate) parameters: Parameters,
}

/// A request that was refused, and the id to say so under.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    pub(crate) id: Value,
    pub(crate) error: RpcError,
}

/// Reads one frame of a client.
///
/// # Errors
/// What the exchange answers to what it cannot understand.
pub(crate) fn parse(text: &str) -> Result<Request, Refused> {
    let refused = |id: Value, error| Refused { id, error };
    let frame: Value = serde_json::from_str(text)
        .map_err(|_| refused(Value::Null, RpcError::bad_request("invalid json")))?;
    let Value::Object(mut frame) = frame else {
        return Err(refused(Value::Null, RpcError::bad_request("request entity is not an object")));
    };
    let id = frame.remove("id").unwrap_or(Value::Null);
    let Some(name) = frame.get("method").and_then(Value::as_str) else {
        return Err(refused(id, RpcError::bad_request("method must be a string")));
    };
    let Some(method) = name.strip_prefix("public/").and_then(Method::named) else {
        return Err(refused(id, RpcError::method_not_found()));
    };
    match frame.remove("params") {
        None | Some(Value::Null) => Ok(Request { id, method, parameters: Parameters::default() }),
        Some(Value::Object(named)) => Ok(Request { id, method, parameters: Parameters(named) }),
        Some(_) => Err(refused(id, RpcError::invalid_params("params", "must be an object"))),
    }
}

/// Named parameters: JSON values from a socket, texts from a query string.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(crate) fn of_query(query: &HashMap<String, String>) -> Self {
        Self(query.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
    }

    /// # Errors
    /// When it is absent or no text.
    pub(crate) fn text(&self, name: &str) -> Result<&str, RpcError> {
        self.optional_text(name)?.ok_or_else(|| RpcError::invalid_params(name, "is missing"))
    }

    /// # Errors
    /// When it is there and no text.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(RpcError::invalid_params(name, "must be a string")),
        }
    }

    /// # Errors
    /// When it is there and no integer.
    pub(crate) fn optional_integer(&self, name: &str) -> Result<Option<i64>, RpcError> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| RpcError::invalid_params(name, "must be an integer"))
    }

    /// # Errors
    /// When it is absent or not a list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, RpcError> {
        let list = self.0.get(name).and_then(Value::as_array);
        let texts = list.and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| RpcError::invalid_params(name, "must be a list of strings"))
    }
}

/// An error of the exchange's own table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    message: &'static str,
    data: Option<Value>,
}

impl RpcError {
    const fn new(code: i64, message: &'static str) -> Self {
        Self { code, message, data: None }
    }

    pub(crate) const fn too_many_requests() -> Self {
        Self::new(10028, "too_many_requests")
    }

    pub(crate) const fn raw_needs_authorization() -> Self {
        Self::new(13778, "raw_subscriptions_not_available_for_unauthorized")
    }

    pub(crate) const fn not_found() -> Self {
        Self::new(13020, "not_found")
    }

    pub(crate) const fn method_not_found() -> Self {
        Self::new(-32601, "Method not found")
    }

    pub(crate) fn bad_request(why: &str) -> Self {
        Self { data: Some(json!(why)), ..Self::new(11050, "bad_request") }
    }

    pub(crate) fn invalid_params(parameter: &str, reason: &str) -> Self {
        let data = json!({ "reason": reason, "param": parameter });
        Self { data: Some(data), ..Self::new(-32602, "Invalid params") }
    }
}

/// An answer that is either `result`, as JSON text (numbers must not pass through `f64`), or an error. Both times are
/// the exchange's, in µs since 1970 UTC.
pub(crate) fn answer(
    id: &Value,
    outcome: &Result<String, RpcError>,
    received_us: i64,
    sent_us: i64,
) -> String {
    let mut out = "{\"jsonrpc\":\"2.0\"".to_owned();
    if !id.is_null() {
        out.push_str(&format!(",\"id\":{id}"));
    }
    match outcome {
        Ok(result) => out.push_str(&format!(",\"result\":{result}")),
        Err(error) => {
            let mut body = json!({ "code": error.code, "message": error.message });
            if let (Some(body), Some(data)) = (body.as_object_mut(), &error.data) {
                body.insert("data".to_owned(), data.clone());
            }
            out.push_str(&format!(",\"error\":{body}"));
        }
    }
    let took_us = sent_us - received_us;
    out.push_str(&format!(
        ",\"usIn\":{received_us},\"usOut\":{sent_us},\"usDiff\":{took_us},\"testnet\":false}}"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::{Method, Parameters, RpcError, answer, parse};
    use serde_json::{Value, json};
    use std::collections::HashMap;

    #[test]
    fn requests_and_their_refusals() {
        let request = parse(
            r#"{"jsonrpc":"2.0","id":"a7","method":"public/subscribe","params":{"channels":["platform_state"]}}"#,
        )
        .unwrap();
        assert_eq!((request.id, request.method), (json!("a7"), Method::Subscribe));
        assert_eq!(request.parameters.texts("channels").unwrap(), ["platform_state"]);
        for (text, id, code) in [
            ("{", Value::Null, 11050),
            ("[]", Value::Null, 11050),
            (r#"{"id":3,"method":7}"#, json!(3), 11050),
            (r#"{"id":3,"method":"public/nope"}"#, json!(3), -32601),
            (r#"{"id":3,"method":"private/buy"}"#, json!(3), -32601),
            (r#"{"id":3,"method":"public/test","params":[1]}"#, json!(3), -32602),
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!((refused.id, refused.error.code), (id, code), "{text}");
        }
    }

    #[test]
    fn parameters_are_read_from_json_and_from_a_query() {
        let query = HashMap::from([("count".to_owned(), "20".to_owned())]);
        let query = Parameters::of_query(&query);
        assert_eq!(query.optional_integer("count"), Ok(Some(20)));
        let json = parse(r#"{"method":"public/test","params":{"count":20,"name":5}}"#).unwrap().parameters;
        assert_eq!(json.optional_integer("count"), Ok(Some(20)));
        assert_eq!(json.optional_integer("none"), Ok(None));
        assert_eq!(json.text("name").unwrap_err().code, -32602);
        assert!(json.text("none").is_err() && query.optional_integer("count").is_ok());
    }

    #[test]
    fn an_answer_carries_its_times_and_an_unreadable_request_no_id() {
        let text = answer(&json!(5), &Ok("[1.0e3]".to_owned()), 1_000, 1_250);
        assert_eq!(
            text,
            r#"{"jsonrpc":"2.0","id":5,"result":[1.0e3],"usIn":1000,"usOut":1250,"usDiff":250,"testnet":false}"#
        );
        let refused = answer(&Value::Null, &Err(RpcError::bad_request("invalid json")), 0, 0);
        let refused: Value = serde_json::from_str(&refused).unwrap();
        assert_eq!(
            refused["error"],
            json!({ "code": 11050, "message": "bad_request", "data": "invalid json" })
        );
        assert!(refused.get("id").is_none());
    }
}
