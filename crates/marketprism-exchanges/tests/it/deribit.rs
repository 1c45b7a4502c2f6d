//! Deribit: frames in the exchange's shapes with numbers of our own, and a session of four instruments.

use marketprism_core::{Contract, ContractUnit, DataType, Decimal, Instrument, MarketType, Timestamp};
use marketprism_exchanges::Link;
use marketprism_exchanges::registry::{self, Seed, SessionConfig, SessionOptions};
use serde_json::{Value, json};

use crate::driver::{Driver, LINK, START, options};

/// An inverse perpetual: amounts in USD, ten a contract.
pub const BTC: &str = "BTC-PERPETUAL";
/// A linear perpetual: amounts in ETH.
pub const ETH: &str = "ETH_USDC-PERPETUAL";
pub const OPTION: &str = "BTC-25DEC26-70000-C";
pub const INDEX: &str = "btc_usd";
/// The second socket.
pub const OTHER: Link = Link(1);

pub const ALL: &[DataType] = &[
    DataType::VolatilityIndex,
    DataType::Trade,
    DataType::OrderBook,
    DataType::FundingRate,
    DataType::OpenInterest,
];

pub fn instrument(
    id: &str,
    market_type: MarketType,
    symbol: &str,
    contract: Option<(&str, ContractUnit)>,
) -> Instrument {
    let contract = contract.map(|(size, unit)| Contract { size: size.parse::<Decimal>().unwrap(), unit });
    Instrument { contract, ..Instrument::new("deribit", market_type, symbol.to_owned(), id).unwrap() }
}

pub fn instruments() -> Vec<Instrument> {
    use ContractUnit::{Base, Quote};
    vec![
        instrument(BTC, MarketType::Perpetual, "BTC-USD", Some(("10", Quote))),
        instrument(ETH, MarketType::Perpetual, "ETH-USDC", Some(("0.001", Base))),
        instrument(OPTION, MarketType::Options, "BTC-USD-20261225-70000-C", Some(("1", Base))),
        instrument(INDEX, MarketType::Options, "BTC", None),
    ]
}

pub fn config(data_types: &[DataType], options: SessionOptions, seeds: Vec<Seed>) -> SessionConfig {
    SessionConfig { instruments: instruments(), data_types: data_types.to_vec(), options, seeds }
}

/// A session of these data types whose first socket is open and whose channels are acknowledged.
pub fn open(data_types: &[DataType]) -> Driver {
    open_with(config(data_types, options(), Vec::new()))
}

pub fn open_with(config: SessionConfig) -> Driver {
    let mut driver = Driver::new("deribit", config);
    driver.opened();
    settle(&mut driver);
    driver
}

/// Answers every call as the exchange does, until none is open. Gives the calls of channels, as `(socket, method, channels)`.
pub fn settle(driver: &mut Driver) -> Vec<(Link, String, Vec<String>)> {
    let mut calls = Vec::new();
    // Calls are paced: the next one comes within half a second.
    let mut idle = 0;
    while idle < 5 {
        idle += 1;
        let sent: Vec<_> = std::mem::take(&mut driver.recorded.sent_on)
            .into_iter()
            .zip(std::mem::take(&mut driver.recorded.sent))
            .collect();
        for (link, text) in sent {
            idle = 0;
            let call: Value = serde_json::from_str(&text).unwrap();
            let channels = &call["params"]["channels"];
            let result = if channels.is_array() { channels.clone() } else { json!("ok") };
            if channels.is_array() {
                let names = channels.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
                calls.push((link, call["method"].as_str().unwrap().to_owned(), names.collect()));
            }
            driver.frame_on(link, &answer(&call["id"], &result)).unwrap();
        }
        driver.pass(100);
    }
    calls
}

pub fn answer(id: &Value, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "result": result, "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": false}).to_string()
}

/// Written as the exchange writes it, which is what the fast path reads.
pub fn event(channel: &str, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
}

/// ms since 1970 of so many ms after the start.
pub fn at(millis: u64) -> u64 {
    START.unsigned_abs() / 1000 + millis
}

pub fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(at(millis)).unwrap()).unwrap()
}

