//! Trades: each once, holes fetched and declared.

use marketprism_core::{DataType, GapReason, Source, TakerSide, Timestamp};
use marketprism_exchanges::FetchFailed;
use marketprism_exchanges::registry::{Seed, SessionOptions};
use marketprism_exchanges::stored_trades::TradeHole;
use serde_json::json;

use crate::driver::{Driver, START, options};

/// Millisecond of the trade with this id.
fn at(id: u64) -> i64 {
    START / 1000 + i64::try_from(id).unwrap()
}

fn trade(id: u64) -> String {
    json!({"stream": "btcusdt@trade", "data": {"e": "trade", "E": at(id), "s": "BTCUSDT", "t": id,
        "p": "76650.10000000", "q": "0.00040000", "T": at(id), "m": true, "M": true}})
    .to_string()
}

fn aggregate(id: u64) -> String {
    json!({"stream": "btcusdt@aggTrade", "data": {"e": "aggTrade", "E": at(id), "a": id, "s": "BTCUSDT", "p": "83434.40",
        "q": "0.016", "nq": "0.016", "f": id * 5, "l": id * 5 + 4, "T": at(id), "m": false, "st": 1}})
    .to_string()
}

fn historical(ids: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let rows: Vec<_> = ids
        .into_iter()
        .map(|id| json!({"id": id, "price": "76650.00000000", "qty": "0.5", "quoteQty": "1", "time": at(id), "isBuyerMaker": false, "isBestMatch": true}))
        .collect();
    serde_json::to_vec(&rows).unwrap()
}

fn spot() -> Driver {
    Driver::open("binance_spot", options())
}

#[test]
fn a_trade_keeps_its_digits_and_its_taker_side() {
    let mut driver = spot();
    driver.frame(&trade(10)).unwrap();
    let trades = driver.recorded.trades();
    let told = &trades[0];
    assert_eq!((told.symbol.as_ref(), told.instrument_id.as_ref()), ("BTC-USDT", "BTCUSDT"));
    assert_eq!(
        (told.price.to_string(), told.quantity.to_string()),
        ("76650.10000000".into(), "0.00040000".into())
    );
    // The buyer was the maker: the taker sold.
    assert_eq!((told.side, told.is_maker_buyer), (TakerSide::Sell, Some(true)));
    assert_eq!((told.ts_event_us.as_micros(), told.ts_recv_us), (at(10) * 1000, driver.now));
    assert!(!told.is_aggregate());
}

#[test]
fn an_aggregate_carries_its_first_and_last_trade() {
    let mut driver = Driver::open("binance_usdm", options());
    driver.frame(&aggregate(10)).unwrap();
    let trades = driver.recorded.trades();
    assert_eq!((trades[0].first_trade_id, trades[0].last_trade_id), (Some(50), Some(54)));
    assert_eq!((trades[0].side, trades[0].quantity.to_string()), (TakerSide::Buy, "0.016".into()));
}

#[test]
fn a_duplicate_is_dropped_and_counted() {
    let mut driver = spot();
    for id in [10, 11, 10, 11, 12] {
        driver.frame(&trade(id)).unwrap();
    }
    assert_eq!(driver.recorded.trade_ids(), [10, 11, 12]);
    assert_eq!(driver.recorded.notes_of("Duplicate"), 2);
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn a_hole_is_fetched_while_live_trades_go_on() {
    let mut driver = spot();
    for id in [10, 14] {
        driver.frame(&trade(id)).unwrap();
    }
    let request = driver.request();
    assert_eq!(request.path, "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=11&limit=4");
    driver.frame(&trade(15)).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [10, 14, 15]);
    driver.fetched(request.id, Ok(&historical(11..15))).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [10, 14, 15, 11, 12, 13]);
    assert!(driver.recorded.trades()[3..].iter().all(|trade| trade.source == Source::Backfill));
    let gaps = driver.recorded.gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].missing_data_type, gaps[0].reason), (DataType::Trade, GapReason::Sequence));
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence, gaps[0].filled), (Some(11), Some(13), 3));
    assert_eq!(gaps[0].from_time_us.unwrap().as_micros(), at(10) * 1000);
    assert_eq!(gaps[0].to_time_us.unwrap().as_micros(), at(14) * 1000);
}

#[test]
fn a_large_hole_takes_several_answers() {
    let mut driver = spot();
    for id in [10, 2_011] {
        driver.frame(&trade(id)).unwrap();
    }
    for (from, to, limit) in [(11, 1_010, 1000), (1_011, 2_010, 1000)] {
        let request = driver.request();
        assert!(request.path.ends_with(&format!("fromId={from}&limit={limit}")), "{}", request.path);
        driver.fetched(request.id, Ok(&historical(from..=to))).unwrap();
    }
    assert_eq!(driver.recorded.trades().len(), 2 + 2_000);
    assert_eq!(driver.recorded.gaps()[0].filled, 2_000);
    driver.pass(1_000);
    assert!(driver.take_requests().is_empty());
}

