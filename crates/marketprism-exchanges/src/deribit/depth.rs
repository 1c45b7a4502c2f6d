//! Order books on the wire: snapshots and changes of the socket, and snapshots from REST.

use std::fmt;

use marketprism_core::message::Level;
use marketprism_core::{Decimal, Timestamp};
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::number;
use crate::decode::{self, Levels, Millis};
use crate::session::Rejected;

/// A book event without its levels. Quantities are in the contract's unit: USD of inverse contracts, else base.
///
/// ```json
/// {"timestamp":1789344931639,"type":"change","change_id":118850969743,"instrument_name":"BTC-PERPETUAL","bids":[["change",76914.0,1.0002e6],["delete",76893.0,0.0]],"asks":[["new",77023.0,10.0]],"prev_change_id":118850968930}
/// ```
/// The first event after subscribing has `"type":"snapshot"`, every level as `new`, and no `prev_change_id`, or null. Only since
/// 2020 is there a type, so what has no `prev_change_id` is no change. REST's levels have no action, and its `timestamp` is when
/// it answered:
/// ```json
/// {"bids":[[87002.5,199190.0]],"asks":[[87003.0,125090.0]],"change_id":133112427566,"timestamp":1766554855140,"state":"open"}
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// `change_id`.
    pub(super) last: u64,
    /// `prev_change_id` of a change; a snapshot has none.
    pub(super) previous: Option<u64>,
    pub(super) event: Timestamp,
}

/// Decodes an event of the channel of `instrument_id`, or REST's snapshot of it, into `levels`.
pub(super) fn event(text: &str, instrument_id: &str, levels: &mut Levels) -> Result<Depth, Rejected> {
    let fields: Fields<'_> = decode::from_str_into(text, &mut EventSeed(levels))?;
    let missing = |field| Rejected::new("invalid_field", format_args!("field `{field}`: missing"));
    let last = fields.last.ok_or_else(|| missing("change_id"))?;
    let event = fields.event.ok_or_else(|| missing("timestamp"))?;
    check_instrument(fields.instrument_id.ok_or_else(|| missing("instrument_name"))?, instrument_id)?;
    let is_snapshot = fields.kind.map_or(fields.previous.is_none(), |kind| kind == Kind::Snapshot);
    let previous = match (is_snapshot, fields.previous) {
        (true, _) => None,
        (false, Some(previous)) if previous < last => Some(previous),
        (false, Some(previous)) => {
            let detail = format_args!("field `prev_change_id`: `{previous}` is not below `change_id` {last}");
            return Err(Rejected::new("invalid_field", detail));
        }
        (false, None) => return Err(missing("prev_change_id")),
    };
    Ok(Depth { last, previous, event })
}

#[derive(Default)]
struct Fields<'a> {
    last: Option<u64>,
    previous: Option<u64>,
    event: Option<Timestamp>,
    kind: Option<Kind>,
    instrument_id: Option<&'a str>,
}

struct EventSeed<'s>(&'s mut Levels);

impl<'de> DeserializeSeed<'de> for &mut EventSeed<'_> {
    type Value = Fields<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut EventSeed<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a book event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        self.0.bids.clear();
        self.0.asks.clear();
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<&str>()? {
            match name {
                "change_id" => fields.last = Some(map.next_value()?),
                "prev_change_id" => {
                    fields.previous = map.next_value()?;
                }
                "timestamp" => fields.event = Some(map.next_value_seed(Millis)?),
                "type" => fields.kind = Some(map.next_value()?),
                "bids" => map.next_value_seed(LevelsSeed(&mut self.0.bids))?,
                "asks" => map.next_value_seed(LevelsSeed(&mut self.0.asks))?,
                "instrument_name" => fields.instrument_id = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Snapshot,
    Change,
}

/// Checks that an event is about the instrument whose channel brought it.
pub(super) fn check_instrument(named: &str, expected: &str) -> Result<(), Rejected> {
    if named == expected {
        return Ok(());
    }
    let detail = format_args!("field `instrument_name`: `{named}` on the channel of {expected}");
    Err(Rejected::new("invalid_field", detail))
}

/// `[["new",76914.0,1.0002e6],…]` or `[[76914.0,1.0002e6],…]`.
struct LevelsSeed<'s>(&'s mut Vec<Level>);

impl<'de> DeserializeSeed<'de> for LevelsSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LevelsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("levels")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut levels: A) -> Result<(), A::Error> {
        while let Some(level) = levels.next_element_seed(LevelSeed)? {
            self.0.push(level);
        }
        Ok(())
    }
}

struct LevelSeed;

impl<'de> DeserializeSeed<'de> for LevelSeed {
    type Value = Level;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Level, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LevelSeed {
    type Value = Level;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a level of action, price and amount")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Level, A::Error> {
        let mut next = |at| {
            let part = parts.next_element::<&RawValue>()?;
            part.map(RawValue::get).ok_or_else(|| de::Error::invalid_length(at, &self))
        };
        let mut first = next(0)?;
        let mut is_deleted = false;
        if first.starts_with('"') {
            is_deleted = first == "\"delete\"";
            first = next(1)?;
        }
        let price: Decimal = number::parse(first)?;
        let amount: Decimal = number::parse(next(2)?)?;
        while parts.next_element::<IgnoredAny>()?.is_some() {}
        if !price.is_positive() {
            return Err(de::Error::custom(format_args!("price `{price}` is not above zero")));
        }
        if amount.is_negative() {
            return Err(de::Error::custom(format_args!("amount `{amount}` is below zero")));
        }
        Ok(Level { price, quantity: if is_deleted { Decimal::ZERO } else { amount } })
    }
}
