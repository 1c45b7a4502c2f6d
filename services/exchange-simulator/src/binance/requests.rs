//! Binance's control messages over the socket: SUBSCRIBE and its kin, in and out. No I/O.
//!
//! In `{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}`, out `{"result":null,"id":1}`;
//! errors are `{"code":2,"msg":"Invalid request: …"}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::stream_name::Route;

/// A well-formed request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) command: Command,
}

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    ListSubscriptions,
    SetCombined(bool),
    GetCombined,
}

/// The exchange's error answer, ready to send.
pub(crate) type Refusal = String;

const METHODS: &str = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    id: Value,
}

/// Reads one client message.
///
/// # Errors
/// The answer that the exchange gives to what cannot be understood.
pub(crate) fn parse(text: &str, route: Route) -> Result<Request, Refusal> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| refusal(3, &format!("Invalid JSON: {error}")))?;
    let raw = Raw::deserialize(value).map_err(|error| invalid(&error.to_string()))?;
    if !id_is_valid(&raw.id, route) {
        return Err(invalid(&format!("bad id {}", raw.id)));
    }
    let command = match raw.method.as_str() {
        "SUBSCRIBE" => Command::Subscribe(names(&raw.params)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(names(&raw.params)?),
        "LIST_SUBSCRIPTIONS" if raw.params.is_empty() => Command::ListSubscriptions,
        "LIST_SUBSCRIPTIONS" => return Err(invalid("too many parameters")),
        "SET_PROPERTY" => match raw.params.as_slice() {
            [name, value] if name == "combined" => Command::SetCombined(
                value.as_bool().ok_or_else(|| refusal(1, "Invalid value type: expected Boolean"))?,
            ),
            [_, _] => return Err(refusal(0, "Unknown property")),
            _ => return Err(invalid("SET_PROPERTY takes a name and a value")),
        },
        "GET_PROPERTY" => match raw.params.as_slice() {
            [name] if name == "combined" => Command::GetCombined,
            [_] => return Err(refusal(0, "Unknown property")),
            _ => return Err(invalid("GET_PROPERTY takes a name")),
        },
        other => return Err(invalid(&format!("unknown variant {other}, expected one of {METHODS}"))),
    };
    Ok(Request { id: raw.id, command })
}

/// `{"result":…,"id":…}`.
pub(crate) fn result(id: &Value, result: &Value) -> String {
    json!({ "result": result, "id": id }).to_string()
}

/// An "Invalid request" answer.
pub(crate) fn invalid(reason: &str) -> Refusal {
    refusal(2, &format!("Invalid request: {reason}"))
}

fn refusal(code: i64, msg: &str) -> Refusal {
    json!({ "code": code, "msg": msg }).to_string()
}

/// Spot: signed 64-bit integer, up to 36 alphanumerics, or null. USDⓈ-M: unsigned integer.
fn id_is_valid(id: &Value, route: Route) -> bool {
    match (id, route) {
        (Value::Null, Route::Spot) => true,
        (Value::String(text), Route::Spot) => {
            text.len() <= 36 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        (Value::Number(number), Route::Spot) => number.is_i64(),
        (Value::Number(number), Route::UsdmPublic | Route::UsdmMarket) => number.is_u64(),
        _ => false,
    }
}

fn names(params: &[Value]) -> Result<Vec<String>, Refusal> {
    if params.is_empty() {
        return Err(invalid("missing field `params`"));
    }
    params
        .iter()
        .map(|name| name.as_str().map(str::to_owned).ok_or_else(|| invalid("params must be strings")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Command, parse};
    use crate::binance::stream_name::Route;

    #[test]
    fn requests_and_their_refusals() {
        let command = |text| parse(text, Route::Spot).map(|request| request.command);
        assert_eq!(
            command(r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":-1}"#),
            Ok(Command::Subscribe(vec!["a@trade".to_owned()]))
        );
        assert_eq!(
            command(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":"x1"}"#),
            Ok(Command::SetCombined(true))
        );
        for (text, code) in [
            ("{", 3),
            (r#"{"method":"NOPE","params":[],"id":1}"#, 2),
            (r#"{"params":["a@trade"],"id":1}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#, 2),
            (r#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}"#, 1),
            (r#"{"method":"GET_PROPERTY","params":["speed"],"id":1}"#, 0),
        ] {
            let refusal = command(text).expect_err(text);
            assert!(refusal.contains(&format!("\"code\":{code}")), "{text}: {refusal}");
        }
        assert!(parse(r#"{"method":"LIST_SUBSCRIPTIONS","id":"a"}"#, Route::UsdmPublic).is_err());
    }
}
