//! Parsing of payloads with errors that name the field, and the shapes that exchanges share.
//!
//! Levels are decoded into buffers that live as long as the session: a busy book brings twenty a frame, and their vectors are
//! not allocated again for each.

use std::fmt;
use std::marker::PhantomData;

use marketprism_core::message::Level;
use marketprism_core::{Decimal, Timestamp};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::session::Rejected;

/// Levels of one event or snapshot, in the exchange's order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels {
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
}

/// An exchange's milliseconds, a number or a number in a string.
pub(crate) fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    struct MillisVisitor;
    impl Visitor<'_> for MillisVisitor {
        type Value = Timestamp;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time in ms")
        }
        fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Timestamp, E> {
            let outside = || E::custom(format_args!("`{millis}` is no time in ms between 1970 and 2200"));
            Timestamp::from_millis(millis).ok_or_else(outside)
        }
        fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Timestamp, E> {
            self.visit_i64(i64::try_from(millis).unwrap_or(i64::MAX))
        }
        fn visit_str<E: de::Error>(self, millis: &str) -> Result<Timestamp, E> {
            let unreadable = |_| E::custom(format_args!("`{millis}` is no time in ms"));
            self.visit_i64(millis.parse().map_err(unreadable)?)
        }
    }
    deserializer.deserialize_any(MillisVisitor)
}

/// Parses a payload; only when that fails it is parsed again with the path of the field, for the message.
pub(crate) fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Rejected> {
    serde_json::from_str(text).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(traced) => rejected(&traced, text),
            // Only what follows the value is wrong.
            Ok(_) => Rejected::decode(&error, text),
        }
    })
}

/// An error with the path to the field it is about.
pub(crate) fn rejected(traced: &serde_path_to_error::Error<serde_json::Error>, text: &str) -> Rejected {
    let mut rejected = Rejected::decode(traced.inner(), text);
    if rejected.reason == "invalid_field" {
        rejected.detail = format!("field `{}`: {}", traced.path(), rejected.detail);
    }
    rejected
}

/// [`from_str`] into what the seed holds, such as buffers.
pub(crate) fn from_str_into<'a, S, V>(text: &'a str, seed: &mut S) -> Result<V, Rejected>
where
    for<'s> &'s mut S: DeserializeSeed<'a, Value = V>,
{
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let decoded = (&mut *seed).deserialize(&mut deserializer);
    let error = match decoded.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let traced = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    Err(match seed.deserialize(traced) {
        Err(inner) => rejected(&serde_path_to_error::Error::new(track.path(), inner), text),
        Ok(_) => Rejected::decode(&error, text),
    })
}

/// Decodes an array item by item, without a vector of them. An item that cannot be used costs only itself: `take` gets
/// the others.
///
/// # Errors
/// What is wrong with the first such item, or with the array.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    text: &'a str,
    mut take: impl FnMut(T) -> Result<(), Rejected>,
) -> Result<(), Rejected> {
    let mut items = Items { taken: 0, wrong: Ok(()), take: &mut take, item: PhantomData };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let decoded = deserializer.deserialize_seq(&mut items).and_then(|()| deserializer.end());
    let Items { taken, mut wrong, .. } = items;
    if decoded.is_err() {
        let rest: Vec<&'a RawValue> = from_str(text)?;
        for item in rest.into_iter().skip(taken) {
            wrong = wrong.and(from_str(item.get()).and_then(&mut take));
        }
    }
    wrong
}

struct Items<'t, T, F> {
    taken: usize,
    wrong: Result<(), Rejected>,
    take: &'t mut F,
    item: PhantomData<fn() -> T>,
}

impl<'de, T, F> Visitor<'de> for &mut Items<'_, T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<(), Rejected>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            self.taken += 1;
            let taken = (self.take)(item);
            if self.wrong.is_ok() {
                self.wrong = taken;
            }
        }
        Ok(())
    }
}

pub(crate) fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    from_str(text)
}

/// [`millis`] where a seed is asked for.
pub(crate) struct Millis;

impl<'de> DeserializeSeed<'de> for Millis {
    type Value = Timestamp;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Timestamp, D::Error> {
        millis(deserializer)
    }
}

/// `[["83401.90","8.843"],…]`; what follows price and quantity in a level is ignored.
pub(crate) struct LevelsSeed<'s>(pub(crate) &'s mut Vec<Level>);

impl<'de> DeserializeSeed<'de> for LevelsSeed<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
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
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Level, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LevelSeed {
    type Value = Level;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a level of price and quantity")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Level, A::Error> {
        let price: Decimal = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let quantity: Decimal = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        while parts.next_element::<IgnoredAny>()?.is_some() {}
        if !price.is_positive() {
            return Err(de::Error::custom(format_args!("price `{price}` is not above zero")));
        }
        if quantity.is_negative() {
            return Err(de::Error::custom(format_args!("quantity `{quantity}` is below zero")));
        }
        Ok(Level { price, quantity })
    }
}
