//! A secret: from the file, the environment, or a file of its own; never printed.

use std::fmt;
use std::fs::File;
use std::io::Read;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::redact::REDACTED;

/// Bytes at most in a secret's own file: the longest are key chains of a few KiB; more is the wrong file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A password, token or key. `Debug` and `Serialize` print `[redacted]`.
///
/// In the configuration it is the text itself, or `file:/path` to read it from a file (a final line break is not part of
/// it). The environment sets it like every key: `MARKETPRISM__NATS__PASSWORD`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret is `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { REDACTED }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == REDACTED {
            return Err(de::Error::custom("this is what a secret is printed as, not a secret"));
        }
        match text.strip_prefix("file:") {
            Some(path) => read(path).map(Self).map_err(de::Error::custom),
            None => Ok(Self(text)),
        }
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX.saturating_add(1)).read_to_string(&mut text))
        .map_err(|error| format!("failed to read the secret's file {path}: {error}"))?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        return Err(format!("the secret's file {path} is longer than {FILE_BYTES_MAX} bytes"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
