//! Messages as the collector publishes them: trades and 100-level books of a few symbols.

use bytes::Bytes;
use marketprism_bus::Outgoing;
use marketprism_core::DataType;

const SYMBOLS: [(&str, &str); 4] =
    [("BTC-USDT", "BTCUSDT"), ("ETH-USDT", "ETHUSDT"), ("SOL-USDT", "SOLUSDT"), ("BNB-USDT", "BNBUSDT")];
/// 2026-10-08, µs.
const FIRST_EVENT_US: u64 = 1_791_417_600_000_000;
const LEVELS: u64 = 100;

pub(crate) fn outgoing(data_type: DataType, id: u64) -> Outgoing {
    let (symbol, instrument_id) = SYMBOLS[usize::try_from(id).unwrap() % SYMBOLS.len()];
    let event = FIRST_EVENT_US + id * 137;
    let received = event + 41_003;
    let own = if data_type == DataType::OrderBook { book(id) } else { trade(id) };
    let payload = format!(
        r#"{{"data_type":"{data_type}","exchange":"binance","market_type":"spot","symbol":"{symbol}","instrument_id":"{instrument_id}","ts_event_us":{event},"ts_recv_us":{received},"source":"ws","schema":1,{own}}}"#
    );
    Outgoing {
        subject: format!("{data_type}.binance.spot.{symbol}"),
        message_id: format!("{data_type}:binance:spot:{instrument_id}:{id}"),
        payload: Bytes::from(payload),
    }
}

fn trade(id: u64) -> String {
    let (trade_id, cents, quantity) = (3_920_113_000 + id, id * 7 % 10_000, id % 9_973 + 1);
    let (side, is_maker) = if id.is_multiple_of(3) { ("sell", true) } else { ("buy", false) };
    format!(
        r#""trade_id":"{trade_id}","price":"834{:02}.{:02}000000","quantity":"0.{quantity:05}000","side":"{side}","is_maker_buyer":{is_maker}"#,
        cents / 100,
        cents % 100
    )
}

fn book(id: u64) -> String {
    let level = |price: u64, n: u64| {
        format!(r#"["{}.{:02}","0.{:05}"]"#, price / 100, price % 100, (id * 31 + n * 7) % 99_991 + 1)
    };
    let middle = 8_343_400 + id % 500;
    let bids: Vec<_> = (0..LEVELS).map(|n| level(middle - n, n)).collect();
    let asks: Vec<_> = (0..LEVELS).map(|n| level(middle + 1 + n, n)).collect();
    let (last, previous) = (70_000_000 + id * 12, 70_000_000 + id.saturating_sub(1) * 12);
    format!(
        r#""bids":[{}],"asks":[{}],"last_update_id":{last},"previous_update_id":{previous},"update_count":12,"is_snapshot_of":"top","depth":{LEVELS}"#,
        bids.join(","),
        asks.join(",")
    )
}
