//! Names of the channels, such as `book.BTC-PERPETUAL.100ms`. Instrument names have no dots: a strike of 0.625 is `0d625`.

use marketprism_core::DataType;

/// What a channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Book,
    Trades,
    /// Funding and open interest of a contract, beside much else.
    Ticker,
    Volatility,
}

/// State of the platform: price indices locked, maintenance.
pub(super) const PLATFORM_STATE: &str = "platform_state";

/// The shortest interval that is given without an account.
const INTERVAL: &str = "100ms";

impl Channel {
    /// Where a data type comes from; `None` for what Deribit does not push.
    pub(super) const fn of(data_type: DataType) -> Option<Self> {
        match data_type {
            DataType::OrderBook => Some(Self::Book),
            DataType::Trade => Some(Self::Trades),
            DataType::FundingRate | DataType::OpenInterest => Some(Self::Ticker),
            DataType::VolatilityIndex => Some(Self::Volatility),
            DataType::Liquidation | DataType::LsrTopPosition | DataType::LsrAllAccount | DataType::Gap => {
                None
            }
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Trades => "trades",
            Self::Ticker => "ticker",
            Self::Volatility => "deribit_volatility_index",
        }
    }

    /// The channel's name for an instrument.
    pub(super) fn name(self, instrument_id: &str) -> String {
        match self {
            Self::Volatility => format!("{}.{instrument_id}", self.prefix()),
            Self::Book | Self::Trades | Self::Ticker => {
                format!("{}.{instrument_id}.{INTERVAL}", self.prefix())
            }
        }
    }

    /// Channel and instrument id of a name, whatever its interval.
    pub(super) fn parse(name: &str) -> Option<(Self, &str)> {
        let (prefix, rest) = name.split_once('.')?;
        let channel = [Self::Book, Self::Trades, Self::Ticker, Self::Volatility]
            .into_iter()
            .find(|channel| channel.prefix() == prefix)?;
        match channel {
            Self::Volatility => Some((channel, rest)),
            Self::Book | Self::Trades | Self::Ticker => {
                let (instrument_id, interval) = rest.split_once('.')?;
                // A grouped book (`book.X.none.20.100ms`) is another thing, and was not asked for.
                (!interval.contains('.')).then_some((channel, instrument_id))
            }
        }
    }
}
