//! `all`, or a list: how symbols, market types and data types are chosen.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALL: &str = "all";

/// Everything there is, or what is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection<T> {
    /// Written `all`.
    All,
    /// Written as a list.
    Only(Vec<T>),
}

impl<T> Selection<T> {
    /// What is named; nothing for `all`.
    pub(crate) fn named(&self) -> &[T] {
        match self {
            Self::All => &[],
            Self::Only(named) => named,
        }
    }
}

impl<T: Copy + PartialEq> Selection<T> {
    /// What is chosen of all there is, in that order.
    pub(crate) fn of(&self, all: &[T]) -> Vec<T> {
        all.iter().copied().filter(|one| self.contains(*one)).collect()
    }

    pub(crate) fn contains(&self, one: T) -> bool {
        match self {
            Self::All => true,
            Self::Only(named) => named.contains(&one),
        }
    }
}

impl<T: Serialize> Serialize for Selection<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str(ALL),
            Self::Only(named) => named.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Selection<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Written<T> {
            type Value = Selection<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all` or a list")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
                if word == ALL {
                    return Ok(Selection::All);
                }
                Err(E::invalid_value(Unexpected::Str(word), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Selection::Only)
            }
        }

        deserializer.deserialize_any(Written(PhantomData))
    }
}
