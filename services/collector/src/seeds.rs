//! What was published last before this process started: read from the broker, so that the hole a restart leaves shows,
//! and what is polled is not published twice.

use marketprism_bus::{Bus, BusError};
use marketprism_core::{DataType, Instrument, Message, Subject, topology};
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
        for instrument in instruments {
            seeds.extend(seed(bus, instrument, *data_type).await?);
        }
    }
    Ok(seeds)
}

async fn seed(bus: &Bus, instrument: &Instrument, data_type: DataType) -> Result<Option<Seed>, BusError> {
    let subject = Subject::new(data_type, &instrument.exchange, instrument.market_type, &instrument.symbol);
    let Ok(subject) = subject else { return Ok(None) };
    let Some(stored) = bus.last_message(topology::stream_of(data_type), subject.as_str()).await? else {
        return Ok(None);
    };
    match Message::decode(&subject, &stored.payload) {
        Ok(message) => Ok(Some(Seed {
            instrument_id: instrument.instrument_id.clone(),
            data_type,
            sequence: sequence::of(&message).map(|(_, sequence)| sequence),
            event: message.common().ts_event_us,
        })),
        Err(error) => {
            // Somebody else's message on our subject; hot-storage will say so too.
            tracing::warn!(subject = subject.as_str(), %error, "the last message cannot be read");
            Ok(None)
        }
    }
}
