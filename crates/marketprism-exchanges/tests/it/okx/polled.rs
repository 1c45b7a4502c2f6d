//! What REST is asked on a turn: ratios, and books in `snapshot` mode.

use std::time::Duration;

use marketprism_core::message::{LsrAllAccount, LsrTopPosition};
use marketprism_core::{DataType, Instrument, Source};
use marketprism_exchanges::registry::{BookMode, SessionOptions};
use serde_json::json;

use super::{at, inverse, linear, session, session_with};
use crate::driver::{Driver, START, options};

const RATIOS: &[DataType] = &[DataType::LsrTopPosition, DataType::LsrAllAccount];

fn ratios(rows: &[(i64, &str)]) -> Vec<u8> {
    let row = |(minutes, ratio): &(i64, &str)| json!([(START / 1_000 + minutes * 60_000).to_string(), ratio]);
    let rows: Vec<_> = rows.iter().map(row).collect();
    json!({"code": "0", "msg": "", "data": rows}).to_string().into_bytes()
}

#[test]
fn position_and_account_ratios_come_from_their_own_endpoints() {
    let mut driver = session("okx_swap", vec![linear()], RATIOS);
    driver.tick();
    let requests = driver.take_requests();
    let paths: Vec<_> = requests.iter().map(|request| (request.path.as_str(), request.limit)).collect();
    let base = "/api/v5/rubik/stat/contracts";
    let query = "instId=BTC-USDT-SWAP&period=5m&limit=12";
    assert_eq!(
        paths,
        [
            (
                format!("{base}/long-short-position-ratio-contract-top-trader?{query}").as_str(),
                "ratio_position"
            ),
            (format!("{base}/long-short-account-ratio-contract?{query}").as_str(), "ratio_account"),
        ]
    );
    driver.fetched(requests[0].id, Ok(&ratios(&[(5, "3"), (0, "1.5")]))).unwrap();
    driver.fetched(requests[1].id, Ok(&ratios(&[(5, "0.6")]))).unwrap();
    let top: Vec<LsrTopPosition<'_>> = driver.recorded.of(DataType::LsrTopPosition);
    let all: Vec<LsrAllAccount<'_>> = driver.recorded.of(DataType::LsrAllAccount);
    assert_eq!((top.len(), all.len()), (1, 1), "of a first answer only the newest is news");
    let shares = (top[0].long_ratio.unwrap().to_string(), top[0].short_ratio.unwrap().to_string());
    assert_eq!(shares, ("0.75".to_owned(), "0.25".to_owned()));
    assert_eq!((top[0].long_short_ratio.to_string(), &*top[0].period), ("3".to_owned(), "5m"));
    assert_eq!((top[0].source, top[0].ts_event_us), (Source::Rest, at(300_000)));
    assert_eq!(all[0].long_ratio.unwrap().to_string(), "0.375");
}

#[test]
fn rows_are_published_once_and_a_third_is_rounded() {
    let mut driver = session("okx_swap", vec![linear()], &[DataType::LsrAllAccount]);
    let id = driver.request().id;
    driver.fetched(id, Ok(&ratios(&[(5, "0.5")]))).unwrap();
    let mut requests = Vec::new();
    while requests.is_empty() {
        driver.pass(1_000);
        requests = driver.take_requests();
    }
    driver.fetched(requests[0].id, Ok(&ratios(&[(15, "2"), (10, "1"), (5, "0.5"), (0, "9")]))).unwrap();
    let all: Vec<LsrAllAccount<'_>> = driver.recorded.of(DataType::LsrAllAccount);
    let told: Vec<_> =
        all.iter().map(|ratio| (ratio.ts_event_us, ratio.long_ratio.unwrap().to_string())).collect();
    assert_eq!(
        told,
        [
            (at(300_000), "0.333333333333333333".to_owned()),
            (at(600_000), "0.5".to_owned()),
            (at(900_000), "0.666666666666666667".to_owned()),
        ]
    );
}

#[test]
fn periods_are_written_as_the_exchange_wants_them() {
    for (common, theirs) in [("5m", "5m"), ("1h", "1H"), ("4h", "4H"), ("12h", "12Hutc"), ("1d", "1Dutc")] {
        let options = SessionOptions { ratio_period: common.to_owned(), ..options() };
        let mut driver = session_with("okx_swap", vec![linear()], &[DataType::LsrAllAccount], options);
        let request = driver.request();
        assert!(request.path.contains(&format!("&period={theirs}&")), "{}", request.path);
        driver.fetched(request.id, Ok(&ratios(&[(5, "0.5")]))).unwrap();
        let all: Vec<LsrAllAccount<'_>> = driver.recorded.of(DataType::LsrAllAccount);
        assert_eq!(all[0].period, common, "stored under the common word");
    }
}

#[test]
fn a_refused_answer_says_why_and_is_asked_for_again() {
    let mut driver = session("okx_swap", vec![linear()], &[DataType::LsrAllAccount]);
    for (body, detail) in [
        (r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#, "code 50011: Too Many Requests"),
        (r#"{"code":"0","msg":"","data":[["1700000000000","x"]]}"#, "`x`"),
        (r#"{"code":"0","msg":"","data":[["1700000000000"]]}"#, "invalid length"),
        (r#"{"code":"0","msg":"","data":[["1700000000000","0"]]}"#, "long_short_ratio"),
    ] {
        let mut requests = driver.take_requests();
        while requests.is_empty() {
            driver.pass(1_000);
            requests = driver.take_requests();
        }
        let rejected = driver.fetched(requests[0].id, Ok(body.as_bytes())).unwrap_err();
        assert!(rejected.detail.contains(detail), "{rejected}");
    }
    assert!(driver.recorded.messages.is_empty());
}

fn polled_books(instrument: Instrument) -> Driver {
    let options = SessionOptions {
        book_mode: BookMode::Snapshot,
        book_depth: 2,
        book_publish_interval: Duration::from_secs(1),
        ..options()
    };
    session_with("okx_swap", vec![instrument], &[DataType::OrderBook], options)
}

fn book(sequence: u64, bid: &str) -> Vec<u8> {
    let book = json!({
        "asks": [["80000", "3", "0", "1"], ["80001", "1", "0", "1"], ["80002", "1", "0", "1"]],
        "bids": [[bid, "16", "0", "1"]], "ts": (START / 1_000).to_string(), "seqId": sequence
    });
    json!({"code": "0", "msg": "", "data": [book]}).to_string().into_bytes()
}

#[test]
fn books_in_snapshot_mode_are_polled_in_base_units() {
    let mut driver = polled_books(inverse());
    let request = driver.request();
    assert_eq!(
        (request.path.as_str(), request.limit),
        ("/api/v5/market/books?instId=BTC-USD-SWAP&sz=2", "books")
    );
    driver.fetched(request.id, Ok(&book(77, "79000"))).unwrap();
    let id = driver.request().id;
    driver.fetched(id, Ok(&book(77, "79000"))).unwrap();
    let id = driver.request().id;
    let crossed = driver.fetched(id, Ok(&book(78, "80000"))).unwrap_err();
    assert!(crossed.detail.contains("crosses"), "{crossed}");
    let books = driver.recorded.books();
    assert_eq!(books.len(), 1, "once for an id, and never a crossed one");
    assert_eq!((books[0].last_update_id, books[0].source, books[0].asks.len()), (77, Source::Rest, 2));
    assert_eq!(books[0].asks[0].quantity.to_string(), "0.00375");
    assert_eq!(books[0].ts_event_us, at(0));
}
