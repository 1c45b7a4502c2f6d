//! Depth on the wire: events of the socket and snapshots from REST.

use std::fmt;

use marketprism_core::Timestamp;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use crate::decode::{self, Levels, LevelsSeed, Millis};
use crate::session::Rejected;

/// A depth event without its levels.
///
/// Spot, ids dense:
/// ```json
/// {"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}
/// ```
/// USDⓈ-M, ids sparse, `pu` names the event before:
/// ```json
/// {"e":"depthUpdate","E":1791399961205,"T":1791399961201,"s":"BTCUSDT","ps":"BTCUSDT","U":11759030886305,"u":11759030896477,"pu":11759030885985,"b":[["1000.00","115.863"]],"a":[["83402.00","3.480"]]}
/// ```
/// The REST snapshot, where spot sends no time:
/// ```json
/// {"lastUpdateId":11759031561498,"E":1791399966500,"T":1791399966493,"bids":[["83401.90","8.843"]],"asks":[["83402.00","3.480"]]}
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Depth {
    /// `U`: first update in it.
    pub(super) first: u64,
    /// `u`, or `lastUpdateId`: last update in it.
    pub(super) last: u64,
    /// `pu`: last update of the event before.
    pub(super) previous: Option<u64>,
    /// `T` where sent, else `E`.
    pub(super) event: Timestamp,
}

/// Decodes an event of the stream of `instrument_id` into `levels`.
pub(super) fn event(text: &str, instrument_id: &str, levels: &mut Levels) -> Result<Depth, Rejected> {
    let fields = decode(text, levels, Some(instrument_id))?;
    let missing = |field| Rejected::new("invalid_field", format_args!("field `{field}`: missing"));
    let depth = Depth {
        first: fields.first.ok_or_else(|| missing("U"))?,
        last: fields.last.ok_or_else(|| missing("u"))?,
        previous: fields.previous,
        event: fields.transacted.or(fields.sent).ok_or_else(|| missing("E"))?,
    };
    if !fields.is_named {
        return Err(missing("s"));
    }
    if depth.first > depth.last {
        let detail = format_args!("field `U`: `{}` is above `u` {}", depth.first, depth.last);
        return Err(Rejected::new("invalid_field", detail));
    }
    Ok(depth)
}

/// A depth snapshot without its levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct DepthSnapshot {
    /// `lastUpdateId`.
    pub(super) last: u64,
    /// `T` where sent, else `E`; spot sends neither.
    pub(super) event: Option<Timestamp>,
}

/// Decodes a snapshot into `levels`.
pub(super) fn snapshot(body: &[u8], levels: &mut Levels) -> Result<DepthSnapshot, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    let fields = decode(text, levels, None)?;
    let last = fields.last.ok_or_else(|| Rejected::new("invalid_field", "field `lastUpdateId`: missing"))?;
    Ok(DepthSnapshot { last, event: fields.transacted.or(fields.sent) })
}

#[derive(Default)]
struct Fields {
    first: Option<u64>,
    last: Option<u64>,
    previous: Option<u64>,
    sent: Option<Timestamp>,
    transacted: Option<Timestamp>,
    is_named: bool,
}

fn decode(text: &str, levels: &mut Levels, instrument_id: Option<&str>) -> Result<Fields, Rejected> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let decoded = DepthSeed { levels, instrument_id }.deserialize(&mut deserializer);
    match decoded.and_then(|fields| deserializer.end().map(|()| fields)) {
        Ok(fields) => Ok(fields),
        Err(error) => Err(explain(text, levels, instrument_id, &error)),
    }
}

/// Decodes again, slowly, to learn which field is wrong.
fn explain(
    text: &str,
    levels: &mut Levels,
    instrument_id: Option<&str>,
    error: &serde_json::Error,
) -> Rejected {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let traced = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    match (DepthSeed { levels, instrument_id }).deserialize(traced) {
        Err(inner) => decode::rejected(&serde_path_to_error::Error::new(track.path(), inner), text),
        Ok(_) => Rejected::decode(error, text),
    }
}

struct DepthSeed<'s> {
    levels: &'s mut Levels,
    instrument_id: Option<&'s str>,
}

impl<'de> DeserializeSeed<'de> for DepthSeed<'_> {
    type Value = Fields;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DepthSeed<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a depth event or snapshot")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        self.levels.bids.clear();
        self.levels.asks.clear();
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<&str>()? {
            match name {
                "U" => fields.first = Some(map.next_value()?),
                "u" | "lastUpdateId" => fields.last = Some(map.next_value()?),
                "pu" => fields.previous = Some(map.next_value()?),
                "E" => fields.sent = Some(map.next_value_seed(Millis)?),
                "T" => fields.transacted = Some(map.next_value_seed(Millis)?),
                "b" | "bids" => map.next_value_seed(LevelsSeed(&mut self.levels.bids))?,
                "a" | "asks" => map.next_value_seed(LevelsSeed(&mut self.levels.asks))?,
                "s" => {
                    map.next_value_seed(NameSeed(self.instrument_id))?;
                    fields.is_named = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// Checks that the event is about the instrument whose stream brought it.
struct NameSeed<'s>(Option<&'s str>);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instrument's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<(), E> {
        match self.0 {
            Some(expected) if expected != name => {
                Err(E::custom(format_args!("`{name}` on the stream of {expected}")))
            }
            _ => Ok(()),
        }
    }
}
