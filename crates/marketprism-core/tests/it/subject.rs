//! Subjects: any symbol survives, and no other text is taken for one.

use marketprism_core::{DataType, MarketType, Subject};
use proptest::prelude::*;

#[test]
fn subjects_read_as_the_contract_says() {
    for (data_type, exchange, market_type, symbol, text) in [
        (DataType::Trade, "binance", MarketType::Spot, "BTC-USDT", "trade.binance.spot.BTC-USDT"),
        (DataType::OrderBook, "okx", MarketType::Perpetual, "ETH-USDT", "orderbook.okx.perpetual.ETH-USDT"),
        (
            DataType::VolatilityIndex,
            "deribit",
            MarketType::Options,
            "BTC",
            "volatility_index.deribit.options.BTC",
        ),
        (
            DataType::Trade,
            "binance",
            MarketType::Perpetual,
            "币安人生-USDT",
            "trade.binance.perpetual.币安人生-USDT",
        ),
        (DataType::Gap, "x_1", MarketType::Futures, "A.B *>%", "gap.x_1.futures.A%2EB%20%2A%3E%25"),
    ] {
        let subject = Subject::new(data_type, exchange, market_type, symbol).unwrap();
        assert_eq!(subject.as_str(), text);
        assert_eq!(Subject::parse(text).unwrap(), subject);
        assert_eq!(subject.exchange(), exchange);
        assert_eq!(subject.symbol(), symbol);
    }
}

#[test]
fn what_is_no_subject_is_refused_and_named() {
    for text in [
        "",
        "trade",
        "trade.binance.spot",
        "trade.binance.spot.",
        "trades.binance.spot.BTC-USDT",
        "trade.Binance.spot.BTC-USDT",
        "trade..spot.BTC-USDT",
        "trade.binance.swap.BTC-USDT",
        "trade.binance.spot.btc-usdt",
        "trade.binance.spot.BTC.USDT",
        "trade.binance.spot.BTC%",
        "trade.binance.spot.BTC%2",
        "trade.binance.spot.BTC%2e",
        "trade.binance.spot.BTC%41",
        "trade.binance.spot.%FF",
    ] {
        let error = Subject::parse(text).expect_err(text);
        assert!(error.to_string().contains(text), "{error}");
    }
}

proptest! {
    #[test]
    fn any_symbol_survives_the_subject(symbol in "\\PC{1,20}|[.*>% \\t\\n\u{2028}A-Z币]{1,12}") {
        let symbol = symbol.to_uppercase();
        prop_assume!(symbol.len() <= 96 && !symbol.bytes().any(|byte| byte.is_ascii_lowercase()));
        let subject = Subject::new(DataType::Trade, "binance", MarketType::Spot, &symbol).unwrap();
        prop_assert_eq!(subject.symbol(), symbol.as_str());
        prop_assert_eq!(&Subject::parse(subject.as_str()).unwrap(), &subject);
        // What NATS carries: four tokens, no wild card, no white space.
        prop_assert_eq!(subject.as_str().split('.').count(), 4);
        prop_assert!(!subject.as_str().chars().any(|c| c.is_whitespace() || c.is_control() || c == '*' || c == '>'));
    }

    #[test]
    fn two_symbols_never_share_a_subject(a in "[A-Z.%25E]{1,6}", b in "[A-Z.%25E]{1,6}") {
        let subject = |symbol: &str| Subject::new(DataType::Trade, "binance", MarketType::Spot, symbol).unwrap();
        prop_assert_eq!(a == b, subject(&a) == subject(&b));
    }

    #[test]
    fn any_text_parses_or_is_refused(text: String) {
        if let Ok(subject) = Subject::parse(&text) {
            prop_assert_eq!(subject.as_str(), text);
        }
    }
}
