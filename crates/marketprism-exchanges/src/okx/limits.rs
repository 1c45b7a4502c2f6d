//! The exchange's limits, each with where it is said. They are counted by address; of REST for each endpoint.

use std::time::Duration;

use crate::registry::{ConnectLimit, RestLimit, SubscribeRate};

pub(super) const INSTRUMENTS: &str = "instruments";
pub(super) const BOOKS: &str = "books";
pub(super) const HISTORY_TRADES: &str = "history_trades";
pub(super) const RATIO_POSITION: &str = "ratio_position";
pub(super) const RATIO_ACCOUNT: &str = "ratio_account";

const PER: Duration = Duration::from_secs(2);

const fn limit(name: &'static str, weight: u32) -> RestLimit {
    RestLimit { name, weight, per: PER, used_header: None }
}

pub(super) const REST: &[RestLimit] = &[
    limit(INSTRUMENTS, 20),
    limit(BOOKS, 40),
    limit(HISTORY_TRADES, 20),
    // Five of each instrument; so many of all together is our own bound.
    limit(RATIO_POSITION, 20),
    limit(RATIO_ACCOUNT, 20),
];

/// Three attempts a second.
pub(super) const CONNECT: ConnectLimit =
    ConnectLimit { attempts: 3, per: Duration::from_secs(1), open_max: None };

/// A connection is closed after 30 s without anything (4004): it is asked for a sign of life after half of that.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Books of one connection; the exchange advises fewer than 30.
pub(super) const BOOKS_PER_CONNECTION_MAX: usize = 29;

/// Streams of one connection. The exchange names no bound; a request of all of them stays below its 64 KB.
pub(super) const STREAMS_PER_CONNECTION_MAX: usize = 300;

/// 480 operations an hour, of many streams each.
pub(super) const SUBSCRIBE: SubscribeRate = SubscribeRate { streams: 300, per: Duration::from_millis(250) };
