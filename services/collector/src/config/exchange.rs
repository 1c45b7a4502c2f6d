//! Section `exchanges.<id>`: one exchange's market.

use std::num::NonZeroU32;
use std::time::Duration;

use marketprism_core::instrument::check_symbol;
use marketprism_core::{DataType, MarketType};
use marketprism_exchanges::registry::{Integration, SessionOptions};
use marketprism_service::{ConfigError, HumanDuration, Secret};
use serde::{Deserialize, Serialize};

use super::orderbook::OrderBookConfig;
use super::selection::Selection;

/// The periods of long/short ratios, in the exchanges' common words.
const RATIO_PERIODS: [&str; 9] = ["5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"];
/// Each instrument costs memory (a book of 1,000 levels about 100 KiB) and subscriptions; no exchange trades more than
/// this but in options, where nobody wants all strikes unawares.
const INSTRUMENTS_MAX: usize = 10_000;
/// A connection is replaced so long before the exchange would close it.
const LIFE_MARGIN: Duration = Duration::from_secs(3600);
/// Bounds of the intervals at which exchanges are asked: below the first they would ban us, beyond the last data is stale.
const ASK_INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(24 * 3600)];

/// One exchange's market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExchangeConfig {
    /// Whether it is collected.
    pub(crate) enabled: bool,
    /// Canonical symbols such as `BTC-USDT`, patterns such as `*-USDT` or `BTC-*`, or `all`. New instruments that match are
    /// taken as they are listed.
    pub(crate) symbols: Selection<String>,
    /// Symbols and patterns that are not taken although `symbols` names them.
    pub(crate) exclude: Vec<String>,
    /// Market types taken, or `all` the exchange's market has.
    pub(crate) market_types: Selection<MarketType>,
    /// What to take of each symbol, or `all` that is offered.
    pub(crate) data_types: Selection<DataType>,
    /// Instruments taken at most; those that match beyond are told in health.
    pub(crate) instruments_max: usize,
    /// How often the exchange's instrument list is read again.
    pub(crate) instruments_refresh: HumanDuration,
    /// WebSocket base; the exchange's own when absent.
    pub(crate) ws_url: Option<String>,
    /// REST base; the exchange's own when absent.
    pub(crate) rest_url: Option<String>,
    /// HTTP proxy of this exchange; the collector's when absent.
    pub(crate) proxy: Option<Secret>,
    /// Sockets that bring the same streams: 1, or 2 so that either may die without a gap.
    pub(crate) redundancy: u8,
    /// Age at which a connection is replaced, successor first; an hour before the exchange's limit when absent.
    pub(crate) connection_life: Option<HumanDuration>,
    /// Attempts to connect a minute; half of the exchange's limit when absent.
    pub(crate) connects_per_minute_max: Option<NonZeroU32>,
    /// Which of the exchange's trade streams; its default when absent.
    pub(crate) trade_stream: Option<String>,
    /// How its order books are kept and published.
    pub(crate) orderbook: OrderBookConfig,
    /// How often polled data (open interest, ratios, volatility) is asked for, per symbol.
    pub(crate) poll_interval: HumanDuration,
    /// Period of the long/short ratios: `5m`, `15m`, `30m`, `1h`, `2h`, `4h`, `6h`, `12h` or `1d`.
    pub(crate) ratio_period: String,
    /// Streams on one connection; the exchange's limit when absent.
    pub(crate) streams_per_connection_max: Option<usize>,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            symbols: Selection::Only(Vec::new()),
            exclude: Vec::new(),
            market_types: Selection::All,
            data_types: Selection::All,
            instruments_max: 1_000,
            instruments_refresh: HumanDuration::from_secs(600),
            ws_url: None,
            rest_url: None,
            proxy: None,
            redundancy: 1,
            connection_life: None,
            connects_per_minute_max: None,
            trade_stream: None,
            orderbook: OrderBookConfig::default(),
            poll_interval: HumanDuration::from_secs(30),
            ratio_period: "5m".to_owned(),
            streams_per_connection_max: None,
        }
    }
}

impl ExchangeConfig {
    /// The defaults of one integration: everything it offers of a few symbols.
    pub(super) fn of(integration: &Integration) -> Self {
        let symbols = integration.symbols_default.iter().map(|symbol| (*symbol).to_owned()).collect();
        Self { symbols: Selection::Only(symbols), ..Self::default() }
    }

    /// What is taken of its symbols.
    pub(crate) fn data_types(&self, integration: &Integration) -> Vec<DataType> {
        self.data_types.of(integration.data_types)
    }

    /// How long a socket is used: what is configured, else an hour less than the exchange allows.
    pub(crate) fn life(&self, integration: &Integration) -> Option<Duration> {
        let configured = self.connection_life.map(HumanDuration::get);
        configured.or_else(|| {
            integration
                .connection_life_max
                .map(|life_max| life_max.saturating_sub(LIFE_MARGIN).max(life_max / 2))
        })
    }

    /// What a session needs to know of it.
    pub(crate) fn session_options(&self) -> SessionOptions {
        SessionOptions {
            trade_stream: self.trade_stream.clone(),
            book_depth: self.orderbook.depth,
            book_depth_max: self.orderbook.depth_max,
            book_publish_interval: self.orderbook.publish_interval.get(),
            snapshot_levels: self.orderbook.snapshot_levels,
            book_mode: self.orderbook.mode,
            poll_interval: self.poll_interval.get(),
            ratio_period: self.ratio_period.clone(),
        }
    }

