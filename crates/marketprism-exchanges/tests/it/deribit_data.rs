//! Deribit's funding and open interest out of tickers, and the volatility index by socket and by REST.

use marketprism_core::message::{FundingRate, OpenInterest, VolatilityIndex};
use marketprism_core::{DataType, GapReason, Source};
use marketprism_exchanges::FetchFailed;

use crate::deribit::{
    BTC, ETH, INDEX, OPTION, OTHER, at, config, event, feed, open, open_with, seed, settle, time,
};
use crate::driver::{Driver, START, options};

const TICKER: &[DataType] = &[DataType::FundingRate, DataType::OpenInterest];

fn ticker(id: &str, millis: u64, interest: &str, funding: &str, mark: &str) -> String {
    event(
        &format!("ticker.{id}.100ms"),
        &format!(
            r#"{{"timestamp":{},"state":"open","stats":{{"high":93612.0,"low":null,"volume":11897.27640428}},"index_price":50010.5,"instrument_name":"{id}","last_price":null,"open_interest":{interest},"mark_price":{mark},"interest_value":0.0028213400122472977,"best_ask_price":null,"current_funding":{funding},"funding_8h":0.00001742}}"#,
            at(millis)
        ),
    )
}

fn funding(driver: &Driver) -> Vec<FundingRate<'_>> {
    driver.recorded.of(DataType::FundingRate)
}

fn interest(driver: &Driver) -> Vec<OpenInterest<'_>> {
    driver.recorded.of(DataType::OpenInterest)
}

#[test]
fn funding_comes_with_mark_and_index_price_rounded_to_what_can_be_kept() {
    let mut driver = open(TICKER);
    feed(&mut driver, &ticker(BTC, 0, "1.0e6", "-1.423032929843748e-4", "50000.0"));
    let told = funding(&driver);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].funding_rate.to_string(), "-0.000142303292984375");
    assert_eq!(
        (told[0].mark_price.unwrap().to_string(), told[0].index_price.unwrap().to_string()),
        ("50000.0".into(), "50010.5".into())
    );
    assert_eq!(
        (told[0].interval_hours, told[0].next_funding_time_us, told[0].ts_event_us),
        (Some(8), None, time(0))
    );
}

#[test]
fn open_interest_is_told_in_the_units_that_can_be_known() {
    let mut driver = open(TICKER);
    for id in [BTC, ETH, OPTION] {
        feed(&mut driver, &ticker(id, 0, "1.0e6", "0.0", "50000.0"));
    }
    let units = |told: &OpenInterest<'_>| {
        [told.open_interest, told.open_interest_base, told.open_interest_value]
            .map(|value| value.map(|value| value.to_string()).unwrap_or_default())
    };
    let told: Vec<_> = interest(&driver).iter().map(units).collect();
    // Inverse: USD, so contracts of 10 USD, base at the mark price. Else base.
    assert_eq!(
        told,
        [["100000", "20", "1000000"], ["1000000000", "1000000", ""], ["1000000", "1000000", ""]]
    );
    assert_eq!(funding(&driver).len(), 2, "an option has none");
}

#[test]
fn each_is_published_when_it_changed_and_once_in_a_second() {
    let mut driver = open(TICKER);
    let steps = [
        (0, "100", "0.1"),
        (100, "100", "0.1"),
        (200, "110", "0.1"),
        (300, "120", "0.2"),
        (900, "130", "0.2"),
        (1_000, "130", "0.2"),
        (2_500, "130", "0.3"),
    ];
    for (millis, open_interest, rate) in steps {
        feed(&mut driver, &ticker(BTC, millis, open_interest, rate, "50000.0"));
    }
    let told: Vec<_> = interest(&driver)
        .iter()
        .map(|it| (it.ts_event_us.micros_since(time(0)) / 1_000, it.open_interest_value.unwrap().to_string()))
        .collect();
    assert_eq!(told, [(0, "100".to_owned()), (900, "130".to_owned())]);
    let told: Vec<_> = funding(&driver)
        .iter()
        .map(|it| (it.ts_event_us.micros_since(time(0)) / 1_000, it.funding_rate.to_string()))
        .collect();
    assert_eq!(told, [(0, "0.1".to_owned()), (900, "0.2".to_owned()), (2_500, "0.3".to_owned())]);
    // The last change before a silence is not lost, and keeps when it was received.
    let received = driver.now;
    feed(&mut driver, &ticker(BTC, 2_600, "140", "0.3", "50000.0"));
    feed(&mut driver, &ticker(BTC, 2_700, "150", "0.3", "50000.0"));
    driver.pass(1_000);
    let told = interest(&driver);
    let last = told.last().unwrap();
    assert_eq!(
        (last.open_interest_value.unwrap().to_string(), last.ts_event_us, last.ts_recv_us),
        ("150".into(), time(2_700), received)
    );
}

