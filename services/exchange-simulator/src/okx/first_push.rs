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
    let first = streams.first().map(|stream| stream.instrument);
    let frame = match channel {
        Channel::FundingRate => first.and_then(|index| funding(hub, index)),
        Channel::OpenInterest => first.and_then(|index| open_interest(hub, index)),
        Channel::MarkPrice => first.and_then(|index| mark_price(hub, index)),
        Channel::Instruments => Some(list(hub, name, streams)),
        // It has begun with the book.
        Channel::Books => None,
        // Events.
        Channel::BestBidAsk
        | Channel::Trades
        | Channel::TradesAll
        | Channel::Tickers
        | Channel::LiquidationOrders => None,
    };
    if let Some(Frame { text, entries, .. }) = frame {
        let ticket = hub.ledger.ticket(entries);
        connection.try_send(Outgoing::Event { text, ticket });
    }
}

fn funding(hub: &Hub, index: usize) -> Option<Frame> {
    let mark = hub.generator()?.mark(index, hub.now_ms(Exchange::Okx))?;
    frames::funding(hub.catalogue.get(index)?, index, &mark)
}

fn mark_price(hub: &Hub, index: usize) -> Option<Frame> {
    let mark = hub.generator()?.mark(index, hub.now_ms(Exchange::Okx))?;
    Some(frames::mark_price(hub.catalogue.get(index)?, &mark))
}

fn open_interest(hub: &Hub, index: usize) -> Option<Frame> {
    let told = hub.generator()?.open_interest(index, hub.now_ms(Exchange::Okx))?;
    Some(frames::open_interest(hub.catalogue.get(index)?, index, &told))
}

fn list(hub: &Hub, name: &str, streams: &[Stream]) -> Frame {
    let listed = streams.iter().filter(|stream| hub.catalogue.is_listed(stream.instrument));
    let rows: Vec<Value> = listed
        .filter_map(|stream| Some(row(hub.catalogue.get(stream.instrument)?, stream.instrument)))
        .collect();
    Frame::unrecorded(format!(r#"{{"arg":{name},"data":{}}}"#, Value::from(rows)))
}