    pub(super) fn validate(&self, id: &str, integration: &Integration) -> Result<(), ConfigError> {
        let key = |field: &str| format!("exchanges.{id}.{field}");
        check_chosen(&key("symbols"), &self.symbols)?;
        check_chosen(&key("data_types"), &self.data_types)?;
        check_chosen(&key("market_types"), &self.market_types)?;
        for (field, symbols) in [("symbols", self.symbols.named()), ("exclude", &self.exclude)] {
            if symbols.len() > INSTRUMENTS_MAX {
                let reason = format!("names more than {INSTRUMENTS_MAX}; use patterns");
                return Err(ConfigError::invalid(key(field), symbols.len(), reason));
            }
            for symbol in symbols {
                check_symbol(symbol)
                    .map_err(|error| ConfigError::invalid(key(field), symbol, error.reason))?;
            }
        }
        check_offered(&key("data_types"), self.data_types.named(), integration.data_types)?;
        check_offered(&key("market_types"), self.market_types.named(), integration.market_types)?;
        if let Some(stream) = &self.trade_stream
            && !["trade", "aggTrade"].contains(&stream.as_str())
        {
            return Err(ConfigError::invalid(key("trade_stream"), stream, "is neither trade nor aggTrade"));
        }
        check_url(&key("ws_url"), self.ws_url.as_deref(), &["ws", "wss"])?;
        check_url(&key("rest_url"), self.rest_url.as_deref(), &["http", "https"])?;
        check_proxy(&key("proxy"), self.proxy.as_ref())?;
        if self.streams_per_connection_max == Some(0) {
            return Err(ConfigError::invalid(key("streams_per_connection_max"), 0, "must be above zero"));
        }
        if !(1..=INSTRUMENTS_MAX).contains(&self.instruments_max) {
            let reason = format!("must be 1 to {INSTRUMENTS_MAX}");
            return Err(ConfigError::invalid(key("instruments_max"), self.instruments_max, reason));
        }
        if !(1..=2).contains(&self.redundancy) {
            return Err(ConfigError::invalid(key("redundancy"), self.redundancy, "must be 1 or 2"));
        }
        self.validate_times(&key, integration)?;
        self.orderbook.validate(&key("orderbook"))
    }

    fn validate_times(
        &self,
        key: &impl Fn(&str) -> String,
        integration: &Integration,
    ) -> Result<(), ConfigError> {
        let [min, max] = ASK_INTERVALS;
        let intervals =
            [("instruments_refresh", self.instruments_refresh), ("poll_interval", self.poll_interval)];
        for (field, interval) in intervals {
            if !(min..=max).contains(&interval.get()) {
                return Err(ConfigError::invalid(key(field), interval, "must be 1s to 1day"));
            }
        }
        if !RATIO_PERIODS.contains(&self.ratio_period.as_str()) {
            let reason = format!("is none of {}", RATIO_PERIODS.join(", "));
            return Err(ConfigError::invalid(key("ratio_period"), &self.ratio_period, reason));
        }
        let Some(life) = self.connection_life else { return Ok(()) };
        if life.get() < Duration::from_secs(1) {
            return Err(ConfigError::invalid(key("connection_life"), life, "must be at least 1s"));
        }
        match integration.connection_life_max {
            Some(life_max) if life.get() >= life_max => {
                let reason = "the exchange closes connections before that";
                Err(ConfigError::invalid(key("connection_life"), life, reason))
            }
            _ => Ok(()),
        }
    }
}

fn check_chosen<T>(key: &str, selection: &Selection<T>) -> Result<(), ConfigError> {
    match selection {
        Selection::Only(named) if named.is_empty() => {
            Err(ConfigError::invalid(key, "[]", "names nothing to collect; use enabled: false"))
        }
        Selection::All | Selection::Only(_) => Ok(()),
    }
}

fn check_offered<T: Copy + PartialEq + ToString>(
    key: &str,
    named: &[T],
    offered: &[T],
) -> Result<(), ConfigError> {
    let Some(missing) = named.iter().find(|one| !offered.contains(one)) else { return Ok(()) };
    let known: Vec<_> = offered.iter().map(ToString::to_string).collect();
    let reason = format!("is not offered here; known: {}", known.join(", "));
    Err(ConfigError::invalid(key, missing.to_string(), reason))
}

fn check_url(key: &str, value: Option<&str>, schemes: &[&str]) -> Result<(), ConfigError> {
    let Some(value) = value else { return Ok(()) };
    check_scheme(value, schemes).map_err(|reason| ConfigError::invalid(key, value, reason))
}

/// A proxy may have a password inside: what is wrong with it is said without it.
pub(super) fn check_proxy(key: &str, proxy: Option<&Secret>) -> Result<(), ConfigError> {
    let Some(proxy) = proxy else { return Ok(()) };
    check_scheme(proxy.expose(), &["http"]).map_err(|reason| ConfigError::invalid(key, "(hidden)", reason))
}

fn check_scheme(value: &str, schemes: &[&str]) -> Result<(), String> {
    match url::Url::parse(value) {
        Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(()),
        Ok(_) => Err(format!("does not begin with {}://", schemes.join(":// or "))),
        Err(error) => Err(format!("is no URL: {error}")),
    }
}