#[test]
fn two_sockets_tickers_are_one_line() {
    let mut driver = open(TICKER);
    driver.opened_on(OTHER);
    settle(&mut driver);
    let frame = ticker(BTC, 0, "100", "0.1", "50000.0");
    feed(&mut driver, &frame);
    driver.frame_on(OTHER, &frame).unwrap();
    driver.frame_on(OTHER, &ticker(BTC, 1_500, "200", "0.1", "50000.0")).unwrap();
    feed(&mut driver, &ticker(BTC, 1_400, "150", "0.1", "50000.0"));
    driver.pass(2_000);
    assert_eq!(interest(&driver).len(), 2);
}

#[test]
fn an_exchange_whose_clock_is_set_back_is_followed() {
    let mut driver = open(&[DataType::OpenInterest, DataType::VolatilityIndex]);
    for (millis, value) in [(60_000, "10"), (60_500, "20"), (0, "30"), (1_000, "40")] {
        feed(&mut driver, &ticker(BTC, millis, value, "0.0", "50000.0"));
        feed(&mut driver, &volatility(millis, value));
    }
    assert_eq!(interest(&driver).len(), 4);
    assert_eq!(indices(&driver).len(), 4);
}

#[test]
fn absent_values_are_no_zeros_and_bad_ones_are_named() {
    let mut driver = open(TICKER);
    feed(&mut driver, &ticker(BTC, 0, "null", "null", "null"));
    assert!(driver.recorded.messages.is_empty());
    let rejected = driver.frame(&ticker(BTC, 1_000, "-5", "0.1", "50000.0")).unwrap_err();
    assert!(rejected.detail.contains("is below zero"), "{rejected}");
    assert_eq!(funding(&driver).len(), 1, "the other value is good");
    let rejected = driver.frame(&ticker(BTC, 2_000, "5", "\"x\"", "50000.0")).unwrap_err();
    assert!(rejected.detail.starts_with("field `current_funding`: "), "{rejected}");
    feed(&mut driver, &ticker(BTC, 3_000, "5", "0.2", "null"));
    let told = interest(&driver);
    assert_eq!(
        (told[0].open_interest_base, told[0].open_interest.unwrap().to_string()),
        (None, "0.5".into())
    );
    driver.tick();
    let gaps = driver.recorded.gaps();
    let undecodable: Vec<_> = gaps
        .iter()
        .filter(|gap| gap.reason == GapReason::Undecodable)
        .map(|gap| gap.missing_data_type)
        .collect();
    assert_eq!(undecodable, [DataType::FundingRate, DataType::OpenInterest]);
}

const VOLATILITY: &[DataType] = &[DataType::VolatilityIndex];
const MINUTE: u64 = 60_000;

fn indices(driver: &Driver) -> Vec<VolatilityIndex<'_>> {
    driver.recorded.of(DataType::VolatilityIndex)
}

