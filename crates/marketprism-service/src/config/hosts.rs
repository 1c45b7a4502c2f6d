//! Names of hosts: a list in the file, or words with commas between them in a variable, where there are no lists.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ConfigError;

/// Names by which a service is reached, without port: `collector`, `monitoring.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostNames(Vec<String>);

impl HostNames {
    /// None: addresses and `localhost` only.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether this is one of them, in whatever case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// # Errors
    /// Names the first one that is no name of a host.
    pub(crate) fn validate(&self, path: &str) -> Result<(), ConfigError> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        match self.0.iter().find(|name| !is_name(name)) {
            None => Ok(()),
            Some(wrong) => {
                let reason =
                    "is no host name: letters, digits, `-`, `.` and `_`, without scheme, port or wildcard";
                Err(ConfigError::invalid(path, wrong, reason))
            }
        }
    }
}

impl<S: Into<String>> FromIterator<S> for HostNames {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl Serialize for HostNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HostNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = HostNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of host names, or host names with commas between them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HostNames, E> {
        Ok(text.split(',').map(str::trim).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<HostNames, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = names.next_element::<String>()? {
            all.push(name);
        }
        Ok(HostNames(all))
    }
}
