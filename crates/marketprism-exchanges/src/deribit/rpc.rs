//! JSON-RPC 2.0 as Deribit speaks it, on the socket and by REST: calls, answers, error codes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decode;
use crate::session::{FetchFailed, Rejected};

/// ```json
/// {"jsonrpc":"2.0","id":42,"method":"public/subscribe","params":{"channels":["trades.BTC-PERPETUAL.100ms"]}}
/// ```
#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: Params<'a>,
}

/// The parameters of the calls we make.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Params<'a> {
    Channels { channels: &'a [&'a str] },
    Heartbeat { interval: u64 },
    None {},
}

/// The text of a call.
pub(super) fn call(id: u64, method: &str, params: Params<'_>) -> String {
    // Strings and numbers always serialise.
    serde_json::to_string(&Call { jsonrpc: "2.0", id, method, params }).unwrap_or_default()
}

/// ```json
/// {"code":10028,"message":"too_many_requests","data":null}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("code {code}: {message}")]
pub(super) struct RpcError {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
}

/// Error codes that say what to do; any other refuses the one call.
impl RpcError {
    /// The session is of no use any more: the exchange ends it (10028), or gives nothing without an account (11056,
    /// 13009, 13778).
    pub(super) const fn ends_session(&self) -> bool {
        matches!(self.code, 10_028 | 11_056 | 13_009 | 13_778)
    }

    /// The same request may succeed later: too many requests (10028, 10066), retry (10040), settlement (10041), full queue
    /// (10047), maintenance (11051), unavailable (13028, 13503), timed out (13888).
    const fn is_transient(&self) -> bool {
        matches!(self.code, 10_028 | 10_040 | 10_041 | 10_047 | 10_066 | 11_051 | 13_028 | 13_503 | 13_888)
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<RpcError>,
}

/// The `result` of a REST answer.
pub(super) fn result<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    let answer: Answer<'_> = decode::from_str(text)?;
    match (answer.result, answer.error) {
        (Some(result), None) => decode::from_str(result.get()),
        (_, Some(error)) => Err(Rejected::new("unexpected", error)),
        (None, None) => Err(Rejected::new("invalid_field", "field `result`: missing")),
    }
}

/// An HTTP 400 whose body says that the request may succeed later is no refusal of it.
pub(super) fn failure(failed: FetchFailed) -> FetchFailed {
    if let FetchFailed::Status { status: 400, body, .. } = &failed
        && let Ok(Answer { error: Some(error), .. }) = serde_json::from_str(body)
        && error.is_transient()
    {
        return FetchFailed::Transport(error.to_string());
    }
    failed
}
