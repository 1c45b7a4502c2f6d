//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::capture::{self, Nature};
use crate::failure::Failure;

/// Runs exchange (simulated, replayed or real) → collector → NATS JetStream → ClickHouse hot → ClickHouse cold, shows what
/// flows, and reconciles at the end. Exit code 0 only if nothing was lost, duplicated or changed.
#[derive(Debug, Parser)]
#[command(name = "scripts/demo.sh", version)]
pub struct Options {
    /// Stop by itself after this long, such as 60s or 10m; without it, Ctrl-C stops
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) run_for: Option<Duration>,
    /// Messages a second the simulated exchange sends
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rate: u64,
    /// Symbols of each market
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) symbols: u16,
    /// Markets that are collected, separated by spaces or commas
    #[arg(long, value_enum, value_name = "MARKET", num_args = 1.., value_delimiter = ',', default_values_t = Market::ALL, conflicts_with = "replay")]
    pub(crate) markets: Vec<Market>,
    /// Seed of the simulated market: the same seed gives the same trades and books
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Collect from the real exchanges in place of the simulator
    #[arg(long, conflicts_with_all = ["replay", "rate", "symbols", "seed"])]
    pub(crate) live: bool,
    /// Serve these captures as if they were the exchange, each continuing the one before
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "format", conflicts_with_all = ["rate", "symbols", "seed"])]
    pub(crate) replay: Vec<PathBuf>,
    /// How the captures are written
    #[arg(long, requires = "replay")]
    pub(crate) format: Option<Format>,
    /// The market the captures are of; found out from their frames when absent
    #[arg(long, requires = "replay")]
    pub(crate) market: Option<Market>,
    /// Pace of the replay: 1x as recorded, 20x, max
    #[arg(long, requires = "replay", default_value = "1x")]
    pub(crate) speed: String,
    /// How often changed order books are published; 0s at every update (the default for replays)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) publish_interval: Option<Duration>,
    /// Restart these services by SIGTERM once each, spread over the run; separated by spaces or commas
    #[arg(long, value_enum, value_name = "SERVICE", num_args = 1.., value_delimiter = ',', requires = "run_for")]
    pub(crate) restart: Vec<Restartable>,
    /// One line for each data type of each market, in place of one for each data type
    #[arg(long)]
    pub(crate) details: bool,
    /// Leave out the web console (the monitoring service)
    #[arg(long)]
    pub(crate) no_console: bool,
    /// Which ports to use: the documented ones, or free ones
    #[arg(long, value_enum, default_value_t = Ports::Standard)]
    pub(crate) ports: Ports,
    /// Folder of data, logs and configuration; emptied at start. One demo at a time uses it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Print the result as one JSON object on the last line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) servers: Servers,
}

/// Where the servers are that are not built here.
#[derive(Debug, Clone, Args)]
pub struct Servers {
    #[arg(long, hide = true, env = "MARKETPRISM_CACHE")]
    cache: Option<PathBuf>,
    #[arg(long, hide = true, env = "XDG_CACHE_HOME")]
    cache_home: Option<PathBuf>,
    #[arg(long, hide = true, env = "HOME")]
    home: Option<PathBuf>,
    #[arg(long, hide = true, env = "MARKETPRISM_NATS_SERVER")]
    nats_server: Option<PathBuf>,
    #[arg(long, hide = true, env = "LIBCHDB")]
    libchdb: Option<PathBuf>,
}

const NATS_VERSION_FOLDER: &str = "nats-server-2.15.1";
const ENGINE_VERSION_FOLDER: &str = "libchdb-26.7.3-stable.1";

/// How a capture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// hftbacktest's collector
    Hbt,
    /// cryptofeed's text files
    Cryptofeed,
}

/// A market, by the collector's and the simulator's name of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Market {
    /// Binance spot
    #[value(name = "binance_spot", aliases = ["binance-spot", "spot"])]
    BinanceSpot,
    /// Binance USDⓈ-M perpetuals and dated futures
    #[value(name = "binance_usdm", aliases = ["binance-usdm", "perpetual"])]
    BinanceUsdm,
    /// OKX spot
    #[value(name = "okx_spot", alias = "okx-spot")]
    OkxSpot,
    /// OKX swaps and dated futures
    #[value(name = "okx_swap", alias = "okx-swap")]
    OkxSwap,
    /// Deribit perpetuals, futures, options and volatility indices
    #[value(name = "deribit")]
    Deribit,
}

impl Format {
    /// The simulator's word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Hbt => "hbt",
            Self::Cryptofeed => "cryptofeed",
        }
    }
}

impl Market {
    /// Every market.
    pub const ALL: [Self; 5] =
        [Self::BinanceSpot, Self::BinanceUsdm, Self::OkxSpot, Self::OkxSwap, Self::Deribit];

    /// Its name in configurations.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BinanceSpot => "binance_spot",
            Self::BinanceUsdm => "binance_usdm",
            Self::OkxSpot => "okx_spot",
            Self::OkxSwap => "okx_swap",
            Self::Deribit => "deribit",
        }
    }

    /// The simulator's word for the market of a capture.
    ///
    /// # Errors
    /// For a market whose captures it cannot serve.
    pub(crate) fn capture_word(self) -> Result<&'static str, Failure> {
        match self {
            Self::BinanceSpot => Ok("spot"),
            Self::BinanceUsdm => Ok("perpetual"),
            Self::OkxSpot | Self::OkxSwap | Self::Deribit => {
                let word = self.word();
                Err(Failure::Usage(format!("--market {word}: only captures of Binance can be served")))
            }
        }
    }

    /// Which market an instrument of this exchange and market type is of.
    pub fn of(exchange: &str, market_type: &str) -> Option<Self> {
        match (exchange, market_type) {
            ("binance", "spot") => Some(Self::BinanceSpot),
            ("binance", _) => Some(Self::BinanceUsdm),
            ("okx", "spot") => Some(Self::OkxSpot),
            ("okx", _) => Some(Self::OkxSwap),
            ("deribit", _) => Some(Self::Deribit),
            _ => None,
        }
    }
}