/// A snapshot of one level a side.
pub fn snapshot(id: &str, change_id: u64, bid: (&str, &str), ask: (&str, &str)) -> String {
    event(
        &format!("book.{id}.100ms"),
        &format!(
            r#"{{"timestamp":{},"type":"snapshot","change_id":{change_id},"instrument_name":"{id}","bids":[["new",{},{}]],"asks":[["new",{},{}]]}}"#,
            at(change_id),
            bid.0,
            bid.1,
            ask.0,
            ask.1
        ),
    )
}

/// A change of these bids and asks, each as the exchange writes it.
pub fn change(id: &str, previous: u64, change_id: u64, bids: &str, asks: &str) -> String {
    event(
        &format!("book.{id}.100ms"),
        &format!(
            r#"{{"timestamp":{},"type":"change","change_id":{change_id},"instrument_name":"{id}","bids":[{bids}],"asks":[{asks}],"prev_change_id":{previous}}}"#,
            at(change_id)
        ),
    )
}

/// One trade, without its array.
pub fn print(id: &str, sequence: u64) -> String {
    format!(
        r#"{{"timestamp":{},"price":64000.0,"amount":1.6e3,"direction":"sell","index_price":64001.07,"instrument_name":"{id}","trade_seq":{sequence},"mark_price":64000.12,"tick_direction":0,"starbase_match_id":225046781992378369,"trade_id":"{}","contracts":160.0,"starbase_timestamp":1700000000000718924}}"#,
        at(sequence),
        9_000 + sequence
    )
}

pub fn trades(id: &str, sequences: impl IntoIterator<Item = u64>) -> String {
    let prints: Vec<_> = sequences.into_iter().map(|sequence| print(id, sequence)).collect();
    event(&format!("trades.{id}.100ms"), &format!("[{}]", prints.join(",")))
}

pub fn historical(id: &str, sequences: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let prints: Vec<_> = sequences.into_iter().map(|sequence| print(id, sequence)).collect();
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"trades":[{}],"has_more":false}}}}"#, prints.join(","))
        .into_bytes()
}

pub fn seed(id: &str, data_type: DataType, sequence: u64, millis: u64) -> Seed {
    Seed {
        instrument_id: id.to_owned(),
        data_type,
        sequence: Some(sequence),
        event: time(millis),
        holes: vec![],
    }
}

mod lists {
    use super::*;

    fn listed(name: &str, over: &Value) -> Value {
        let mut listed = json!({"kind": "future", "instrument_name": name, "instrument_type": "reversed", "is_active": true,
            "expiration_timestamp": 1_798_185_600_000_u64, "contract_size": 10.0, "settlement_period": "month",
            "base_currency": "BTC", "counter_currency": "USD", "quote_currency": "USD", "tick_size_steps": []});
        for (field, value) in over.as_object().unwrap() {
            listed[field] = value.clone();
        }
        listed
    }

    fn read(listed: &[Value]) -> Vec<Instrument> {
        let body = json!({"jsonrpc": "2.0", "result": listed, "usIn": 1}).to_string();
        (registry::find("deribit").unwrap().instruments)(body.as_bytes()).unwrap()
    }

