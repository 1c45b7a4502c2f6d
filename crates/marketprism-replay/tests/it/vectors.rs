//! Real frames with what another project makes of each (143 of them): each of its values is ours too, or it is said why not.
//!
//! Each frame is played alone. Its numbers have passed through JavaScript, so they are compared as doubles.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use marketprism_core::{DataType, MarketType};
use marketprism_recording::capture::Format;
use serde_json::{Value, json};

use crate::captures::captures;
use crate::collected::{of_capture, replay};

/// The frame as it was sent: the order of fields is part of it.
#[derive(serde::Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    message: &'a serde_json::value::RawValue,
}

struct Market {
    /// As the vectors call it.
    tag: &'static str,
    exchange: &'static str,
    market_type: MarketType,
}

const MARKETS: &[Market] = &[
    Market { tag: "binance", exchange: "binance", market_type: MarketType::Spot },
    Market { tag: "binance-futures", exchange: "binance", market_type: MarketType::Perpetual },
    Market { tag: "okex", exchange: "okx", market_type: MarketType::Spot },
    Market { tag: "okex-swap", exchange: "okx", market_type: MarketType::Perpetual },
    Market { tag: "okex-futures", exchange: "okx", market_type: MarketType::Futures },
    Market { tag: "deribit", exchange: "deribit", market_type: MarketType::Perpetual },
];

/// Why a value of theirs is not ours, by what the frame is and what the value is.
fn why_not(message: &Value, expected: &Value, published: &[Value]) -> Option<&'static str> {
    let stream = message["stream"].as_str().unwrap_or_default();
    let (_, kind) = stream.split_once('@').unwrap_or_default();
    let channel =
        message["arg"]["channel"].as_str().or(message["params"]["channel"].as_str()).unwrap_or_default();
    if message.get("table").is_some() {
        return Some("the exchange's third protocol version, which it closed in 2022");
    }
    match expected["type"].as_str()? {
        "book_ticker" => return Some("best bid and ask are not collected: they are the book's first levels"),
        "option_summary" => return Some("greeks are not collected"),
        _ => {}
    }
    match (expected["type"].as_str()?, kind, channel) {
        (_, "depthSnapshot" | "openInterest", _) => {
            Some("a REST answer that the recorder put among the frames: tested with the REST bodies")
        }
        ("book_change", _, _) if expected["isSnapshot"] == false => {
            Some("an update without the book it changes: nothing right can be published")
        }
        ("derivative_ticker", "ticker", _) | ("derivative_ticker", _, "tickers" | "mark-price") => {
            Some("last and mark prices alone are not collected")
        }
        ("liquidation", _, "liquidations") => {
            Some("a frame that the recorder made up of REST answers, on a channel that does not exist")
        }
        ("liquidation", _, channel) if channel.starts_with("trades.") => {
            Some("the same print is published as a trade, its liquidation mark is not stored")
        }
        ("trade", _, "trades-all") => Some("another channel: trades are taken from `trades`"),
        ("derivative_ticker", _, "funding-rate") if expected["fundingRate"].is_null() => {
            Some("no funding rate in the frame: none is published")
        }
        ("derivative_ticker", _, "funding-rate") if expected["symbol"] == "BTC-USD_UM_XPERP-310404" => {
            Some("funding of a dated contract is not collected")
        }
        ("derivative_ticker", _, "funding-rate") if message["data"][0]["nextFundingTime"].is_null() => {
            Some("a frame of 2021 without a time that every frame has today: refused by its name")
        }
        ("derivative_ticker", "markPrice", _) if message["data"]["i"].is_null() => {
            Some("a frame of 2019 without an index price, which every frame has today: refused by its name")
        }
        ("derivative_ticker", "markPrice@1s", _) => {
            Some("another stream: the same comes every three seconds on `markPrice`")
        }
        ("book_change", _, "books-l2-tbt") => {
            Some("the project shortened the book, so its checksum is wrong: it is refused")
        }
        ("book_change", _, "book.ETH-10SEP21-3350-P.raw") => {
            Some("a change without the book it changes; they take its empty predecessor for a book")
        }
        ("derivative_ticker", _, channel) if channel.starts_with("ticker.") && published.is_empty() => {
            Some("a combination of instruments, which is not collected")
        }
        _ => None,
    }
}

