//! What was published before this process started: read from the broker, so that the hole a restart leaves shows, holes
//! that were noticed before it are not forgotten, and what is polled is not published twice.

mod holes;

use marketprism_bus::{Bus, BusError};
use marketprism_core::{DataType, Instrument, Message, Subject, SubjectError, topology};
use marketprism_exchanges::registry::Seed;

use crate::sequence;

/// The last message of each instrument and data type, where there is one that can be read.
pub(crate) async fn read(
    bus: &Bus,
    instruments: &[Instrument],
    data_types: &[DataType],
) -> Result<Vec<Seed>, BusError> {
    let mut seeds = Vec::new();
    for data_type in data_types {
        let (mut of_type, mut newest_us) = (Vec::new(), None);
        for instrument in instruments {
            if let Some((seed, stored_us)) = seed(bus, instrument, *data_type).await? {
                of_type.push(seed);
                newest_us = newest_us.max(Some(stored_us));
            }
        }
        if let Some(newest_us) = newest_us.filter(|_| *data_type == DataType::Trade) {
            holes::add(bus, instruments, newest_us, &mut of_type).await?;
        }
        seeds.extend(of_type);
    }
    Ok(seeds)
}

/// The last message of a stream, and when the broker stored it, µs.
async fn seed(
    bus: &Bus,
    instrument: &Instrument,
    data_type: DataType,
) -> Result<Option<(Seed, i64)>, BusError> {
    let Ok(subject) = subject(instrument, data_type) else { return Ok(None) };
    let Some(stored) = bus.last_message(topology::stream_of(data_type), subject.as_str()).await? else {
        return Ok(None);
    };
    match Message::decode(&subject, &stored.payload) {
        Ok(message) => {
            let seed = Seed {
                instrument_id: instrument.instrument_id.clone(),
                data_type,
                sequence: sequence::of(&message).map(|(_, sequence)| sequence),
                event: message.common().ts_event_us,
                holes: Vec::new(),
            };
            Ok(Some((seed, stored.stored_us)))
        }
        Err(error) => {
            // Somebody else's message on our subject; hot-storage will say so too.
            tracing::warn!(subject = subject.as_str(), %error, "the last message cannot be read");
            Ok(None)
        }
    }
}

fn subject(instrument: &Instrument, data_type: DataType) -> Result<Subject, SubjectError> {
    Subject::new(data_type, &instrument.exchange, instrument.market_type, &instrument.symbol)
}
