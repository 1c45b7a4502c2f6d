//! What every REST answer is wrapped in.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode;
use crate::session::Rejected;

/// ```json
/// {"code":"0","msg":"","data":[…]}
/// ```
/// Any other code is an error, whatever the HTTP status.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    msg: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The text of an answer's `data`.
///
/// # Errors
/// With the exchange's code and message where it refused.
pub(super) fn data(body: &[u8]) -> Result<&str, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    let envelope: Envelope<'_> = decode::from_str(text)?;
    if envelope.code != "0" {
        let Envelope { code, msg, .. } = envelope;
        return Err(Rejected::new("unexpected", format_args!("code {code}: {msg}")));
    }
    let missing = || Rejected::new("invalid_field", "field `data`: missing");
    envelope.data.map(RawValue::get).ok_or_else(missing)
}
