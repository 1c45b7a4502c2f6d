//! What Deribit remembers beside books and trades, and what it tells on no schedule: maintenance, changes of its list.

use std::sync::Mutex;

use serde_json::json;
use tokio::time::Instant;

use super::bars::IndexValues;
use super::channel;
use super::credits::Credits;
use super::frames::{notification, object};
use super::listing::Listing;
use crate::connection::Outgoing;
use crate::exchange::{Exchange, Market};
use crate::fault::Selector;
use crate::hub::Hub;
use crate::streams::{Feed, Stream};

/// The exchange's memory.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) index_values: IndexValues,
    pub(crate) rest_credits: Mutex<Credits>,
}

impl Default for State {
    fn default() -> Self {
        let rest_credits = Mutex::new(Credits::of_rest(Instant::now()));
        Self { index_values: IndexValues::default(), rest_credits }
    }
}

/// `platform_state` with `{"maintenance":true}` to those who take it, then the end of every connection; how many.
pub(crate) fn maintenance(hub: &Hub, selector: &Selector) -> usize {
    let text = notification("platform_state", &json!({ "maintenance": true }).to_string());
    for subscriber in takers(hub, Feed::Platform) {
        subscriber.connection.announce(text.clone());
    }
    let connections = hub.connections.selected(selector);
    let mut closed = 0;
    for connection in connections.iter().filter(|one| one.exchange == Exchange::Deribit) {
        if !connection.try_send(Outgoing::Close(1001, "maintenance")) {
            connection.cut();
        }
        closed += 1;
    }
    closed
}

/// Tells of an instrument that appeared in the list or left it: `instrument.state.…`, and `instrument.creation.…` with
/// the whole instrument.
pub(crate) async fn listing_changed(hub: &Hub, index: usize) {
    let Some(instrument) = hub.catalogue.get(index) else { return };
    let listed = hub.catalogue.is_listed(index);
    let state = json!({
        "timestamp": hub.now_ms(Exchange::Deribit),
        "state": if listed { "started" } else { "terminated" },
        "instrument_name": instrument.instrument_id,
    });
    for subscriber in takers(hub, Feed::Instruments) {
        let data = if channel::tells_of(&subscriber.name, "state", instrument) {
            state.to_string()
        } else if listed && channel::tells_of(&subscriber.name, "creation", instrument) {
            object(&Listing::of(instrument))
        } else {
            continue;
        };
        subscriber.connection.send(Outgoing::Notice(notification(&subscriber.name, &data))).await;
    }
}

fn takers(hub: &Hub, feed: Feed) -> Vec<crate::streams::Subscriber> {
    let first = hub.catalogue.first(Market::Deribit);
    let takers = first.and_then(|instrument| hub.subscriptions.of(Stream { instrument, feed }));
    takers.map(|takers| takers.to_vec()).unwrap_or_default()
}
