//! Every fault the simulator knows × every market: afterwards the books are the exchange's, trades are there or declared
//! missing, and the streams the fault did not concern never noticed: no gap, no book that begins again, still flowing.
//!
//! All markets run in every test, on one socket each or several, as the collector plans them; faults follow one another.

use std::collections::BTreeSet;
use std::time::Duration;

use marketprism_testkit::poll_until;
use serde_json::{Value, json};

use crate::matrix_checks::{assert_books_are_the_exchanges, assert_trades_are_whole_or_declared};
use crate::matrix_tape::{Part, Parts, Tape};
use crate::rig::{DEADLINE, Rig, place};

/// As simulator and collector name them.
const MARKETS: [&str; 5] = ["binance_spot", "binance_usdm", "okx_spot", "okx_swap", "deribit"];

/// The instrument of each market that single instruments' faults concern.
const VICTIMS: [[&str; 3]; 5] = [
    ["binance", "spot", "BTCUSDT"],
    ["binance", "perpetual", "BTCUSDT"],
    ["okx", "spot", "BTC-USDT"],
    ["okx", "perpetual", "BTC-USDT-SWAP"],
    ["deribit", "perpetual", "BTC-PERPETUAL"],
];

/// Longer than the longest fault.
const PATIENCE: Duration = marketprism_testkit::DEADLINE;

/// How a fault shows on the instruments it concerns.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// Not at all.
    Unnoticed,
    /// Their books begin again, all of them.
    Resync,
    /// Books begin again, but those in which nothing happened meanwhile: they just go on.
    Reconnect,
    /// Trades are fetched afterwards or declared missing.
    Trades,
    /// Connections are made anew, and nothing is missing.
    Seamless,
    /// However it comes.
    Any,
}

/// What the faults of connections concern: all of an exchange, or one of its market types where each has its own sockets.
struct At {
    exchange: &'static str,
    market_types: &'static [&'static str],
}

impl At {
    fn with(&self, fault: &Value) -> Value {
        let mut fault = fault.clone();
        fault["exchange"] = json!(self.exchange);
        if let Some(market_type) = self.market_types.first() {
            fault["market_type"] = json!(market_type);
        }
        fault
    }

    fn means(&self, instrument: &str) -> bool {
        let mut words = instrument.split(' ');
        words.next() == Some(self.exchange)
            && (self.market_types.is_empty() || self.market_types.contains(&words.next().unwrap()))
    }

    /// What an announced end and a maintenance are on this exchange.
    fn announcement(&self, fault: &str) -> Effect {
        match (self.exchange, fault) {
            ("deribit", "server_shutdown") => Effect::Unnoticed,
            ("deribit", _) => Effect::Reconnect,
            // Its ids begin anew, which is no gap.
            ("okx", "maintenance_reset") => Effect::Any,
            _ => Effect::Seamless,
        }
    }
}

struct Matrix {
    rig: Rig,
    tape: Tape,
    instruments: BTreeSet<String>,
}

impl Matrix {
    async fn start() -> Self {
        let arguments = ["--rate", "1000", "--symbols", "2", "--markets", &MARKETS.join(",")];
        let exchange =
            |id: &str| (id.to_owned(), json!({ "symbols": "all", "data_types": ["trade", "orderbook"] }));
        let exchanges: serde_json::Map<_, _> = MARKETS.into_iter().map(exchange).collect();
        let shallow = |config: &mut Value| {
            for id in MARKETS {
                config["exchanges"][id]["orderbook"]["depth"] = json!(5);
            }
        };
        let rig = Rig::launch(&arguments, exchanges.into(), shallow).await;
        // Volatility indices have neither trades nor books.
        let status = rig.status().await;
        let traded = status["instruments"].as_array().unwrap().iter();
        let instruments =
            traded.filter(|one| one["symbol"].as_str().unwrap().contains('-')).map(place).collect();
        let mut matrix = Self { tape: Tape::of(&rig.bus).await, rig, instruments };
        matrix.flows(&Parts::new(), "the start").await;
        matrix
    }

    /// Waits until each instrument has brought a trade and a book since `earlier`, and all are live.
    async fn flows(&mut self, earlier: &Parts, after: &str) {
        let (rig, tape) = (&self.rig, &mut self.tape);
        poll_until(DEADLINE, &format!("everything flows after {after}"), async || {
            let parts = tape.read_since(earlier).await;
            let flows = |instrument: &String| {
                parts.get(instrument).is_some_and(|part| part.books > 0 && part.trades > 0)
            };
            self.instruments.iter().all(flows) && is_well(rig).await
        })
        .await;
    }

