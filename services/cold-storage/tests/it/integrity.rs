//! `verify` and `repair`: each thing broken on purpose is told exactly, mended from whichever side has it, and then nothing is
//! wrong; and nothing is told while all is well.

use marketprism_core::{DataType, topology};
use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig};

impl Rig {
    /// What a command prints, and its exit code.
    fn command(&self, name: &str, arguments: &[&str]) -> (String, Option<i32>) {
        let mut process = self.spawn(name, arguments, &[("MARKETPRISM__LOGGING__LEVEL", "error")]);
        let code = process.wait().code();
        (process.log(), code)
    }

    async fn change(&self, tier: &str, change: &str) {
        self.run(&format!("ALTER TABLE marketprism_{tier}.trades {change} SETTINGS mutations_sync = 1"))
            .await;
    }

    async fn double(&self, tier: &str, sequence: u64) {
        let table = format!("marketprism_{tier}.trades");
        self.run(&format!("INSERT INTO {table} SELECT * FROM {table} WHERE stream_seq = {sequence}")).await;
    }
}

#[tokio::test]
async fn each_thing_that_is_broken_is_told_and_mended() {
    let rig = Rig::start().await;
    rig.store_trades(1..301, |_| true).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(300).await;
    let clean = ("0 findings\n".to_owned(), Some(0));
    assert_eq!(rig.command("clean", &["verify"]), clean);

    rig.change("hot", "DELETE WHERE stream_seq = 11").await;
    rig.change("cold", "DELETE WHERE stream_seq = 12").await;
    rig.double("hot", 13).await;
    rig.double("cold", 14).await;
    rig.change("hot", "UPDATE quantity = 15 WHERE stream_seq = 15").await;
    rig.change("cold", "UPDATE quantity = 16 WHERE stream_seq = 16").await;
    rig.change("hot", "UPDATE created_at = created_at + INTERVAL 1 SECOND WHERE stream_seq = 17").await;
    let (told, code) = rig.command("broken", &["verify", "--table", "trades"]);
    for finding in [
        "trades 11 of epoch 1: missing in the hot tier",
        "trades 12 of epoch 1: missing in the cold tier",
        "trades 13 of epoch 1: 2 times in the hot tier",
        "trades 14 of epoch 1: 2 times in the cold tier",
        "trades 15 of epoch 1: not the same in the stream and the hot tier",
        "trades 15 of epoch 1: not the same in the hot tier and the cold tier",
        "trades 16 of epoch 1: not the same in the hot tier and the cold tier",
        "trades 17 of epoch 1: not the same in the hot tier and the cold tier",
    ] {
        assert!(told.contains(&format!("{finding}\n")), "`{finding}` is not in:\n{told}");
    }
    // Its id, too, is missing for as long as the row is.
    assert!(told.contains("binance spot BTC-USDT: ids 11…11 missing in the hot tier"), "{told}");
    assert!(told.ends_with("9 findings\n") && code == Some(1), "{told}");
    let (told, code) = rig.command("some", &["verify", "--from", "12", "--to", "13", "--json"]);
    let found: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((found.len(), code), (2, Some(1)), "{told}");
    assert_eq!((&found[0]["stream_seq"], &found[0]["trouble"]), (&13.into(), &"duplicated".into()), "{told}");
    assert_eq!(rig.command("gaps", &["verify", "--table", "gaps"]), clean);

    let (told, code) = rig.command("dry", &["repair", "--dry-run"]);
    // Which 17 is right the ledger tells once the others of its range are mended.
    assert!(told.ends_with("7 would be repaired, 2 left\n") && code == Some(1), "{told}");
    let other = rig.bus.lease("repair", DEADLINE).await.unwrap().unwrap();
    let (told, code) = rig.command("second", &["repair"]);
    assert!(told.contains("another repair is at work") && code == Some(1), "{told}");
    other.release().await.unwrap();
    let (told, code) = rig.command("repair", &["repair"]);
    assert!(
        told.contains("trades 11 of epoch 1: missing in the hot tier: copied from the cold tier"),
        "{told}"
    );
    assert!(told.ends_with(" 0 left\n") && code == Some(0), "{told}");
    assert_eq!(rig.command("mended", &["verify"]), clean);
    rig.assert_same(300).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn what_both_tiers_lost_comes_from_the_stream_and_what_nobody_has_is_left() {
    let rig = Rig::start().await;
    rig.store_trades(1..101, |_| true).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(100).await;
    for tier in ["hot", "cold"] {
        rig.change(tier, "DELETE WHERE stream_seq = 50").await;
    }
    let (told, code) = rig.command("both", &["repair"]);
    for how in ["stored from the stream", "copied from the hot tier", "entered in the ledger anew"] {
        assert!(told.contains(how), "`{how}` is not in:\n{told}");
    }
    assert!(told.ends_with("3 repaired, 0 left\n") && code == Some(0), "{told}");
    assert_eq!(rig.command("clean", &["verify"]).1, Some(0));

    // Nobody can tell any more which of the two is right: not the stream, not the ledger.
    rig.change("hot", "UPDATE quantity = 7 WHERE stream_seq = 7").await;
    rig.change("cold", "UPDATE quantity = 8 WHERE stream_seq = 7").await;
    rig.purge_stream().await;
    let (told, code) = rig.command("undecided", &["repair"]);
    assert!(told.contains("a person must decide") && told.ends_with("0 repaired, 1 left\n"), "{told}");
    assert_eq!(code, Some(1));
    // The ledger tells once one side is as it was.
    rig.change("cold", "UPDATE quantity = 1 WHERE stream_seq = 7").await;
    let (told, code) = rig.command("decided", &["repair"]);
    assert!(told.contains("replaced in marketprism_hot by the row of marketprism_cold"), "{told}");
    assert_eq!(code, Some(0));
    rig.assert_same(100).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn ids_tell_of_holes_and_repetitions() {
    let rig = Rig::start().await;
    rig.store_trades(1..101, |_| true).await;
    rig.store_trades(111..121, |_| true).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(110).await;
    let (told, code) = rig.command("hole", &["verify"]);
    assert!(told.contains("trades of binance spot BTC-USDT: ids 101…110 missing in the hot tier"), "{told}");
    assert!(told.ends_with("1 findings\n") && code == Some(1), "{told}");
    assert!(rig.command("repair", &["repair"]).0.ends_with("0 repaired, 1 left\n"));
    let gap = |from: u64, to: u64| {
        format!(
            "INSERT INTO marketprism_hot.gaps (timestamp, exchange, market_type, symbol, missing_data_type, from_sequence, \
             to_sequence) VALUES (now64(6), 'binance', 'spot', 'BTC-USDT', 'trade', {from}, {to})"
        )
    };
    rig.run(&gap(101, 107)).await;
    assert!(rig.command("half", &["verify"]).0.contains("ids 108…110 missing"));
    rig.run(&gap(108, 110)).await;
    assert_eq!(rig.command("declared", &["verify"]).1, Some(0));

    // What the stream dropped unread is told for its own range, whatever the table, and nobody can mend it.
    rig.run(
        "INSERT INTO marketprism_hot.stream_losses SELECT 'MARKET_DATA', 1, 90, 95, 4, now64(6), 'max_age'",
    )
    .await;
    let (told, code) = rig.command("lost", &["verify", "--table", "trades", "--table", "gaps"]);
    let lost = "MARKET_DATA 90…95 of epoch 1: 4 messages lost: the stream dropped them (max_age) before they were stored\n";
    assert!(told.contains(lost) && told.ends_with("1 findings\n") && code == Some(1), "{told}");
    assert_eq!(rig.command("elsewhere", &["verify", "--from", "96"]).1, Some(0));
    assert_eq!(rig.command("other", &["verify", "--table", "orderbooks"]).1, Some(0));
    assert!(rig.command("no help", &["repair"]).0.ends_with("0 repaired, 1 left\n"));
    rig.run("ALTER TABLE marketprism_hot.stream_losses DELETE WHERE 1 SETTINGS mutations_sync = 1").await;

    // The same trade under another sequence, as after the duplicate window.
    rig.run(
        "INSERT INTO marketprism_hot.trades SELECT * REPLACE (toUInt64(109) AS stream_seq) FROM marketprism_hot.trades \
         WHERE trade_id = '30'",
    )
    .await;
    let (told, code) = rig.command("twice", &["verify"]);
    assert!(told.contains("trade_id 30 in several messages (epoch/sequence 1/30, 1/109)"), "{told}");
    assert!(told.contains("trades 109 of epoch 1: 2 times in the hot tier") && code == Some(1), "{told}");
    for wrong in [&["verify", "--table", "tradez"] as &[_], &["verify", "--from", "9", "--to", "1"]] {
        assert_eq!(rig.command("wrong", wrong).1, Some(64), "{wrong:?}");
    }
    assert!(service.stop().success());
}

#[tokio::test]
async fn nothing_is_told_while_rows_come_and_are_copied() {
    let rig = Rig::start().await;
    rig.store_trades(1..251, |_| true).await;
    let mut service = rig.service("one");
    rig.wait_for_watermark(250).await;
    let storing = async {
        for part in 1..40 {
            rig.store_trades(1 + part * 250..251 + part * 250, |_| true).await;
        }
    };
    let verifying = async {
        let mut rounds = 0;
        poll_until(DEADLINE, "everything is copied", async || {
            rounds += 1;
            let name = format!("round{rounds}");
            let mut process = rig.spawn(&name, &["verify"], &[("MARKETPRISM__LOGGING__LEVEL", "error")]);
            poll_until(DEADLINE, "verify ends", async || process.ended().is_some()).await;
            assert_eq!(process.log(), "0 findings\n");
            rig.cold.watermark(DataType::Trade, 1).await.is_ok_and(|watermark| watermark == 10_000)
        })
        .await;
        rounds
    };
    let ((), rounds) = tokio::join!(storing, verifying);
    println!("{rounds} rounds of verify on {} while it grew", topology::MARKET_DATA);
    rig.assert_same(10_000).await;
    assert!(service.stop().success());
}
