//! What OKX pushes right behind an acknowledgement: the state of things that change slowly.

use serde_json::Value;

use super::channel::Channel;
use super::frames;
use super::instrument_type::row;
use crate::connection::{Connection, Outgoing};
use crate::exchange::Exchange;
use crate::hub::Hub;
use crate::record::Frame;
use crate::streams::Stream;

/// Queues what `channel` begins with. A client without room for it is told at the next change.
pub(crate) fn send(hub: &Hub, connection: &Connection, channel: Channel, name: &str, streams: &[Stream]) {
    let frame = match channel {
        Channel::FundingRate | Channel::OpenInterest | Channel::MarkPrice => {
            streams.first().and_then(|stream| state(hub, channel, stream.instrument))
        }
        Channel::Instruments => Some(list(hub, name, streams)),
        // `books` has begun with the book; the others are events.
        _ => None,
    };
    if let Some(Frame { text, entries, .. }) = frame {
        let ticket = hub.ledger.ticket(entries);
        connection.try_send(Outgoing::Event { text, ticket });
    }
}

fn state(hub: &Hub, channel: Channel, index: usize) -> Option<Frame> {
    let instrument = hub.catalogue.get(index)?;
    let market = hub.market()?;
    let now_ms = hub.now_ms(Exchange::Okx);
    match channel {
        Channel::FundingRate => frames::funding(instrument, index, &market.mark(index, now_ms)?),
        Channel::MarkPrice => Some(frames::mark_price(instrument, &market.mark(index, now_ms)?)),
        _ => Some(frames::open_interest(instrument, index, &market.open_interest(index, now_ms)?)),
    }
}

fn list(hub: &Hub, name: &str, streams: &[Stream]) -> Frame {
    let listed = streams.iter().filter(|stream| hub.catalogue.is_listed(stream.instrument));
    let rows: Vec<Value> = listed
        .filter_map(|stream| Some(row(hub.catalogue.get(stream.instrument)?, stream.instrument)))
        .collect();
    Frame::unrecorded(format!(r#"{{"arg":{name},"data":{}}}"#, Value::from(rows)))
}