    #[test]
    fn names_come_from_the_metadata() {
        let option = |name: &str, over: &Value| {
            let mut all = json!({"kind": "option", "strike": 70000.0, "option_type": "call", "quote_currency": "BTC", "contract_size": 1.0});
            all.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
            listed(name, &all)
        };
        let instruments = read(&[
            listed(
                "BTC-PERPETUAL",
                &json!({"settlement_period": "perpetual", "expiration_timestamp": 32_503_708_800_000_u64}),
            ),
            listed(
                "SOL_USDC-PERPETUAL",
                &json!({"settlement_period": "perpetual", "instrument_type": "linear",
                "base_currency": "SOL", "counter_currency": "USDC", "quote_currency": "USDC", "contract_size": 0.1}),
            ),
            listed("BTC-25DEC26", &json!({})),
            option("BTC-25DEC26-70000-C", &json!({})),
            option(
                "XRP_USDC-25DEC26-0d625-P",
                &json!({"strike": 0.625, "option_type": "put", "instrument_type": "linear",
                "base_currency": "XRP", "counter_currency": "USDC", "quote_currency": "USDC", "contract_size": 1000}),
            ),
            listed("OLD-25DEC20", &json!({"is_active": false})),
            listed("NEW-KIND", &json!({"kind": "future_combo"})),
            listed("NEW-UNIT", &json!({"instrument_type": "quanto"})),
        ]);
        let told: Vec<_> = instruments
            .iter()
            .map(|it| {
                (
                    it.instrument_id.as_str(),
                    it.market_type,
                    it.symbol.as_str(),
                    it.contract.map(|contract| (contract.size.to_string(), contract.unit)),
                )
            })
            .collect();
        use ContractUnit::{Base, Quote};
        use MarketType::{Futures, Options, Perpetual};
        let contract = |size: &str, unit| Some((size.to_owned(), unit));
        assert_eq!(
            told,
            [
                ("BTC-PERPETUAL", Perpetual, "BTC-USD", contract("10.0", Quote)),
                ("SOL_USDC-PERPETUAL", Perpetual, "SOL-USDC", contract("0.1", Base)),
                ("BTC-25DEC26", Futures, "BTC-USD-20261225", contract("10.0", Quote)),
                ("BTC-25DEC26-70000-C", Options, "BTC-USD-20261225-70000-C", contract("1.0", Base)),
                ("XRP_USDC-25DEC26-0d625-P", Options, "XRP-USDC-20261225-0.625-P", contract("1000", Base)),
                ("btc_usd", Options, "BTC", None),
                ("eth_usd", Options, "ETH", None),
            ]
        );
        assert!(
            read(&[listed("BTC-25DEC26", &json!({}))]).iter().all(|it| it.symbol != "BTC"),
            "in one list only"
        );
    }

    #[test]
    fn an_error_and_a_bad_field_are_named() {
        let read = registry::find("deribit").unwrap().instruments;
        let error = json!({"jsonrpc": "2.0", "error": {"code": -32602, "message": "Invalid params", "data": {"param": "kind"}}});
        let rejected = read(error.to_string().as_bytes()).unwrap_err();
        assert_eq!(rejected.to_string(), "unexpected: code -32602: Invalid params");
        let body = json!({"result": [listed("X", &json!({"contract_size": "ten"}))]});
        let rejected = read(body.to_string().as_bytes()).unwrap_err();
        assert!(rejected.detail.starts_with("field `[0].contract_size`: "), "{rejected}");
    }

    #[test]
    fn each_instrument_offers_what_it_has() {
        let deribit = registry::find("deribit").unwrap();
        let offered = |id: &str| -> Vec<_> {
            let instrument = instruments().into_iter().find(|it| it.instrument_id == id).unwrap();
            DataType::ALL
                .iter()
                .copied()
                .filter(|data_type| (deribit.offers)(&instrument, *data_type))
                .collect()
        };
        use DataType::{FundingRate, OpenInterest, OrderBook, Trade, VolatilityIndex};
        assert_eq!(offered(BTC), [Trade, OrderBook, FundingRate, OpenInterest]);
        assert_eq!(offered(OPTION), [Trade, OrderBook, OpenInterest]);
        assert_eq!(offered(INDEX), [VolatilityIndex]);
        assert_eq!(
            open(ALL).channels(),
            [
                "book.BTC-25DEC26-70000-C.100ms",
                "book.BTC-PERPETUAL.100ms",
                "book.ETH_USDC-PERPETUAL.100ms",
                "deribit_volatility_index.btc_usd",
                "platform_state",
                "ticker.BTC-25DEC26-70000-C.100ms",
                "ticker.BTC-PERPETUAL.100ms",
                "ticker.ETH_USDC-PERPETUAL.100ms",
                "trades.BTC-25DEC26-70000-C.100ms",
                "trades.BTC-PERPETUAL.100ms",
                "trades.ETH_USDC-PERPETUAL.100ms",
            ]
        );
    }

    impl Driver {
        /// What a new socket subscribes.
        fn channels(&mut self) -> Vec<String> {
            self.opened_on(OTHER);
            let calls = settle(self);
            assert_eq!(calls.len(), 1);
            assert_eq!((calls[0].0, calls[0].1.as_str()), (OTHER, "public/subscribe"));
            calls[0].2.clone()
        }
    }
}

/// The first socket's frame.
pub fn feed(driver: &mut Driver, frame: &str) {
    driver.frame_on(LINK, frame).unwrap();
}
