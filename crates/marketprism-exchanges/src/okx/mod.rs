//! OKX v5: spot, perpetual swaps and dated futures. One session type serves all; what differs is in the integrations.
//!
//! Reading order: [`spot`], [`swap`] and [`limits`] (constants), [`frame`], [`channel`], [`book_frame`], [`trades`] and
//! [`contract_data`] (wire shapes), [`order_book`] with [`follower`] and [`joining`] (one instrument's book over all sockets),
//! [`subscriptions`] (what is asked of one socket), [`session`] and [`rest`] (all of it together), [`polled`] (what only REST has).

use marketprism_core::DataType;

use crate::polled::PolledSession;
use crate::registry::{BookMode, ConnectionPath, Integration, SessionConfig, SessionOptions};
use crate::session::Session;

mod book_frame;
mod channel;
mod checksum;
mod contract_data;
mod envelope;
mod feed;
mod follower;
mod frame;
mod instruments;
mod joining;
mod limits;
mod operations;
mod order_book;
mod polled;
mod rest;
mod session;
mod socket;
pub(crate) mod spot;
mod subscriptions;
pub(crate) mod swap;
mod trades;

/// The exchange's token on the wire.
const EXCHANGE: &str = "okx";
/// Port 443: the old port 8443 was switched off in October 2026.
const WS_URL: &str = "wss://ws.okx.com";
const REST_URL: &str = "https://openapi.okx.com";

/// Every channel taken is served without login on the public path.
const PUBLIC: &str = "/ws/v5/public";

/// Whether a data type is asked of REST on a turn.
fn is_polled(data_type: DataType, options: &SessionOptions) -> bool {
    if data_type == DataType::OrderBook {
        return options.book_mode == BookMode::Snapshot;
    }
    channel::Channel::of(data_type).is_none()
}

fn paths(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath> {
    let (polled, pushed) = data_types.iter().partition(|data_type| is_polled(**data_type, options));
    [("public", Some(PUBLIC), pushed), ("polled", None, polled)]
        .into_iter()
        .map(|(name, path, data_types)| ConnectionPath { name, path, data_types })
        .filter(|connection: &ConnectionPath| !connection.data_types.is_empty())
        .collect()
}

/// A session of what one connection takes.
fn open(integration: &'static Integration, config: SessionConfig) -> Box<dyn Session> {
    let is_all_polled = config.data_types.iter().all(|data_type| is_polled(*data_type, &config.options));
    if is_all_polled {
        Box::new(PolledSession::new(polled::POLLED, integration.offers, config))
    } else {
        Box::new(session::OkxSession::new(integration, config))
    }
}
