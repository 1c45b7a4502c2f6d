//! Binance's stream names: `btcusdt@depth@100ms`. Lower-case symbol, which need not be ASCII.

use crate::instrument::MarketType;
use crate::streams::{Catalogue, Feed, Stream};

/// Which path of the simulator a connection came in by. One port serves both markets, so spot has the bare
/// paths and USDⓈ-M its two routed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/ws`, `/stream`: spot.
    Spot,
    /// `/public/…`: USDⓈ-M books, best prices and the undocumented `@trade`.
    UsdmPublic,
    /// `/market/…`: USDⓈ-M everything else, here `@aggTrade`.
    UsdmMarket,
}

impl Route {
    pub(crate) fn market_type(self) -> MarketType {
        match self {
            Self::Spot => MarketType::Spot,
            Self::UsdmPublic | Self::UsdmMarket => MarketType::Perpetual,
        }
    }

    /// Client messages a second; one more ends the connection.
    pub(crate) fn incoming_per_second_max(self) -> u32 {
        match self {
            Self::Spot => 5,
            Self::UsdmPublic | Self::UsdmMarket => 10,
        }
    }

    fn carries(self, feed: Feed) -> bool {
        match self {
            Self::Spot => true,
            Self::UsdmPublic => feed != Feed::AggregateTrade,
            Self::UsdmMarket => feed == Feed::AggregateTrade,
        }
    }
}

/// The stream behind `name` on `route`. `None` is what the exchange acknowledges and then leaves silent: an
/// unknown symbol or channel, or a stream of the other USDⓈ-M path.
pub(crate) fn resolve(name: &str, route: Route, catalogue: &Catalogue) -> Option<Stream> {
    let (symbol, channel) = name.split_once('@')?;
    let feed = feed_of(channel, route.market_type())?;
    // Names are lower case on the wire; an upper-case one is silent there, too.
    if symbol != symbol.to_lowercase() || !route.carries(feed) {
        return None;
    }
    let instrument = catalogue.find(route.market_type(), &symbol.to_uppercase())?;
    Some(Stream { instrument, feed })
}

/// All depth speeds are one feed here: diffs leave as they happen, whatever the name says.
pub(crate) fn feed_of(channel: &str, market_type: MarketType) -> Option<Feed> {
    match (channel, market_type) {
        ("trade", _) => Some(Feed::Trade),
        ("aggTrade", _) => Some(Feed::AggregateTrade),
        ("bookTicker", _) => Some(Feed::BookTicker),
        ("depth" | "depth@100ms", _)
        | ("depth@0ms" | "depth@250ms" | "depth@500ms", MarketType::Perpetual) => Some(Feed::Depth),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, resolve};
    use crate::instrument::{MarketType, built_in};
    use crate::streams::{Catalogue, Feed};

    #[test]
    fn names_resolve_only_where_the_exchange_routes_them() {
        let mut instruments = built_in(MarketType::Spot, 2);
        instruments.extend(built_in(MarketType::Perpetual, 4));
        let catalogue = Catalogue::new(instruments);
        let feed = |name, route| resolve(name, route, &catalogue).map(|stream| stream.feed);
        assert_eq!(feed("btcusdt@depth@100ms", Route::Spot), Some(Feed::Depth));
        assert_eq!(feed("btcusdt@depth@0ms", Route::Spot), None);
        assert_eq!(feed("币安人生usdt@depth@0ms", Route::UsdmPublic), Some(Feed::Depth));
        assert_eq!(feed("btcusdt@aggTrade", Route::UsdmPublic), None);
        assert_eq!(feed("btcusdt@aggTrade", Route::UsdmMarket), Some(Feed::AggregateTrade));
        assert_eq!(feed("btcusdt@trade", Route::UsdmPublic), Some(Feed::Trade));
        assert_eq!(feed("BTCUSDT@trade", Route::Spot), None);
        assert_eq!(feed("nopeusdt@trade", Route::Spot), None);
        assert_eq!(feed("btcusdt", Route::Spot), None);
    }
}
