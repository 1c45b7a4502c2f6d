//! The one place where a NATS subject is built or split: `{data_type}.{exchange}.{market_type}.{symbol}`.
//!
//! A symbol may be any Unicode text. What NATS cannot carry in a token (dot, `*`, `>`, white space, control
//! characters) and the escape character itself are written as `%XX`, one per UTF-8 byte; everything else stands as
//! it is, so `BTC-USDT` and `币安人生-USDT` read the same in a subject as in a message.

use std::borrow::Cow;
use std::fmt;

use crate::data_type::{DataType, MarketType};
use crate::instrument::{InstrumentError, check_exchange, check_symbol};

/// Prefix of the subjects that carry undeliverable messages: `dead_letter.{stream}`.
pub const DEAD_LETTER_PREFIX: &str = "dead_letter";

/// Why a text is no subject of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// Not four tokens.
    #[error("subject `{0}` has not the form data_type.exchange.market_type.symbol")]
    Form(String),
    /// A token outside its closed set.
    #[error("subject `{subject}`: {source}")]
    Word {
        /// The subject.
        subject: String,
        /// Which token.
        source: crate::data_type::UnknownWord,
    },
    /// An exchange or symbol that cannot be.
    #[error("subject `{subject}`: {source}")]
    Name {
        /// The subject.
        subject: String,
        /// Which name.
        source: InstrumentError,
    },
    /// A `%` that is not followed by the two digits this module writes.
    #[error("subject `{0}` has a broken escape in its symbol")]
    Escape(String),
}

/// A valid subject, with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    text: String,
    data_type: DataType,
    market_type: MarketType,
    exchange_len: usize,
}

impl Subject {
    /// Builds a subject from its parts.
    ///
    /// # Errors
    /// When the exchange is no token or the symbol is empty, too long or not upper case.
    pub fn new(
        data_type: DataType,
        exchange: &str,
        market_type: MarketType,
        symbol: &str,
    ) -> Result<Self, SubjectError> {
        let named = |source| SubjectError::Name {
            subject: format!("{data_type}.{exchange}.{market_type}.{symbol}"),
            source,
        };
        check_exchange(exchange).map_err(named)?;
        check_symbol(symbol).map_err(named)?;
        let mut text = String::with_capacity(32 + exchange.len() + symbol.len());
        for token in [data_type.as_str(), exchange, market_type.as_str()] {
            text.push_str(token);
            text.push('.');
        }
        escape_into(symbol, &mut text);
        Ok(Self { text, data_type, market_type, exchange_len: exchange.len() })
    }

    /// Splits a subject.
    ///
    /// # Errors
    /// When it is not one that [`Subject::new`] builds.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let mut tokens = text.splitn(4, '.');
        let (Some(data_type), Some(exchange), Some(market_type), Some(symbol)) =
            (tokens.next(), tokens.next(), tokens.next(), tokens.next())
        else {
            return Err(SubjectError::Form(clip(text)));
        };
        let word = |source| SubjectError::Word { subject: clip(text), source };
        let data_type = data_type.parse().map_err(word)?;
        let market_type = market_type.parse().map_err(word)?;
        let symbol = unescape(symbol).ok_or_else(|| SubjectError::Escape(clip(text)))?;
        let subject = Self::new(data_type, exchange, market_type, &symbol)?;
        // One symbol, one subject: an unnecessary escape would make two of it.
        if subject.text == text { Ok(subject) } else { Err(SubjectError::Escape(clip(text))) }
    }

    /// The subject as NATS carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// First token.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Second token.
    #[must_use]
    pub fn exchange(&self) -> &str {
        let start = self.data_type.as_str().len() + 1;
        self.text.get(start..start + self.exchange_len).unwrap_or_default()
    }

    /// Third token.
    #[must_use]
    pub const fn market_type(&self) -> MarketType {
        self.market_type
    }

    /// Fourth token, unescaped: the canonical symbol.
    #[must_use]
    pub fn symbol(&self) -> Cow<'_, str> {
        let start = self.data_type.as_str().len() + self.exchange_len + self.market_type.as_str().len() + 3;
        unescape(self.text.get(start..).unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The subject filter of everything of one data type: `trade.>`.
#[must_use]
pub fn filter(data_type: DataType) -> String {
    format!("{data_type}.>")
}

fn needs_escape(character: char) -> bool {
    matches!(character, '.' | '*' | '>' | '%') || character.is_whitespace() || character.is_control()
}

fn escape_into(symbol: &str, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for character in symbol.chars() {
        if !needs_escape(character) {
            out.push(character);
            continue;
        }
        let mut utf8 = [0; 4];
        for byte in character.encode_utf8(&mut utf8).bytes() {
            out.push('%');
            out.extend(HEX.get(usize::from(byte >> 4)));
            out.extend(HEX.get(usize::from(byte & 0xf)));
        }
    }
}

fn unescape(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('%') {
        return Some(Cow::Borrowed(token));
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(rest.next()?)? << 4 | hex(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn clip(text: &str) -> String {
    text.chars().take(256).collect()
}