    /// Injects, waits until it had its effect and all is well again, and checks that the others never noticed.
    async fn inject(&mut self, faults: &[Value], concerned: impl Fn(&str) -> bool, effect: Effect) {
        let what = format!("{faults:?}");
        let (concerned, others): (Vec<_>, Vec<_>) =
            self.instruments.iter().cloned().partition(|instrument| concerned(instrument));
        assert!(!concerned.is_empty(), "{what} concerns nobody");
        let before = self.tape.read().await;
        let connects = self.rig.metric("marketprism_collector_connects_total").await;
        for fault in faults {
            self.rig.control("fault", fault).await;
        }
        let (rig, tape) = (&self.rig, &mut self.tape);
        poll_until(PATIENCE, &format!("the effect of {what}"), async || {
            let parts = tape.read_since(&before).await;
            let all = |shows: fn(&Part) -> bool| {
                concerned.iter().all(|instrument| parts.get(instrument).is_some_and(shows))
            };
            match effect {
                Effect::Unnoticed | Effect::Any => all(|part| part.books >= 8 && part.trades >= 8),
                Effect::Resync => all(|part| part.first_books > 0),
                Effect::Reconnect => concerned
                    .iter()
                    .any(|instrument| parts.get(instrument).is_some_and(|part| part.first_books > 0)),
                Effect::Trades => all(|part| part.backfilled > 0 || !part.gaps.is_empty()),
                Effect::Seamless => rig.metric("marketprism_collector_connects_total").await > connects,
            }
        })
        .await;
        let recovered = tape.read().await;
        self.flows(&recovered, &what).await;
        let parts = self.tape.read_since(&before).await;
        for instrument in &others {
            assert!(
                parts[instrument].is_untouched(),
                "{instrument} noticed {what}: {:#?}",
                parts[instrument]
            );
        }
        for instrument in &concerned {
            let part = &parts[instrument];
            match effect {
                Effect::Unnoticed => assert!(part.is_untouched(), "{instrument} noticed {what}: {part:#?}"),
                Effect::Seamless => assert!(part.gaps.is_empty(), "{what} cost something: {part:#?}"),
                Effect::Resync | Effect::Reconnect | Effect::Trades | Effect::Any => {}
            }
        }
    }

    /// A fault of the one instrument of each market.
    async fn inject_at_victims(&mut self, fault: &Value, effect: Effect) {
        let faults: Vec<Value> = VICTIMS
            .iter()
            .map(|[exchange, market_type, instrument_id]| {
                let mut fault = fault.clone();
                fault["exchange"] = json!(exchange);
                fault["market_type"] = json!(market_type);
                fault["instrument_id"] = json!(instrument_id);
                fault
            })
            .collect();
        self.inject(&faults, |instrument| VICTIMS.iter().any(|one| one.join(" ") == instrument), effect)
            .await;
    }

    /// A fault of everything at `at`, an exchange and perhaps a market type, and what comes with it.
    async fn inject_at(&mut self, at: &At, faults: &[Value], effect: Effect) {
        let faults: Vec<Value> = faults.iter().map(|fault| at.with(fault)).collect();
        self.inject(&faults, |instrument| at.means(instrument), effect).await;
    }

    /// All that connections and REST can do, at one place after the other.
    async fn inject_at_connections(&mut self, at: &At) {
        // First, while nothing is under way that would be noticed.
        for fault in ["server_shutdown", "maintenance_reset"] {
            let effect = at.announcement(fault);
            self.inject_at(at, &[json!({ "fault": fault })], effect).await;
        }
        let disconnect = json!({ "fault": "disconnect" });
        let limit = json!({ "fault": "rate_limit", "for_ms": 1_500, "retry_after_seconds": 1 });
        let ban = json!({ "fault": "rate_limit", "status": 418, "for_ms": 1_500, "retry_after_seconds": 1 });
        let slow = json!({ "fault": "slow_rest", "delay_ms": 700, "for_ms": 3_000 });
        let refuse = json!({ "fault": "refuse", "for_ms": 1_500 });
        for faults in [
            vec![disconnect.clone()],
            vec![refuse, disconnect.clone()],
            vec![limit, disconnect.clone()],
            vec![ban, disconnect.clone()],
            vec![slow, disconnect],
            // Too short to be noticed but by what is missing afterwards.
            vec![json!({ "fault": "silence", "for_ms": 1_000 })],
        ] {
            self.inject_at(at, &faults, Effect::Reconnect).await;
        }
        self.settle().await;
    }

    /// Waits until nothing is found missing any more: what is found later belongs to what is injected later. A hole shows
    /// with the next trade, and is filled a second after.
    async fn settle(&mut self) {
        loop {
            let before = self.tape.read().await;
            for _ in 0..2 {
                let now = self.tape.read().await;
                self.flows(&now, "all was over").await;
            }
            if self.tape.read_since(&before).await.values().all(Part::is_untouched) {
                return;
            }
        }
    }