#[test]
fn what_the_exchange_does_not_give_back_is_a_failed_backfill() {
    let mut driver = spot();
    for id in [10, 15] {
        driver.frame(&trade(id)).unwrap();
    }
    let request = driver.request();
    driver.fetched(request.id, Ok(&historical([12, 13, 16]))).unwrap();
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence), (Some(11), Some(14)));
    assert_eq!((gaps[0].reason, gaps[0].filled), (GapReason::BackfillFailed, 2));
}

#[test]
fn a_failing_rest_is_asked_again_with_patience_and_then_given_up() {
    let mut driver = spot();
    for id in [10, 12] {
        driver.frame(&trade(id)).unwrap();
    }
    let mut asked = 0;
    while driver.recorded.gaps().is_empty() {
        driver.pass(100);
        for request in driver.take_requests() {
            asked += 1;
            driver.fetched(request.id, Err(FetchFailed::Transport("reset".into()))).unwrap();
        }
        assert!(driver.now.as_micros() < START + 120_000_000);
    }
    assert_eq!(asked, 5);
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].reason, gaps[0].filled), (GapReason::BackfillFailed, 0));
    assert!(gaps[0].detail.as_ref().unwrap().contains("reset"));
}

#[test]
fn a_refusal_is_not_repeated_and_retry_after_is_honoured() {
    let refused =
        |status, retry_after_seconds| FetchFailed::Status { status, body: "no".into(), retry_after_seconds };
    let mut driver = spot();
    for id in [10, 12] {
        driver.frame(&trade(id)).unwrap();
    }
    let request = driver.request();
    driver.fetched(request.id, Err(refused(429, Some(7)))).unwrap();
    driver.pass(6_900);
    assert!(driver.take_requests().is_empty());
    driver.pass(200);
    let request = driver.request_taken();
    driver.fetched(request, Err(refused(401, None))).unwrap();
    assert_eq!(driver.recorded.gaps()[0].reason, GapReason::BackfillFailed);
}

#[test]
fn an_answer_that_never_comes_is_given_up() {
    let mut driver = spot();
    for id in [10, 12] {
        driver.frame(&trade(id)).unwrap();
    }
    let lost = driver.request();
    // Other frames keep the connection alive meanwhile.
    for _ in 0..16 {
        driver.pass(8_000);
        driver.frame(&trade(12)).unwrap();
    }
    let again = driver.request_taken();
    assert_ne!(again, lost.id);
    driver.fetched(lost.id, Ok(&historical([11]))).unwrap();
    assert_eq!(driver.recorded.trades().len(), 2, "a late answer is ignored");
    driver.fetched(again, Ok(&historical([11, 12]))).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [10, 12, 11]);
}

#[test]
fn a_hole_beyond_the_bound_is_declared_at_once() {
    let mut driver = spot();
    for id in [10, 20_000] {
        driver.frame(&trade(id)).unwrap();
    }
    driver.pass(1_000);
    assert!(driver.take_requests().is_empty());
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].to_sequence, gaps[0].filled), (Some(11), Some(19_999), 0));
}

#[test]
fn a_reconnect_and_a_restart_show_their_holes() {
    let seed = |sequence| Seed {
        instrument_id: "BTCUSDT".into(),
        data_type: DataType::Trade,
        sequence: Some(sequence),
        event: Timestamp::from_millis(at(sequence)).unwrap(),
        holes: vec![],
    };
    let mut driver = Driver::open_seeded("binance_spot", options(), vec![seed(10)]);
    driver.frame(&trade(13)).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&historical(11..14))).unwrap();
    driver.closed();
    driver.opened();
    driver.frame(&trade(15)).unwrap();
    let request = driver.request();
    driver.fetched(request.id, Ok(&historical(14..16))).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [13, 11, 12, 15, 14]);
    let reasons: Vec<_> = driver.recorded.gaps().iter().map(|gap| gap.reason).collect();
    assert_eq!(reasons, [GapReason::Disconnect; 2]);
}

#[test]
fn a_restart_takes_on_the_holes_that_were_left_open() {
    let time = |id| Timestamp::from_millis(at(id)).unwrap();
    let hole = |from, to| TradeHole { from, to, after: time(from - 1), before: time(to + 1) };
    let seed = Seed {
        instrument_id: "BTCUSDT".into(),
        data_type: DataType::Trade,
        sequence: Some(20),
        event: time(20),
        holes: vec![hole(11, 12), hole(15, 18)],
    };
    let mut driver = Driver::open_seeded("binance_spot", options(), vec![seed]);
    // Nobody needs to trade for it.
    for ids in [11..13, 15..19] {
        let request = driver.request();
        driver.fetched(request.id, Ok(&historical(ids))).unwrap();
    }
    assert_eq!(driver.recorded.trade_ids(), [11, 12, 15, 16, 17, 18]);
    let gaps: Vec<_> = driver.recorded.gaps().iter().map(|gap| (gap.from_sequence, gap.filled)).collect();
    assert_eq!(gaps, [(Some(11), 2), (Some(15), 4)]);
}

