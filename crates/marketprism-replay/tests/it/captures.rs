//! Captures made by others, replayed whole: what `MANIFEST.md` beside them says they can prove. They are not part of this
//! repository; without them these tests say so and pass (`MARKETPRISM_CAPTURES` names their folder).

use std::path::{Path, PathBuf};

use marketprism_core::{DataType, MarketType};
use marketprism_recording::capture::Format;
use marketprism_replay::{BooksAt, ReplayOptions, Summary};
use std::time::Duration;

use crate::collected::{Collected, of_capture, replay};

/// The folder of the captures, or that there is none.
pub(crate) fn captures() -> Option<PathBuf> {
    let folder = marketprism_testkit::captures_dir();
    if folder.is_none() {
        println!("skipped: no captures (set MARKETPRISM_CAPTURES)");
    }
    folder
}

/// Connections to OKX at the same time, for the same channels.
const OKX: [&str; 3] = ["OKEX.ws.1.0", "OKEX.ws.2.0", "OKEX.ws.3.0"];

fn okx(folder: &Path, files: &[&str], market_type: MarketType) -> (Summary, Collected) {
    let lanes: Vec<_> = files
        .iter()
        .map(|file| [folder.join("bmoscon__cryptofeed/2021-11-03_3baf9c56").join(file)])
        .collect();
    let lanes: Vec<&[PathBuf]> = lanes.iter().map(<[PathBuf; 1]>::as_slice).collect();
    replay(&lanes, &of_capture("okx", market_type, Format::Cryptofeed)).unwrap()
}

#[test]
fn three_connections_give_one_stream_of_trades_without_duplicates() {
    let Some(folder) = captures() else { return };
    for market_type in [MarketType::Spot, MarketType::Perpetual, MarketType::Futures] {
        let keys = |collected: &Collected| {
            let trades = collected.trades();
            let key = |trade: &marketprism_core::message::Trade<'_>| {
                (trade.instrument_id.to_string(), trade.trade_id.to_string())
            };
            trades.iter().map(key).collect::<Vec<_>>()
        };
        let (_, together) = okx(&folder, &OKX, market_type);
        let mut together = keys(&together);
        together.sort();
        let mut alone: Vec<_> =
            OKX.iter().flat_map(|file| keys(&okx(&folder, &[file], market_type).1)).collect();
        let all = alone.len();
        alone.sort();
        alone.dedup();
        assert_eq!(together, alone, "{market_type}");
        assert!(alone.len() * 2 < all, "{market_type}: each trade came on two or three of them");
    }
}

/// Books come at other times, and hold the same: every published book is one of those published at every update.
#[test]
fn books_at_an_interval_are_some_of_those_at_every_update() {
    let Some(folder) = captures() else { return };
    let files = [folder.join("nkaz001__hftbacktest/usdm/ethusdt_20240808.gz")];
    let options = of_capture("binance", MarketType::Perpetual, Format::Hbt);
    let (_, all) = replay(&[&files], &options).unwrap();
    let interval = Some(BooksAt::Interval(Duration::from_secs(1)));
    let (summary, some) = replay(&[&files], &ReplayOptions { books_at: interval, ..options }).unwrap();
    let (all, some) = (all.books(), some.books());
    // 345 seconds of the exchange's clock.
    assert!((340..350).contains(&some.len()), "{summary}");
    for book in &some {
        let same = all.iter().find(|other| other.last_update_id == book.last_update_id).unwrap();
        assert_eq!((&same.bids, &same.asks), (&book.bids, &book.asks));
    }
    let counted: u64 = some.iter().map(|book| book.update_count).sum();
    assert_eq!(
        counted,
        all.iter().map(|book| book.update_count).sum::<u64>(),
        "each update is in one message"
    );
}

#[test]
fn a_window_of_time_gives_what_was_published_in_it() {
    let Some(folder) = captures() else { return };
    let files = [folder.join("nkaz001__hftbacktest/spot/ethusdt_20240808.gz")];
    let options = of_capture("binance", MarketType::Spot, Format::Hbt);
    let (_, whole) = replay(&[&files], &options).unwrap();
    let trades = whole.trades();
    let (from, to) = (trades[500].ts_recv_us, trades[900].ts_recv_us);
    let window = ReplayOptions { from: Some(from), to: Some(to), ..options };
    let (summary, some) = replay(&[&files], &window).unwrap();
    let inside = trades.iter().filter(|trade| (from..=to).contains(&trade.ts_recv_us)).count();
    assert_eq!(some.trades().len(), inside);
    assert_eq!(summary.count(DataType::Gap), 0);
    assert!(!some.books().is_empty(), "the book was built before the window began");
}