    /// The exchange wants nothing to do with us any more: it is off, says why, and the others go on.
    async fn forbid(&mut self, at: &At, status: u16) {
        let forbidden = json!({ "fault": "rate_limit", "status": status, "for_ms": 600_000 });
        for fault in [forbidden, json!({ "fault": "disconnect" })] {
            self.rig.control("fault", &at.with(&fault)).await;
        }
        poll_until(DEADLINE, "the exchange is off", async || {
            let health = self.rig.health().await;
            health["checks"]["exchanges"].to_string().contains(&status.to_string())
        })
        .await;
        let before = self.tape.read().await;
        poll_until(DEADLINE, "the others go on", async || {
            let parts = self.tape.read_since(&before).await;
            let mut others = self.instruments.iter().filter(|instrument| !at.means(instrument));
            others.all(|instrument| parts.get(instrument).is_some_and(|it| it.books > 2 && it.trades > 0))
        })
        .await;
    }

    async fn finish(self) {
        let stored = self.rig.finish().await;
        assert!(stored.status.success(), "{}", stored.log);
        assert_trades_are_whole_or_declared(&stored);
        let compared = assert_books_are_the_exchanges(&stored);
        assert!(compared > 1_000, "only {compared} books compared");
    }
}

/// Trades and books of all symbols are live.
async fn is_well(rig: &Rig) -> bool {
    let health = rig.health().await;
    ["trade", "orderbook"].iter().all(|check| health["checks"][check]["status"] == "healthy")
}

#[tokio::test]
async fn what_happens_to_one_instrument() {
    let mut matrix = Matrix::start().await;
    for (fault, effect) in [
        (json!({ "fault": "duplicate_diff", "count": 3 }), Effect::Unnoticed),
        (json!({ "fault": "duplicate_trade", "count": 3 }), Effect::Unnoticed),
        (json!({ "fault": "stall", "for_ms": 1_500 }), Effect::Unnoticed),
        (json!({ "fault": "skip_diff", "count": 1 }), Effect::Resync),
        (json!({ "fault": "drop_trade", "count": 2 }), Effect::Trades),
        (json!({ "fault": "reorder", "count": 1 }), Effect::Any),
        (json!({ "fault": "corrupt_frame", "count": 4 }), Effect::Any),
    ] {
        matrix.inject_at_victims(&fault, effect).await;
    }
    assert_eq!(matrix.rig.metric("marketprism_collector_frames_rejected_total").await, 20);
    for fault in
        [json!({ "fault": "clock_skew", "skew_ms": 60_000 }), json!({ "fault": "clock_skew", "skew_ms": 0 })]
    {
        matrix.inject(&[fault], |_| true, Effect::Unnoticed).await;
    }
    // The queues are there for it: nothing is shed, nobody falls behind so far that a book breaks.
    let burst = json!({ "fault": "burst", "factor": 50, "for_ms": 300 });
    matrix.inject(&[burst], |_| true, Effect::Unnoticed).await;
    assert_eq!(matrix.rig.metric("marketprism_collector_messages_shed_total").await, 0);
    matrix.finish().await;
}

#[tokio::test]
async fn what_happens_to_connections_of_binance_spot() {
    let mut matrix = Matrix::start().await;
    matrix.inject_at_connections(&At { exchange: "binance", market_types: &["spot"] }).await;
    matrix.finish().await;
}

#[tokio::test]
async fn what_happens_to_connections_of_binance_usdm() {
    let mut matrix = Matrix::start().await;
    let usdm = At { exchange: "binance", market_types: &["perpetual", "futures"] };
    matrix.inject_at_connections(&usdm).await;
    matrix.forbid(&usdm, 403).await;
    matrix.finish().await;
}

#[tokio::test]
async fn what_happens_to_connections_of_okx() {
    let mut matrix = Matrix::start().await;
    let okx = At { exchange: "okx", market_types: &[] };
    matrix.inject_at_connections(&okx).await;
    matrix.forbid(&okx, 451).await;
    matrix.finish().await;
}

#[tokio::test]
async fn what_happens_to_connections_of_deribit() {
    let mut matrix = Matrix::start().await;
    let deribit = At { exchange: "deribit", market_types: &[] };
    matrix.inject_at_connections(&deribit).await;
    matrix.forbid(&deribit, 451).await;
    matrix.finish().await;
}

#[tokio::test]
async fn sockets_that_stay_open_and_say_nothing_are_replaced() {
    let mut matrix = Matrix::start().await;
    // Longer than the most patient session waits: OKX's, 30 s.
    let silence = json!({ "fault": "silence", "for_ms": 36_000 });
    let places = [
        At { exchange: "binance", market_types: &["spot"] },
        At { exchange: "okx", market_types: &[] },
        At { exchange: "deribit", market_types: &[] },
    ];
    let connects = matrix.rig.metric("marketprism_collector_connects_total").await;
    let faults: Vec<Value> = places.iter().map(|at| at.with(&silence)).collect();
    let concerned = |instrument: &str| places.iter().any(|at| at.means(instrument));
    matrix.inject(&faults, concerned, Effect::Reconnect).await;
    assert!(matrix.rig.metric("marketprism_collector_connects_total").await >= connects + 3);
    matrix.finish().await;
}