#[test]
fn a_hole_that_the_exchange_does_not_let_us_ask_for_is_declared_in_time() {
    let mut driver = spot();
    driver.frame(&trade(10)).unwrap();
    driver.frame(&trade(12)).unwrap();
    let request = driver.request();
    let refused = FetchFailed::Status { status: 429, body: String::new(), retry_after_seconds: Some(86_400) };
    driver.fetched(request.id, Err(refused)).unwrap();
    for _ in 0..300 {
        assert!(driver.recorded.gaps().is_empty());
        driver.pass(1_000);
    }
    driver.pass(1_000);
    let gaps = driver.recorded.gaps();
    assert_eq!((gaps[0].from_sequence, gaps[0].reason), (Some(11), GapReason::BackfillFailed));
}

#[test]
fn a_reconnect_without_a_hole_declares_nothing() {
    let mut driver = spot();
    driver.frame(&trade(10)).unwrap();
    driver.closed();
    driver.opened();
    driver.frame(&trade(11)).unwrap();
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn placeholders_use_up_an_id_and_are_no_trades() {
    let options = SessionOptions { trade_stream: Some("trade".into()), ..options() };
    let mut driver = Driver::open("binance_usdm", options);
    driver.frame(&trade(10)).unwrap();
    let placeholder = json!({"stream": "btcusdt@trade", "data": {"e": "trade", "E": at(11), "T": at(11), "s": "BTCUSDT",
        "t": 11, "p": "0", "q": "0", "X": "NA", "m": true, "st": 1}});
    driver.frame(&placeholder.to_string()).unwrap();
    driver.frame(&trade(12)).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [10, 12]);
    assert_eq!(driver.recorded.notes_of("Ignored"), 1);
    driver.pass(1_000);
    assert!(driver.take_requests().is_empty() && driver.recorded.gaps().is_empty());
}

#[test]
fn an_exchange_that_counts_anew_is_followed() {
    let mut driver = spot();
    driver.frame(&trade(5_000)).unwrap();
    let later = trade(1).replace(&at(1).to_string(), &at(9_000).to_string());
    driver.frame(&later).unwrap();
    assert_eq!(driver.recorded.trade_ids(), [5_000, 1]);
    let gaps = driver.recorded.gaps();
    assert_eq!(gaps[0].detail.as_deref(), Some("ids restarted: 1 after 5000"));
}

#[test]
fn a_bad_field_is_named_and_costs_nothing_else() {
    let cases = [
        (r#""p":"76650.10000000""#, r#""p":"-1.5""#, "field `price`: `-1.5` is not above zero"),
        (r#""p":"76650.10000000""#, r#""p":"abc""#, "field `p`: `abc` is not a decimal"),
        (r#""q":"0.00040000""#, r#""q":"0""#, "field `quantity`: `0` is not above zero"),
        (r#""q":"0.00040000""#, r#""q":12"#, "field `q`: invalid type: integer `12`"),
        (r#""s":"BTCUSDT""#, r#""s":"XRPUSDT""#, "field `s`: `XRPUSDT` on the stream of BTCUSDT"),
        (r#""m":true"#, r#""m":"yes""#, "field `m`: invalid type: string \"yes\""),
    ];
    for (good, bad, expected) in cases {
        let mut driver = spot();
        driver.frame(&trade(10)).unwrap();
        let frame = trade(11).replace(good, bad);
        assert_ne!(frame, trade(11));
        let rejected = driver.frame(&frame).unwrap_err();
        assert_eq!(rejected.reason, "invalid_field");
        assert!(rejected.detail.contains(expected), "{rejected}");
        // The refused trade is missing, so it is fetched.
        driver.frame(&trade(12)).unwrap();
        let request = driver.request();
        driver.fetched(request.id, Ok(&historical([11, 12]))).unwrap();
        assert_eq!(driver.recorded.trade_ids(), [10, 12, 11]);
        assert_eq!(driver.recorded.gaps()[0].reason, GapReason::Undecodable);
    }
}

#[test]
fn draining_declares_what_is_still_missing() {
    let mut driver = spot();
    for id in [10, 12] {
        driver.frame(&trade(id)).unwrap();
    }
    driver.drain();
    let gaps = driver.recorded.gaps();
    assert_eq!(
        (gaps[0].from_sequence, gaps[0].to_sequence, gaps[0].reason),
        (Some(11), Some(11), GapReason::Shutdown)
    );
}