fn volatility(millis: u64, value: &str) -> String {
    event(
        &format!("deribit_volatility_index.{INDEX}"),
        &format!(r#"{{"volatility":{value},"timestamp":{},"index_name":"btc_usd"}}"#, at(millis)),
    )
}

/// ms of the beginning of the minute so many minutes after the one the test begins in.
fn minute(minutes: u64) -> u64 {
    START.unsigned_abs() / 1_000 / MINUTE * MINUTE + minutes * MINUTE
}

fn bars(minutes: impl IntoIterator<Item = u64>, continuation: Option<u64>) -> Vec<u8> {
    let rows: Vec<_> =
        minutes.into_iter().map(|at| format!("[{},40.1,41.5,3.95e1,{at}.5]", minute(at))).collect();
    let continuation = continuation.map_or("null".to_owned(), |at| minute(at).to_string());
    format!(
        r#"{{"jsonrpc":"2.0","id":5,"result":{{"data":[{}],"continuation":{continuation}}}}}"#,
        rows.join(",")
    )
    .into_bytes()
}

/// Minutes of the bars published, after the one the test begins in.
fn published(driver: &Driver) -> Vec<u64> {
    let bars = indices(driver).into_iter().filter(|index| index.resolution_seconds.is_some());
    bars.map(|bar| (bar.ts_event_us.as_micros().unsigned_abs() / 1_000 - minute(0)) / MINUTE).collect()
}

/// Start and end of what is asked for, in minutes and ms.
fn window(path: &str) -> (u64, u64) {
    let value = |name: &str| {
        path.split(['?', '&']).find_map(|part| part.strip_prefix(name)).unwrap().parse::<u64>().unwrap()
    };
    assert!(path.starts_with("/api/v2/public/get_volatility_index_data?currency=BTC&"), "{path}");
    assert!(path.ends_with("&resolution=60"), "{path}");
    ((value("start_timestamp=") - minute(0)) / MINUTE, value("end_timestamp="))
}

#[test]
fn a_value_that_cannot_be_read_is_declared() {
    let mut driver = open(VOLATILITY);
    driver.frame(&volatility(0, "\"x\"")).unwrap_err();
    driver.pass(100);
    let gaps = driver.recorded.gaps();
    assert!(gaps.len() == 1 && gaps[0].reason == GapReason::Undecodable, "{gaps:?}");
}

#[test]
fn values_of_the_socket_are_published_once() {
    let mut driver = open(VOLATILITY);
    driver.opened_on(OTHER);
    settle(&mut driver);
    feed(&mut driver, &volatility(7, "35.9"));
    driver.frame_on(OTHER, &volatility(7, "35.9")).unwrap();
    driver.frame_on(OTHER, &volatility(1_007, "3.6e1")).unwrap();
    let told = indices(&driver);
    assert_eq!(told.iter().map(|it| it.index_value.to_string()).collect::<Vec<_>>(), ["35.9", "36"]);
    assert_eq!(
        (told[0].symbol.as_ref(), told[0].instrument_id.as_ref(), told[0].source),
        ("BTC", INDEX, Source::Ws)
    );
    assert_eq!((told[0].open, told[0].resolution_seconds, told[0].ts_event_us), (None, None, time(7)));
}

#[test]
fn bars_are_published_when_they_are_over() {
    let mut driver = open(VOLATILITY);
    let request = driver.take_requests().remove(0);
    assert_eq!(window(&request.path).0, 0);
    driver.fetched(request.id, Ok(&bars([0], None))).unwrap();
    assert!(published(&driver).is_empty(), "it still forms");
    // The test begins 20 s into a minute.
    driver.pass(41_000);
    let request = driver.request();
    assert_eq!((window(&request.path).0, request.limit), (0, "credits"));
    driver.fetched(request.id, Ok(&bars([0, 1], None))).unwrap();
    assert_eq!(published(&driver), [0]);
    let told = indices(&driver);
    let decimals = [Some(told[0].index_value), told[0].open, told[0].high, told[0].low]
        .map(|value| value.unwrap().to_string());
    assert_eq!(decimals, ["0.5", "40.1", "41.5", "39.5"]);
    assert_eq!((told[0].source, told[0].resolution_seconds), (Source::Rest, Some(60)));
    // REST fails for a while: nothing is lost.
    driver.pass(60_000);
    let request = driver.take_requests().remove(0);
    driver.fetched(request.id, Err(FetchFailed::Transport("reset".into()))).unwrap();
    driver.pass(60_000);
    let request = driver.take_requests().remove(0);
    assert_eq!(window(&request.path).0, 1);
    driver.fetched(request.id, Ok(&bars([3, 1, 2], None))).unwrap();
    assert_eq!(published(&driver), [0, 1, 2]);
}

#[test]
fn pages_come_backwards_and_are_published_forwards() {
    let mut driver =
        open_with(config(VOLATILITY, options(), vec![seed(INDEX, DataType::VolatilityIndex, 0, 0)]));
    // Half a day without an answer.
    let lost = driver.take_requests().remove(0);
    driver.now = driver.now.saturating_add_micros(720 * 60_000_000);
    driver.pass(2_000);
    let mut asked = Vec::new();
    // A hundred bars a page.
    for _ in 0..60 {
        driver.pass(1_000);
        for request in driver.take_requests() {
            let (start, end) = window(&request.path);
            asked.push((start, end));
            let last = ((end - minute(0)) / MINUTE).min(720);
            let first = start.max(last.saturating_sub(99));
            let body = bars(first..=last, (first > start).then(|| first - 1));
            driver.fetched(request.id, Ok(&body)).unwrap();
        }
    }
    let _late = driver.fetched(lost.id, Ok(&bars([0], None)));
    assert_eq!(published(&driver), (0..720).collect::<Vec<_>>(), "{asked:?}");
    assert!(driver.recorded.gaps().is_empty());
}

#[test]
fn bars_too_old_to_be_asked_for_are_a_gap() {
    let mut driver = Driver::new(
        "deribit",
        config(VOLATILITY, options(), vec![seed(INDEX, DataType::VolatilityIndex, 0, 0)]),
    );
    driver.now = driver.now.saturating_add_micros(3 * 86_400_000_000);
    let request = driver.request();
    assert_eq!(window(&request.path).0, 2 * 1_440);
    let gaps = driver.recorded.gaps();
    assert_eq!(
        (gaps[0].missing_data_type, gaps[0].reason),
        (DataType::VolatilityIndex, GapReason::Disconnect)
    );
    assert_eq!(gaps[0].from_time_us.unwrap().as_micros().unsigned_abs() / 1_000, minute(0));
}

#[test]
fn a_window_the_exchange_has_nothing_of_is_left_behind() {
    let mut driver =
        open_with(config(VOLATILITY, options(), vec![seed(INDEX, DataType::VolatilityIndex, 0, 0)]));
    driver.take_requests();
    driver.now = driver.now.saturating_add_micros(700 * 60_000_000);
    let request = driver.request();
    driver.fetched(request.id, Ok(&bars([], None))).unwrap();
    let request = driver.request();
    assert_eq!(window(&request.path).0, 500);
    let rejected = driver.fetched(request.id, Ok(b"{\"result\":{\"data\":[[1,2]]}}")).unwrap_err();
    assert!(rejected.detail.starts_with("field `data[0]"), "{rejected}");
}

#[test]
fn what_is_pushed_while_nobody_listens_is_declared_when_it_comes_again() {
    let mut driver = open(TICKER);
    feed(&mut driver, &ticker(BTC, 0, "1.0e6", "0.0001", "50000.0"));
    assert!(driver.recorded.gaps().is_empty());
    let heard = driver.now;
    driver.pass(1_000);
    driver.closed();
    driver.pass(2_000);
    driver.opened();
    settle(&mut driver);
    feed(&mut driver, &ticker(BTC, 9_000, "1.0e6", "0.0001", "50000.0"));
    driver.tick();
    let gaps = driver.recorded.gaps();
    let declared: Vec<_> =
        gaps.iter().map(|gap| (gap.missing_data_type, gap.from_time_us, gap.to_time_us)).collect();
    let of = |data_type| (data_type, Some(heard), Some(driver.now));
    assert_eq!(declared, [of(DataType::FundingRate), of(DataType::OpenInterest)]);
}
