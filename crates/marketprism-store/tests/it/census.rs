//! Rows and gaps are counted by symbol and day, those of one market only.

use marketprism_core::{DataType, MarketType};
use marketprism_store::census::{Census, GapDay, SymbolDay};
use marketprism_store::range::{Range, Summary};
use marketprism_store::{Entry, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{decode, insert_trades, tier};

/// 2026-10-07, the day of `insert_trades`.
const DAY: u16 = 20_733;

fn gap(missing: &str, numbers: &str) -> String {
    format!(
        r#"{{"data_type":"gap","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":1791417540000000,"ts_recv_us":1791417540000000,"source":"ws","schema":1,"missing_data_type":"{missing}","reason":"sequence",{numbers}}}"#
    )
}

#[tokio::test]
async fn rows_and_gaps_are_counted_by_symbol_and_day() {
    let server = ClickHouse::start();
    let (hot, _) = tier(&server, Tier::Hot).await;
    insert_trades(&hot, 1, &[(1, 0), (2, 1), (3, 61)]).await;
    let payloads = [
        gap("trade", r#""from_sequence":5,"to_sequence":9,"filled":5"#),
        gap("trade", r#""from_sequence":15,"to_sequence":19,"filled":4"#),
        gap("trade", r#""from_time_us":1791417540000000,"to_time_us":1791417541000000,"filled":0"#),
        gap("orderbook", r#""from_sequence":5,"to_sequence":9,"filled":0"#),
    ];
    let messages: Vec<_> = payloads.iter().map(|one| decode("gap.binance.spot.BTC-USDT", one)).collect();
    let entries: Vec<_> = (4..)
        .zip(&messages)
        .map(|(stream_seq, message)| Entry { message, stream_epoch: 1, stream_seq })
        .collect();
    hot.insert(&entries).await.unwrap();

    let market = Census { exchange: "binance", market_type: MarketType::Spot, from_day: DAY };
    let symbol = || "BTC-USDT".to_owned();
    let day = |day, rows| SymbolDay { symbol: symbol(), day, rows };
    assert_eq!(hot.rows_by_day(DataType::Trade, market).await.unwrap(), [day(DAY, 2), day(DAY + 1, 1)]);
    let gaps = hot.gaps_by_day(DataType::Trade, market).await.unwrap();
    assert_eq!(gaps, [GapDay { symbol: symbol(), day: DAY, gaps: 3, open: 2 }], "one was filled");

    let later = Census { from_day: DAY + 1, ..market };
    assert_eq!(hot.rows_by_day(DataType::Trade, later).await.unwrap(), [day(DAY + 1, 1)]);
    for other in
        [Census { market_type: MarketType::Perpetual, ..market }, Census { exchange: "o'kx", ..market }]
    {
        assert_eq!(hot.rows_by_day(DataType::Trade, other).await.unwrap(), []);
    }
}

#[tokio::test]
async fn of_the_cold_tier_those_rows_count_that_the_ledger_covers() {
    let server = ClickHouse::start();
    let (cold, _) = tier(&server, Tier::Cold).await;
    insert_trades(&cold, 1, &[(1, 0), (2, 1), (3, 2)]).await;
    insert_trades(&cold, 2, &[(1, 3)]).await;
    let market = Census { exchange: "binance", market_type: MarketType::Spot, from_day: DAY };
    assert_eq!(cold.proved_rows_by_day(DataType::Trade, market).await.unwrap(), []);
    let range = Range { data_type: DataType::Trade, stream_epoch: 1, from_seq: 1, to_seq: 2 };
    cold.enter_range(&range, &Summary { rows: 2, sequences: 2, checksum: 0 }).await.unwrap();
    let proved = cold.proved_rows_by_day(DataType::Trade, market).await.unwrap();
    assert_eq!(proved, [SymbolDay { symbol: "BTC-USDT".to_owned(), day: DAY, rows: 2 }]);
    assert_eq!(cold.rows_by_day(DataType::Trade, market).await.unwrap()[0].rows, 4, "all that are there");
}
