//! OKX's control messages, in and out. No I/O.
//!
//! In `{"id":"1512","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}`, out one
//! `{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}` an argument.

use serde::Deserialize;
use serde_json::{Value, json};

use super::channel::Arg;

/// Bytes of all arguments of one request together; more closes the connection with 1009.
pub(crate) const ARGS_BYTES_MAX: usize = 64 * 1024;
/// An `id` is at most this long, letters and digits.
const ID_LENGTH_MAX: usize = 32;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Subscribe,
    Unsubscribe,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// A well-formed request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: Option<String>,
    pub(crate) op: Operation,
    pub(crate) args: Vec<Arg>,
}

/// Reads one client message. The error is code and message to answer with.
///
/// # Errors
/// 60012 for what is none of the operations or has no proper arguments.
pub(crate) fn parse(text: &str) -> Result<Request, (&'static str, String)> {
    let invalid = || ("60012", format!("Invalid request: {text}"));
    let request: Request = serde_json::from_str(text).map_err(|_| invalid())?;
    let id_is_valid = request
        .id
        .as_deref()
        .is_none_or(|id| id.len() <= ID_LENGTH_MAX && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !id_is_valid || request.args.is_empty() {
        return Err(invalid());
    }
    Ok(request)
}

/// The acknowledgement of one argument; `arg` is its JSON.
pub(crate) fn acknowledged(id: Option<&str>, operation: Operation, arg: &str, connection: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!(r#""id":"{id}","#));
    format!(r#"{{{id}"event":"{}","arg":{arg},"connId":"{connection}"}}"#, operation.as_str())
}

/// An error. It names the argument in its text only.
pub(crate) fn error(id: Option<&str>, code: &str, message: &str, connection: &str) -> String {
    let mut error = json!({ "event": "error", "code": code, "msg": message, "connId": connection });
    if let (Some(id), Some(fields)) = (id, error.as_object_mut()) {
        fields.insert("id".to_owned(), Value::from(id));
    }
    error.to_string()
}

/// The text of error 60018.
pub(crate) fn unknown(arg: &Arg) -> String {
    let (key, value) = arg.of();
    format!("Subscribe failed, wrong URL or channel:{},{key}:{value} doesn't exist.", arg.channel)
}

#[cfg(test)]
mod tests {
    use super::{Operation, parse};

    #[test]
    fn requests_and_what_is_none() {
        let request =
            parse(r#"{"id":"a1","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#)
                .unwrap();
        assert_eq!((request.op, request.id.as_deref()), (Operation::Subscribe, Some("a1")));
        assert_eq!(request.args[0].inst_id.as_deref(), Some("BTC-USDT"));
        for text in [
            "{",
            r#"{"op":"subscribe","argss":[]}"#,
            r#"{"op":"subscribe","args":[]}"#,
            r#"{"op":"order","args":[{"channel":"books"}]}"#,
            r#"{"id":"a-b","op":"subscribe","args":[{"channel":"books"}]}"#,
        ] {
            let (code, message) = parse(text).unwrap_err();
            assert_eq!((code, message.contains(text)), ("60012", true));
        }
    }
}
