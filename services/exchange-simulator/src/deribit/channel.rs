//! Channel names: `book.BTC-PERPETUAL.100ms`. Pure.

use super::listing::{is_index, kind, settlement_currency};
use crate::catalogue::Catalogue;
use crate::exchange::Market;
use crate::instrument::{Instrument, MarketType};
use crate::streams::{Feed, Stream};

/// The only interval served; `raw` needs an account, and `agg2` is not simulated.
const INTERVAL: &str = "100ms";
const RAW: &str = "raw";

/// Whether it is one that the exchange gives to accounts only: one such channel refuses the whole call.
pub(crate) fn needs_authorization(name: &str) -> bool {
    name.rsplit('.').next() == Some(RAW)
}

/// The stream behind a channel; `None` is what the exchange leaves out of its answer without a word.
pub(crate) fn resolve(name: &str, catalogue: &Catalogue) -> Option<Stream> {
    let (topic, rest) = name.split_once('.').unwrap_or((name, ""));
    let whole_market = |feed| Some(Stream { instrument: catalogue.first(Market::Deribit)?, feed });
    match topic {
        "platform_state" if rest.is_empty() => return whole_market(Feed::Platform),
        "instrument" => return list_change(rest).and_then(|_| whole_market(Feed::Instruments)),
        _ => {}
    }
    let (instrument_id, interval) =
        if topic == "deribit_volatility_index" { (rest, INTERVAL) } else { rest.rsplit_once('.')? };
    let index = catalogue.find(Market::Deribit, instrument_id)?;
    let instrument = catalogue.get(index)?;
    let feed = feed(topic, instrument).filter(|_| interval == INTERVAL)?;
    Some(Stream { instrument: index, feed })
}

/// The channel of a feed, as [`resolve`] reads it.
pub(crate) fn name(feed: &str, instrument: &Instrument) -> String {
    format!("{feed}.{}.{INTERVAL}", instrument.instrument_id)
}

/// Whether the change of `instrument` belongs into `instrument.{change}.{kind}.{currency}`.
pub(crate) fn tells_of(name: &str, change: &str, instrument: &Instrument) -> bool {
    name.strip_prefix("instrument.").and_then(list_change).is_some_and(|(its_change, its_kind, currency)| {
        its_change == change
            && (its_kind == "any" || its_kind == kind(instrument))
            && (currency == "any" || currency == settlement_currency(instrument))
    })
}

/// `state` or `creation`, the kind, the currency.
fn list_change(rest: &str) -> Option<(&str, &str, &str)> {
    let mut parts = rest.split('.');
    let (change, kind, currency) = (parts.next()?, parts.next()?, parts.next()?);
    let known = matches!(change, "state" | "creation") && matches!(kind, "future" | "option" | "any");
    (known && parts.next().is_none()).then_some((change, kind, currency))
}

fn feed(topic: &str, instrument: &Instrument) -> Option<Feed> {
    match (topic, is_index(instrument)) {
        ("deribit_volatility_index", true) => Some(Feed::VolatilityIndex),
        ("book", false) => Some(Feed::Depth),
        ("trades", false) => Some(Feed::Trade),
        ("ticker", false) => Some(Feed::Ticker),
        ("perpetual", false) if instrument.market_type == MarketType::Perpetual => Some(Feed::FundingRate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{needs_authorization, resolve, tells_of};
    use crate::catalogue::Catalogue;
    use crate::deribit::listing::instruments;
    use crate::streams::Feed;

    #[test]
    fn names_resolve_as_the_exchange_knows_them() {
        let catalogue = Catalogue::new(instruments().into_iter().map(|one| (one, true)).collect());
        let feed = |name| resolve(name, &catalogue).map(|stream| stream.feed);
        assert_eq!(feed("book.BTC-PERPETUAL.100ms"), Some(Feed::Depth));
        assert_eq!(feed("trades.BTC-25DEC26-70000-C.100ms"), Some(Feed::Trade));
        assert_eq!(feed("ticker.BTC_USDC-PERPETUAL.100ms"), Some(Feed::Ticker));
        assert_eq!(feed("perpetual.ETH-PERPETUAL.100ms"), Some(Feed::FundingRate));
        assert_eq!(feed("deribit_volatility_index.eth_usd"), Some(Feed::VolatilityIndex));
        assert_eq!(feed("platform_state"), Some(Feed::Platform));
        assert_eq!(feed("instrument.state.any.any"), Some(Feed::Instruments));
        for unknown in [
            "book.BTC-PERPETUAL.200ms",
            "book.BTC-PERPETUAL",
            "book.NOPE-PERPETUAL.100ms",
            "perpetual.BTC-25DEC26.100ms",
            "book.btc_usd.100ms",
            "deribit_volatility_index.sol_usd",
            "instrument.state.future",
            "",
        ] {
            assert_eq!(feed(unknown), None, "{unknown}");
        }
        assert!(needs_authorization("book.BTC-PERPETUAL.raw"));
    }

    #[test]
    fn changes_of_the_list_go_to_their_kind_and_currency() {
        let instruments = instruments();
        let linear = instruments.iter().find(|one| one.instrument_id == "BTC_USDC-PERPETUAL").unwrap();
        assert!(tells_of("instrument.state.future.USDC", "state", linear));
        assert!(tells_of("instrument.creation.any.any", "creation", linear));
        assert!(!tells_of("instrument.state.future.BTC", "state", linear));
        assert!(!tells_of("instrument.state.option.USDC", "state", linear));
        assert!(!tells_of("instrument.state.future.USDC", "creation", linear));
    }
}
