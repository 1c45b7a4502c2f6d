//! Holes in the trades that an earlier process had noticed and neither filled nor declared when it was killed: found in the
//! last minutes of what is stored, by the code that knows what a trade and a gap stand for.

use std::collections::HashMap;

use marketprism_bus::{Bus, BusError, Selection, Start};
use marketprism_core::{DataType, Instrument, Message, Subject, topology};
use marketprism_exchanges::registry::Seed;
use marketprism_exchanges::stored_trades::{HOLE_OPEN_MAX, StoredTrades};

use super::subject;

/// Besides the time that a hole may be open, so much is read for the trade before it.
const BEFORE_MICROS: i64 = 120_000_000;

/// What is stored of one instrument.
#[derive(Default)]
struct Stored {
    trades: StoredTrades,
    /// When the broker stored the first trade that was read, µs.
    first_us: Option<i64>,
}

/// Adds the open holes to the last trades; the last one of all was stored at `newest_us`.
pub(super) async fn add(
    bus: &Bus,
    instruments: &[Instrument],
    newest_us: i64,
    last_trades: &mut [Seed],
) -> Result<(), BusError> {
    // When that one was stored, what was behind an open hole had been stored for no longer than this.
    let open_since_us =
        newest_us.saturating_sub(i64::try_from(HOLE_OPEN_MAX.as_micros()).unwrap_or(i64::MAX));
    let mut stored = read(bus, instruments, Start::Time(open_since_us.saturating_sub(BEFORE_MICROS))).await?;
    // Of what trades rarely the trade before the hole is older; its stream is short.
    let is_rare = |instrument: &&Instrument| {
        let stored = stored.get(&instrument.instrument_id);
        stored.and_then(|stored| stored.first_us).is_some_and(|first_us| first_us >= open_since_us)
    };
    let rare: Vec<_> = instruments.iter().filter(is_rare).cloned().collect();
    stored.extend(read(bus, &rare, Start::Sequence(1)).await?);
    for seed in last_trades {
        let holes =
            stored.remove(&seed.instrument_id).map(|stored| stored.trades.holes()).unwrap_or_default();
        if !holes.is_empty() {
            let (instrument, holes) = (&seed.instrument_id, holes.len());
            tracing::info!(instrument, holes, "an earlier process left holes in the trades open");
        }
        seed.holes = holes;
    }
    Ok(())
}

/// Trades and gaps of these instruments, by instrument id.
async fn read(
    bus: &Bus,
    instruments: &[Instrument],
    from: Start,
) -> Result<HashMap<String, Stored>, BusError> {
    let mut stored = HashMap::new();
    let mut of_subject: HashMap<String, (Subject, &str)> = HashMap::new();
    for instrument in instruments {
        let subjects = [DataType::Trade, DataType::Gap].map(|data_type| subject(instrument, data_type));
        for subject in subjects.into_iter().flatten() {
            of_subject.insert(subject.to_string(), (subject, &instrument.instrument_id));
        }
    }
    if of_subject.is_empty() {
        return Ok(stored);
    }
    let selection = Selection { subjects: of_subject.keys().cloned().collect(), from, headers_only: false };
    let mut reader = bus.read(topology::stream_of(DataType::Trade), selection).await?;
    while let Some(message) = reader.next().await? {
        let Some((subject, instrument_id)) = of_subject.get(&message.subject) else { continue };
        // What cannot be read has no place among them; hot-storage says so.
        let Ok(decoded) = Message::decode(subject, &message.payload) else { continue };
        let of_instrument: &mut Stored = stored.entry((*instrument_id).to_owned()).or_default();
        if subject.data_type() == DataType::Trade {
            of_instrument.first_us.get_or_insert(message.stored_us);
        }
        of_instrument.trades.take(&decoded);
    }
    Ok(stored)
}
