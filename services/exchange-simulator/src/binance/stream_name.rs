//! Binance's stream names: `btcusdt@depth@100ms`. Lower-case symbol, which need not be ASCII.

use super::product::Product;
use crate::catalogue::Catalogue;
use crate::exchange::Market;
use crate::streams::{Feed, Stream};

/// Which path of the simulator a connection came in by. One port serves both markets, so spot has the bare
/// paths and USDⓈ-M its two routed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/ws`, `/stream`: spot.
    Spot,
    /// `/public/…`: USDⓈ-M books, best prices and the undocumented `@trade`.
    UsdmPublic,
    /// `/market/…`: USDⓈ-M everything else.
    UsdmMarket,
}

impl Route {
    pub(crate) fn product(self) -> Product {
        match self {
            Self::Spot => Product::Spot,
            Self::UsdmPublic | Self::UsdmMarket => Product::Usdm,
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
        let is_public = matches!(feed, Feed::Depth | Feed::BookTicker | Feed::Trade);
        match self {
            Self::Spot => true,
            Self::UsdmPublic => is_public,
            Self::UsdmMarket => !is_public,
        }
    }
}

/// The streams behind `name` on `route`. None is what the exchange acknowledges and then leaves silent: an unknown
/// symbol or channel, or a stream of the other USDⓈ-M path.
pub(crate) fn resolve(name: &str, route: Route, catalogue: &Catalogue) -> Vec<Stream> {
    match (name, route) {
        ("!markPrice@arr" | "!markPrice@arr@1s", Route::UsdmMarket) => {
            whole_market(Feed::MarkPrices, catalogue).collect()
        }
        // Every instrument's, those that may be listed later, too, and what is not ours.
        ("!forceOrder@arr", Route::UsdmMarket) => {
            let all = catalogue.all().iter().enumerate();
            let ours = all.filter(|(_, one)| one.market == Market::BinanceUsdm);
            ours.map(|(instrument, _)| Stream { instrument, feed: Feed::Liquidation })
                .chain(whole_market(Feed::ForeignLiquidation, catalogue))
                .collect()
        }
        _ => one(name, route, catalogue).into_iter().collect(),
    }
}

fn whole_market(feed: Feed, catalogue: &Catalogue) -> impl Iterator<Item = Stream> {
    catalogue.first(Market::BinanceUsdm).map(|instrument| Stream { instrument, feed }).into_iter()
}

fn one(name: &str, route: Route, catalogue: &Catalogue) -> Option<Stream> {
    let (symbol, channel) = name.split_once('@')?;
    let feed = feed_of(channel, route.product())?;
    // Names are lower case on the wire; an upper-case one is silent there, too.
    if symbol != symbol.to_lowercase() || !route.carries(feed) {
        return None;
    }
    let instrument = catalogue.find(route.product().market(), &symbol.to_uppercase())?;
    Some(Stream { instrument, feed })
}

/// All speeds are one feed here: diffs leave as they happen and mark prices as they are computed, whatever the name says.
pub(crate) fn feed_of(channel: &str, product: Product) -> Option<Feed> {
    match (channel, product) {
        ("trade", _) => Some(Feed::Trade),
        ("aggTrade", _) => Some(Feed::AggregateTrade),
        ("bookTicker", _) => Some(Feed::BookTicker),
        ("depth" | "depth@100ms", _) | ("depth@0ms" | "depth@250ms" | "depth@500ms", Product::Usdm) => {
            Some(Feed::Depth)
        }
        ("markPrice" | "markPrice@1s", Product::Usdm) => Some(Feed::MarkPrice),
        ("forceOrder", Product::Usdm) => Some(Feed::Liquidation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, resolve};
    use crate::binance::listing::instruments;
    use crate::binance::product::Product;
    use crate::catalogue::Catalogue;
    use crate::streams::Feed;

    #[test]
    fn names_resolve_only_where_the_exchange_routes_them() {
        let all = [Product::Spot, Product::Usdm].into_iter().flat_map(instruments);
        let catalogue = Catalogue::new(all.map(|one| (one, true)).collect());
        let feed = |name, route| resolve(name, route, &catalogue).first().map(|stream| stream.feed);
        assert_eq!(feed("btcusdt@depth@100ms", Route::Spot), Some(Feed::Depth));
        assert_eq!(feed("btcusdt@depth@0ms", Route::Spot), None);
        assert_eq!(feed("币安人生usdt@depth@0ms", Route::UsdmPublic), Some(Feed::Depth));
        assert_eq!(feed("btcusdt@aggTrade", Route::UsdmPublic), None);
        assert_eq!(feed("btcusdt@aggTrade", Route::UsdmMarket), Some(Feed::AggregateTrade));
        assert_eq!(feed("btcusdt@trade", Route::UsdmPublic), Some(Feed::Trade));
        assert_eq!(feed("btcusdt@markPrice@1s", Route::UsdmMarket), Some(Feed::MarkPrice));
        assert_eq!(feed("btcusdt@forceOrder", Route::UsdmPublic), None);
        assert_eq!(feed("btcusdt@markPrice", Route::Spot), None);
        assert_eq!(resolve("!forceOrder@arr", Route::UsdmMarket, &catalogue).len(), 18);
        assert_eq!(feed("BTCUSDT@trade", Route::Spot), None);
        assert_eq!(feed("nopeusdt@trade", Route::Spot), None);
        assert_eq!(feed("btcusdt", Route::Spot), None);
    }
}