/// A service that can be restarted during the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restartable {
    /// The collector
    Collector,
    /// The hot-storage service
    HotStorage,
    /// The cold-storage service
    ColdStorage,
}

/// Which ports to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ports {
    /// The documented ones, so that the manual's commands work
    Standard,
    /// Any free ones
    Free,
}

impl Servers {
    /// Where downloaded servers and the run folders are.
    pub fn cache_folder(&self) -> PathBuf {
        let home = || self.home.clone().unwrap_or_default().join(".cache");
        let base = || self.cache_home.clone().unwrap_or_else(home).join("marketprism");
        self.cache.clone().unwrap_or_else(base)
    }

    /// The broker's program.
    pub fn nats_server(&self) -> PathBuf {
        let provisioned = || self.cache_folder().join(NATS_VERSION_FOLDER).join("nats-server");
        self.nats_server.clone().unwrap_or_else(provisioned)
    }

    /// The ClickHouse engine.
    pub fn libchdb(&self) -> PathBuf {
        let provisioned = || self.cache_folder().join(ENGINE_VERSION_FOLDER).join("libchdb.so");
        self.libchdb.clone().unwrap_or_else(provisioned)
    }
}

impl Options {
    /// The command line of the simulator; `None` where the exchanges are the real ones.
    ///
    /// # Errors
    /// For a capture that cannot be read or served.
    pub(crate) fn simulator(&self) -> Result<Option<Vec<OsString>>, Failure> {
        if self.live {
            return Ok(None);
        }
        let (Some(nature), Some(format)) = (self.nature()?, self.format) else {
            return Ok(Some(simulated(self.seed, self.rate, self.symbols, &self.markets)));
        };
        let mut arguments: Vec<OsString> = vec!["--replay".into()];
        arguments.extend(self.replay.iter().map(Into::into));
        for (flag, value) in [
            ("--format", format.word()),
            ("--market", nature.market.capture_word()?),
            ("--speed", &self.speed),
        ] {
            arguments.extend([flag.into(), value.into()]);
        }
        Ok(Some(arguments))
    }

    /// What the replayed captures are of; `None` without a replay.
    pub(crate) fn nature(&self) -> Result<Option<Nature>, Failure> {
        let (Some(first), Some(format)) = (self.replay.first(), self.format) else { return Ok(None) };
        let found = capture::look(first, format)?;
        Ok(Some(Nature { market: self.market.unwrap_or(found.market), ..found }))
    }

    /// The interval at which the collector publishes books.
    pub(crate) fn book_publish_interval(&self) -> Duration {
        let default = if self.replay.is_empty() { Duration::from_millis(250) } else { Duration::ZERO };
        self.publish_interval.unwrap_or(default)
    }
}

/// The simulator's command line for markets it makes itself.
pub fn simulated(seed: u64, rate: u64, symbols: u16, markets: &[Market]) -> Vec<OsString> {
    let markets: Vec<_> = markets.iter().map(|market| market.word()).collect();
    let flags = [
        ("--seed", seed.to_string()),
        ("--rate", rate.to_string()),
        ("--symbols", symbols.to_string()),
        ("--markets", markets.join(",")),
    ];
    flags.into_iter().flat_map(|(flag, value)| [flag.into(), value.into()]).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn markets(arguments: &str) -> Vec<Market> {
        let arguments = arguments.split_whitespace();
        Options::try_parse_from(["demo"].into_iter().chain(arguments)).unwrap().markets
    }

    #[test]
    fn markets_are_read_in_every_form_that_the_help_shows() {
        use Market::{BinanceSpot, OkxSwap};
        for form in [
            "--markets binance_spot okx_swap",
            "--markets binance_spot,okx_swap",
            "--markets binance_spot --markets okx_swap",
            "--markets=binance_spot,okx_swap",
            "--markets binance-spot okx-swap --json",
            "--markets spot,okx-swap --for 1s",
        ] {
            assert_eq!(markets(form), [BinanceSpot, OkxSwap], "{form}");
        }
        assert_eq!(markets(""), Market::ALL);
        // The defaults stand in the help; who copies them gets them.
        let help = Options::command().render_long_help().to_string();
        let (_, shown) = help.split_once("--markets <MARKET>...").unwrap();
        let (_, shown) = shown.split_once("[default: ").unwrap();
        let (shown, _) = shown.split_once(']').unwrap();
        assert_eq!(markets(&format!("--markets {shown}")), Market::ALL, "{shown}");
        let names = Market::ALL.map(Market::word);
        assert!(names.iter().all(|name| help.contains(&format!("- {name}"))), "{help}");
    }

    #[test]
    fn services_to_restart_are_read_with_spaces_and_commas() {
        for form in ["--restart collector hot-storage", "--restart collector,hot-storage"] {
            let arguments = format!("demo --for 10s {form}");
            let options = Options::try_parse_from(arguments.split_whitespace()).unwrap();
            assert_eq!(options.restart, [Restartable::Collector, Restartable::HotStorage], "{form}");
        }
    }
}
