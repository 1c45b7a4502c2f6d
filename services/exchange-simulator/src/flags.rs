//! The simulator's own flags. Each one that is given wins over file and environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{CaptureFormat, SYMBOLS_MAX, SimulatorConfig, Speed};
use crate::exchange::Market;
use crate::instrument::MarketType;

/// Flags of `marketprism-exchange-simulator`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Where WebSocket, REST and control are served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Write {"simulator":"ADDRESS:PORT"} here once the port is bound
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    /// Decides prices, sizes and ids: equal seeds give equal markets
    #[arg(long)]
    seed: Option<u64>,
    /// Messages a second over all instruments
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// Instruments of each market, from the built-in list and beyond it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(SYMBOLS_MAX)))]
    symbols: Option<u16>,
    /// Markets that are served when nothing is replayed
    #[arg(long, value_name = "MARKET", value_delimiter = ',', conflicts_with = "replay")]
    markets: Vec<Market>,
    /// Append one JSON line for every event sent
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Serve these captures, each continuing the one before, in place of the generator
    #[arg(long, value_name = "PATH", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// How the captures are written
    #[arg(long, requires = "replay")]
    format: Option<CaptureFormat>,
    /// The market the captures are of
    #[arg(long, requires = "replay")]
    market: Option<MarketType>,
    /// Pace of the replay: 1x (as recorded), 20x, max (as fast as subscribers read)
    #[arg(long, requires = "replay")]
    speed: Option<Speed>,
}

impl Flags {
    /// Puts what was given over `config`.
    pub fn apply(self, config: &mut SimulatorConfig) {
        set(&mut config.listen, self.listen);
        set(&mut config.seed, self.seed);
        set(&mut config.rate, self.rate);
        set(&mut config.symbols, self.symbols.map(usize::from));
        if !self.markets.is_empty() {
            config.markets = self.markets;
        }
        config.address_file = self.address_file.or(config.address_file.take());
        config.ledger = self.ledger.or(config.ledger.take());
        if !self.replay.is_empty() {
            config.replay.paths = self.replay;
        }
        set(&mut config.replay.format, self.format);
        set(&mut config.replay.market_type, self.market);
        set(&mut config.replay.speed, self.speed);
    }
}

fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}