/// Why we publish what they do not.
fn why_more(ours: &Value) -> Option<&'static str> {
    let is = |field: &str, value: &str| ours[field] == value;
    if is("data_type", "gap") && is("reason", "shutdown") {
        return Some("what came without its book is declared at the end");
    }
    if is("data_type", "gap") && is("reason", "undecodable") {
        return Some("what is refused by its name is declared missing");
    }
    if is("data_type", "trade") && is("trade_id", "73701056") {
        return Some("a print of the insurance fund is a trade");
    }
    if is("data_type", "liquidation") && is("instrument_id", "XRP-USD-230929") {
        return Some("they drop a liquidation of before the channel's start in their archive");
    }
    if is("data_type", "open_interest") && is("exchange", "deribit") {
        return Some("open interest of options, too");
    }
    None
}

#[test]
fn every_value_is_ours_or_it_is_said_why_not() {
    let Some(folder) = captures() else { return };
    let (mut same, mut differences, mut unexplained) = (0, BTreeMap::new(), Vec::new());
    for file in ["binance", "binance-futures", "okex", "okex-swap", "okex-futures", "okex-options", "deribit"]
    {
        let path = folder.join("tardis-dev__tardis-node").join(format!("{file}.vectors.jsonl"));
        for (number, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
            let vector: Value = serde_json::from_str(line).unwrap();
            let Frame { message: frame } = serde_json::from_str(line).unwrap();
            let message = &vector["message"];
            let market = MARKETS.iter().find(|market| market.tag == file);
            let published = market.map(|market| publish(market, message, frame.get())).unwrap_or_default();
            let expected = vector["expected"].as_array().unwrap();
            let more = published.iter().filter(|ours| !expected.iter().any(|theirs| says(ours, theirs)));
            for ours in more {
                match why_more(ours) {
                    Some(why) => *differences.entry(why).or_insert(0) += 1,
                    None => unexplained.push(format!("{file} {}: published {ours} of {message}", number + 1)),
                }
            }
            for expected in expected {
                let explained = match market {
                    Some(_) => why_not(message, expected, &published),
                    None => Some("options of OKX are not collected"),
                };
                let is_same = published.iter().any(|ours| says(ours, expected));
                match (is_same, explained) {
                    (true, _) => same += 1,
                    (false, Some(why)) => *differences.entry(why).or_insert(0) += 1,
                    (false, None) => unexplained.push(format!(
                        "{file} {}: expected {expected}, published {published:?} of {message}",
                        number + 1
                    )),
                }
            }
        }
    }
    println!("{same} values are the same; differences: {differences:#?}");
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    assert_eq!((same, differences.values().sum::<usize>()), (22, 128), "as many as there were");
}

