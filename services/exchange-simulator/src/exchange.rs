//! The exchanges that are spoken, and what each one's folder must provide. Sockets, pacing, faults, the ledger and
//! the true books are shared; a folder is one exchange's names, JSON and rules, reached only through the matches below.
//!
//! A folder `src/<exchange>/` provides, in `mod.rs`:
//!
//! - `instruments(market) -> Vec<Instrument>`: all there can be, the most traded first ([`Market::instruments`]).
//! - `sockets(&Sockets) -> Router<Arc<Hub>>`: its WebSocket paths. Each handshake goes through
//!   [`crate::server::upgrade`], which obeys the faults and runs a [`crate::session::Session`]: the exchange's own
//!   half of a connection (requests and their answers, keep-alive, limits of the client). A session subscribes with
//!   `hub.subscriptions.add(stream, connection, name)`, or, where the exchange pushes a book first,
//!   `hub.subscribe_with_book(…)`, which leaves no gap between that book and the updates behind it.
//! - `rest() -> Router<Arc<Hub>>`: its REST paths. `slow_rest` and `rate_limit` are obeyed before they are reached;
//!   `refusal(status)` is the body to refuse with. What clients poll is written into the ledger
//!   with `hub.ledger.note_polled(…)`.
//! - `publish(hub, index, instrument, event) -> u64`: one event of the generator to every stream that shows it, with
//!   `hub.publish(stream, || Frame::new(text, index, record))`, for as many messages of the rate as it returns. Trades
//!   belong into `hub.history` here. A book's frame carries `.at_revision(diff.revision)`. A frame of several events
//!   has `.and(index, record)`.
//! - `listing_changed(hub, index)`: the push of a changed list, where the exchange has one.
//! - `announce_shutdown(connection) -> bool` and `maintenance(hub, selector) -> usize`: faults that are protocol.
//!
//! Event times come from `hub.now_ms(exchange)`, never from the clock itself, so that `clock_skew` is obeyed.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::event::Event;
use crate::fault::Selector;
use crate::hub::Hub;
use crate::instrument::{Instrument, MarketType};
use crate::server::Sockets;
use crate::{binance, deribit, okx};

/// An exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// Binance.
    Binance,
    /// OKX.
    Okx,
    /// Deribit.
    Deribit,
}

/// One exchange's market as it is configured.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Market {
    /// Binance spot.
    #[serde(alias = "spot")]
    BinanceSpot,
    /// Binance USDⓈ-M: perpetuals and dated futures.
    #[serde(alias = "perpetual")]
    BinanceUsdm,
    /// OKX spot.
    OkxSpot,
    /// OKX swaps and dated futures.
    OkxSwap,
    /// Deribit's perpetuals, futures, options and volatility indices.
    Deribit,
}

impl Exchange {
    pub(crate) const ALL: [Self; 3] = [Self::Binance, Self::Okx, Self::Deribit];

    /// The name in subjects, the ledger and control requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Okx => "okx",
            Self::Deribit => "deribit",
        }
    }

    pub(crate) fn sockets(self, sockets: &Sockets) -> Router<Arc<Hub>> {
        match self {
            Self::Binance => binance::sockets(sockets),
            Self::Okx => okx::sockets(sockets),
            Self::Deribit => deribit::sockets(sockets),
        }
    }

    pub(crate) fn rest(self) -> Router<Arc<Hub>> {
        match self {
            Self::Binance => binance::rest(),
            Self::Okx => okx::rest(),
            Self::Deribit => deribit::rest(),
        }
    }

    /// The market type that a REST path is about; `None` where one path serves several.
    pub(crate) fn market_type_of_path(self, path: &str) -> Option<MarketType> {
        match self {
            Self::Binance => binance::market_type_of_path(path),
            Self::Okx | Self::Deribit => None,
        }
    }

    /// The body with which REST refuses under the fault `rate_limit`.
    pub(crate) fn refusal(self, status: StatusCode) -> String {
        match self {
            Self::Binance => binance::refusal(status),
            Self::Okx => okx::refusal(status),
            Self::Deribit => deribit::refusal(status),
        }
    }

    /// Sends an event of `instrument` to its takers; how many messages of the rate it was.
    pub(crate) async fn publish(self, hub: &Hub, index: usize, instrument: &Instrument, event: Event) -> u64 {
        match self {
            Self::Binance => binance::publish(hub, index, instrument, event).await,
            Self::Okx => okx::publish(hub, index, instrument, event).await,
            Self::Deribit => deribit::publish(hub, index, instrument, event).await,
        }
    }

    /// Tells a client that the connection will be closed; false when its queue is full. Nothing closes by itself.
    pub(crate) fn announce_shutdown(self, connection: &Connection) -> bool {
        match self {
            Self::Binance => binance::announce_shutdown(connection),
            Self::Okx => okx::announce_shutdown(connection),
            Self::Deribit => deribit::announce_shutdown(connection),
        }
    }

    /// Tells those who take the list of instruments that the one at `index` came or went.
    pub(crate) async fn listing_changed(self, hub: &Hub, index: usize) {
        match self {
            // Binance's `!contractInfo` is not simulated: clients ask exchangeInfo again.
            Self::Binance => {}
            Self::Okx => okx::listing_changed(hub, index).await,
            Self::Deribit => deribit::listing_changed(hub, index).await,
        }
    }

    /// What the exchange does around a maintenance; how many connections or instruments it concerns.
    pub(crate) fn maintenance(self, hub: &Hub, selector: &Selector) -> usize {
        match self {
            Self::Binance => binance::maintenance(hub, selector),
            Self::Okx => okx::maintenance(hub, selector),
            Self::Deribit => deribit::maintenance(hub, selector),
        }
    }
}

impl Market {
    const ALL: [Self; 5] =
        [Self::BinanceSpot, Self::BinanceUsdm, Self::OkxSpot, Self::OkxSwap, Self::Deribit];

    /// Whose it is.
    #[must_use]
    pub fn exchange(self) -> Exchange {
        match self {
            Self::BinanceSpot | Self::BinanceUsdm => Exchange::Binance,
            Self::OkxSpot | Self::OkxSwap => Exchange::Okx,
            Self::Deribit => Exchange::Deribit,
        }
    }

    /// The markets of `exchange`.
    pub(crate) fn of(exchange: Exchange) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |market| market.exchange() == exchange)
    }

    /// Everything it can list, the most traded first.
    pub(crate) fn instruments(self) -> Vec<Instrument> {
        match self {
            Self::BinanceSpot | Self::BinanceUsdm => binance::instruments(self),
            Self::OkxSpot | Self::OkxSwap => okx::instruments(self),
            Self::Deribit => deribit::instruments(self),
        }
    }
}
