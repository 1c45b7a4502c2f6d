//! Books on the wire: pushes of the socket and snapshots from REST.

use std::fmt;

use marketprism_core::Timestamp;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::envelope;
use crate::decode::{self, Levels, LevelsSeed, Millis};
use crate::session::Rejected;

/// A snapshot or update without its levels. A level is price, size, a zero and the number of orders; size 0 removes it.
///
/// ```json
/// {"asks":[["83729.6","70.03","0","4"]],"bids":[["83723.6","0","0","0"]],"ts":"1791369352001","checksum":0,"seqId":344430849237,"prevSeqId":344430848984}
/// ```
/// From REST without `checksum` and `prevSeqId`:
/// ```json
/// {"asks":[["41006.8","0.60038921","0","1"]],"bids":[["41006.3","0.30178218","0","2"]],"ts":"1629966436396","seqId":3235851742}
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BookFrame {
    /// `seqId`: the book's sequence after it. Recordings older than the field have none; there the time in
    /// milliseconds stands for it.
    pub(super) sequence: u64,
    /// `prevSeqId`: the sequence before it. `None` for snapshots (-1) and in recordings older than the field.
    pub(super) previous: Option<u64>,
    /// Whether the frame has sequences at all.
    pub(super) is_sequenced: bool,
    /// `ts`: when it was made.
    pub(super) event: Timestamp,
    /// Absent or 0 since June 2026; then `None`.
    pub(super) checksum: Option<i32>,
}

/// Decodes a push's data, an array of one, into `levels`.
pub(super) fn pushed(data: &str, levels: &mut Levels) -> Result<BookFrame, Rejected> {
    decode::from_str_into(data, &mut OneBook { levels })?.frame()
}

/// Decodes the body of `/api/v5/market/books` into `levels`.
pub(super) fn fetched(body: &[u8], levels: &mut Levels) -> Result<BookFrame, Rejected> {
    let frame = pushed(envelope::data(body)?, levels)?;
    if frame.is_sequenced { Ok(frame) } else { Err(missing("seqId")) }
}

fn missing(field: &str) -> Rejected {
    Rejected::new("invalid_field", format_args!("field `{field}`: missing"))
}

#[derive(Default)]
struct Fields {
    has_asks: bool,
    has_bids: bool,
    sequence: Option<u64>,
    previous: Option<i64>,
    event: Option<Timestamp>,
    checksum: i32,
}

impl Fields {
    fn frame(self) -> Result<BookFrame, Rejected> {
        let event = self.event.ok_or_else(|| missing("ts"))?;
        // A side without levels is an empty array.
        for (has_side, side) in [(self.has_asks, "asks"), (self.has_bids, "bids")] {
            if !has_side {
                return Err(missing(side));
            }
        }
        Ok(BookFrame {
            sequence: self.sequence.unwrap_or_else(|| event.as_micros().unsigned_abs() / 1_000),
            // Of no use without the other.
            previous: self.previous.filter(|_| self.sequence.is_some()).and_then(|id| u64::try_from(id).ok()),
            is_sequenced: self.sequence.is_some(),
            event,
            checksum: Some(self.checksum).filter(|checksum| *checksum != 0),
        })
    }
}

/// An array of one book.
struct OneBook<'l> {
    levels: &'l mut Levels,
}

impl<'de> DeserializeSeed<'de> for &mut OneBook<'_> {
    type Value = Fields;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut OneBook<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of one book")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut books: A) -> Result<Fields, A::Error> {
        let fields = books.next_element_seed(BookSeed(self.levels))?;
        let fields = fields.ok_or_else(|| de::Error::custom("no book"))?;
        match books.next_element::<IgnoredAny>()? {
            None => Ok(fields),
            Some(_) => Err(de::Error::custom("more than one book")),
        }
    }
}

struct BookSeed<'l>(&'l mut Levels);

impl<'de> DeserializeSeed<'de> for BookSeed<'_> {
    type Value = Fields;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BookSeed<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a book")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        self.0.bids.clear();
        self.0.asks.clear();
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<&str>()? {
            match name {
                "asks" => {
                    map.next_value_seed(LevelsSeed(&mut self.0.asks))?;
                    fields.has_asks = true;
                }
                "bids" => {
                    map.next_value_seed(LevelsSeed(&mut self.0.bids))?;
                    fields.has_bids = true;
                }
                "ts" => fields.event = Some(map.next_value_seed(Millis)?),
                "seqId" => fields.sequence = Some(map.next_value()?),
                "prevSeqId" => fields.previous = Some(map.next_value()?),
                "checksum" => fields.checksum = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}
