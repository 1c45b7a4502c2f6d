//! Captures made by others, replayed whole: what `MANIFEST.md` beside them says they can prove. They are not part of this
//! repository; without them these tests say so and pass (`MARKETPRISM_CAPTURES` names their folder).

use marketprism_core::{DataType, MarketType};
use marketprism_recording::capture::Format;
use marketprism_testkit::captures_dir;

use crate::collected::{of_capture, replay};

#[test]
fn hbt_all() {
    let Some(folder) = captures_dir() else { return };
    let hbt = folder.join("nkaz001__hftbacktest");
    for (market, files) in [
        (MarketType::Spot, vec!["spot/ethusdt_20240808.gz", "spot/ethusdt_20240809.gz"]),
        (MarketType::Perpetual, vec!["usdm/ethusdt_20240808.gz"]),
        (MarketType::Perpetual, vec!["usdm/btcusdt_20240718.gz", "usdm/btcusdt_20240719.gz"]),
    ] {
        let paths: Vec<_> = files.iter().map(|file| hbt.join(file)).collect();
        let mut options = of_capture("binance", market, Format::Hbt);
        options.trade_stream = Some("trade".into());
        let begun = std::time::Instant::now();
        let (summary, collected) = replay(&[&paths], &options).unwrap();
        println!("{summary}{:?} {}", begun.elapsed(), collected.0.len());
        println!("{:?}", collected.gaps());
    }
    let cf = folder.join("bmoscon__cryptofeed");
    for (exchange, market, stream, files) in [
        ("binance", MarketType::Spot, Some("aggTrade"), vec!["2021-04-04_29970208/BINANCE-ee25be.0"]),
        ("binance", MarketType::Spot, Some("aggTrade"), vec!["2021-11-03_3baf9c56/BINANCE.ws.1.0"]),
        (
            "binance",
            MarketType::Perpetual,
            Some("aggTrade"),
            vec!["2021-11-03_3baf9c56/BINANCE_FUTURES.ws.1.0"],
        ),
    ] {
        let paths: Vec<_> = files.iter().map(|file| cf.join(file)).collect();
        let mut options = of_capture(exchange, market, Format::Cryptofeed);
        options.trade_stream = stream.map(str::to_owned);
        let begun = std::time::Instant::now();
        let (summary, collected) = replay(&[&paths], &options).unwrap();
        println!("{exchange} {market} {files:?}\n{summary}{:?} {}", begun.elapsed(), collected.0.len());
        println!("{:?}", collected.gaps());
        let _ = summary.count(DataType::Trade);
    }
}