/// What is published when this frame comes, and nothing else.
fn publish(market: &Market, message: &Value, frame: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.txt");
    writeln!(std::fs::File::create(&path).unwrap(), "1700000000.5: {frame}").unwrap();
    let mut options = of_capture(market.exchange, market.market_type, Format::Cryptofeed);
    options.trade_stream = (market.exchange == "binance").then(|| "trade".to_owned());
    if market.tag != "binance" && market.tag != "okex" {
        options.instrument_lists = lists(market, message);
    }
    let (_, collected) = replay(&[&[path]], &options).unwrap();
    collected.0.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An instrument list with the frame's instrument, as its exchange would have it.
fn lists(market: &Market, message: &Value) -> Vec<Vec<u8>> {
    let text = message.to_string();
    let after =
        |mark: &str| text.split(mark).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    let list = match market.exchange {
        "binance" => {
            let symbol = message["stream"].as_str().unwrap().split('@').next().unwrap().to_uppercase();
            let pair = symbol.split('_').next().unwrap();
            let (base, quote) = pair.split_at(pair.len() - 4);
            json!({"symbols": [{"symbol": symbol, "pair": pair, "contractType": "PERPETUAL", "status": "TRADING",
                "baseAsset": base, "quoteAsset": quote, "deliveryDate": 4_133_404_800_000_u64}]})
        }
        "okx" => {
            let id = after("\"instId\":\"").unwrap_or_default();
            let parts: Vec<_> = id.split('-').collect();
            let [base, quote] = [parts.first(), parts.get(1)].map(|part| part.copied().unwrap_or_default());
            let inverse = quote.starts_with("USD") && quote != "USDT" && quote != "USDC";
            let kind = if market.market_type == MarketType::Futures { "FUTURES" } else { "SWAP" };
            json!({"code": "0", "data": [{"instType": kind, "instId": id, "uly": format!("{base}-{quote}"),
                "ctVal": "10", "ctMult": "1", "ctValCcy": if inverse { "USD" } else { base }, "state": "live",
                "ctType": if inverse { "inverse" } else { "linear" }, "expTime": "1900000000000"}]})
        }
        _ => {
            let name = after("\"instrument_name\":\"").unwrap_or_default();
            let base = name.split(['-', '_']).next().unwrap();
            let is_linear = name.contains("USDC");
            json!({"jsonrpc": "2.0", "result": [{"kind": "future", "instrument_name": name, "is_active": true,
                "instrument_type": if is_linear { "linear" } else { "reversed" }, "contract_size": 10,
                "expiration_timestamp": 32_503_708_800_000_u64, "settlement_period": "perpetual",
                "base_currency": base, "quote_currency": "USD", "counter_currency": "USD"}]})
        }
    };
    vec![list.to_string().into_bytes()]
}

/// Whether a message of ours says what a value of theirs says.
fn says(ours: &Value, theirs: &Value) -> bool {
    let number = |field: &str| ours[field].as_str().and_then(|text| text.parse::<f64>().ok());
    // Where contracts are traded they count those; Deribit's amounts are quote units of inverse contracts.
    let has_amount = |amount: &Value| {
        let (contracts, quantity) = (number("contracts"), number("quantity"));
        contracts.or(quantity) == amount.as_f64()
            || contracts.map(|contracts| contracts * 10.0) == amount.as_f64()
    };
    let is_at = ours["ts_event_us"].as_i64() == theirs["timestamp"].as_str().map(micros);
    let data_type: DataType = ours["data_type"].as_str().unwrap().parse().unwrap();
    match (data_type, theirs["type"].as_str().unwrap()) {
        (DataType::Trade, "trade") => {
            is_at
                && ours["trade_id"] == theirs["id"]
                && ours["side"] == theirs["side"]
                && number("price") == theirs["price"].as_f64()
                && has_amount(&theirs["amount"])
        }
        (DataType::Liquidation, "liquidation") => {
            is_at
                && ours["side"] == theirs["side"]
                && number("price") == theirs["price"].as_f64()
                && has_amount(&theirs["amount"])
        }
        (DataType::OrderBook, "book_change") => {
            let ours = |side: &str| -> Vec<_> {
                let levels = ours[side].as_array().unwrap().iter();
                levels.map(|level| level[0].as_str().unwrap().parse::<f64>().unwrap()).collect()
            };
            let theirs = |side: &str| -> Vec<_> {
                theirs[side]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|level| level["price"].as_f64().unwrap())
                    .collect()
            };
            ours("bids") == theirs("bids") && ours("asks") == theirs("asks")
        }
        (DataType::FundingRate, "derivative_ticker") => {
            number("funding_rate").is_some() && number("funding_rate") == theirs["fundingRate"].as_f64()
        }
        (DataType::OpenInterest, "derivative_ticker") => {
            // OKX's in contracts; Deribit's in the quote units of an inverse contract.
            let counts = [number("open_interest"), number("open_interest_value")];
            theirs["openInterest"].as_f64().is_some_and(|theirs| counts.contains(&Some(theirs)))
        }
        _ => false,
    }
}

fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

/// The frames' folder, so that a typing error in a name above is noticed.
#[test]
fn every_file_of_vectors_is_looked_at() {
    let Some(folder) = captures() else { return };
    let names = |folder: &Path| {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    let vectors = names(&folder.join("tardis-dev__tardis-node"));
    assert_eq!(vectors.iter().filter(|name| name.to_string_lossy().ends_with(".vectors.jsonl")).count(), 7);
}
