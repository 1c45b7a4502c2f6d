//! `hot-storage dead-letters`: poison is listed and shown, and what can be stored after a fix is stored once.

use std::process::{Command, Output};

use bytes::Bytes;
use marketprism_bus::{Outgoing, PublisherConfig};
use marketprism_core::{DataType, topology};
use marketprism_testkit::poll_until;
use serde_json::Value;

use crate::rig::{DEADLINE, Rig, TRADE_SUBJECT, trade};

impl Rig {
    /// What the command prints, and its exit code.
    fn dead_letters(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.dead_letters_raw(arguments);
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    fn dead_letters_raw(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marketprism-hot-storage"));
        command.arg("dead-letters").args(arguments).env("MARKETPRISM__NATS__URL", self.nats.url());
        command.output().unwrap()
    }

    async fn wait_for_letters(&self, count: u64) {
        let bus = self.bus().await;
        poll_until(DEADLINE, "the dead letters are there", async || {
            bus.stream_state(topology::DEAD_LETTER).await.unwrap().messages == count
        })
        .await;
    }
}

#[tokio::test]
async fn letters_are_listed_shown_and_after_a_fix_stored_once() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    assert_eq!(rig.dead_letters(&["list"]), ("0 dead letters\n".to_owned(), Some(0)));

    // One that no release will read, and two that ClickHouse refuses until its table is put right.
    rig.run("ALTER TABLE marketprism_hot.trades ADD CONSTRAINT cheap CHECK price < 1000").await;
    let not_text = b"\xff\x00{\"data_type\"";
    let bus = rig.bus().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let poison = Outgoing {
        subject: TRADE_SUBJECT.to_owned(),
        message_id: "poison".to_owned(),
        payload: Bytes::from_static(not_text),
    };
    publisher.publish(poison).await.unwrap();
    publisher.drain().await.unwrap();
    rig.wait_for_letters(1).await;
    let dear = [5_001, 5_002].map(|id| trade(id).replace("\"100\"", "\"5000\""));
    for (payload, letters) in dear.iter().zip(2..) {
        rig.publish([(TRADE_SUBJECT.to_owned(), payload.clone())]).await;
        rig.wait_for_letters(letters).await;
    }
    rig.publish_trades(1..11).await;
    rig.wait_acknowledged(DataType::Trade).await;

    let (listed, code) = rig.dead_letters(&["list"]);
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!((lines.len(), code), (4, Some(0)), "{listed}");
    assert!(lines[0].starts_with("1  ") && lines[0].contains("payload is no trade"), "{listed}");
    assert!(lines[1].starts_with("2  ") && lines[1].contains("cheap"), "{listed}");
    let (listed, _) =
        rig.dead_letters(&["list", "--stream", "MARKET_DATA", "--data-type", "trade", "--json"]);
    let letters: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters[0]["payload_base64"], "/wB7ImRhdGFfdHlwZSI=");
    assert_eq!(
        (&letters[1]["stream_sequence"], &letters[1]["payload"]),
        (&2.into(), &dear[0].clone().into())
    );
    for none in [["--data-type", "orderbook"], ["--since", "2100-01-01T00:00:00Z"], ["--stream", "OTHER"]] {
        assert_eq!(rig.dead_letters(&[&["list"], none.as_slice()].concat()).0, "0 dead letters\n");
    }
    assert!(rig.dead_letters(&["list", "--since", "1h"]).0.ends_with("3 dead letters\n"));

    let (shown, code) = rig.dead_letters(&["show", "1"]);
    assert!(shown.contains(r#"\xff\x00{\"data_type\""#) && shown.contains("1 of MARKET_DATA"), "{shown}");
    assert_eq!(code, Some(0));
    assert!(rig.dead_letters(&["show", "2"]).0.contains(&dear[0]));
    assert_eq!(rig.dead_letters_raw(&["show", "1", "--raw"]).stdout, not_text);
    assert_eq!(rig.dead_letters(&["show", "99"]).1, Some(1));

    // What cannot be read stays; looking changes nothing.
    let (told, code) = rig.dead_letters(&["replay", "--all", "--dry-run"]);
    assert!(
        told.contains("1: left: payload is no trade") && told.contains("3: would be published"),
        "{told}"
    );
    assert!(told.ends_with("2 would be published again, 1 left\n") && code == Some(1), "{told}");
    let (told, code) = rig.dead_letters(&["replay", "1"]);
    assert!(told.ends_with("0 published again, 1 left\n") && code == Some(1), "{told}");
    for wrong in [&["replay"] as &[_], &["replay", "1", "--all"], &["list", "--since", "yesterday"]] {
        assert_eq!(rig.dead_letters(wrong).1, Some(64), "{wrong:?}");
    }
    assert_eq!(rig.number("SELECT count() FROM marketprism_hot.trades").await, 10);

    rig.run("ALTER TABLE marketprism_hot.trades DROP CONSTRAINT cheap").await;
    let (told, code) = rig.dead_letters(&["replay", "2"]);
    assert!(told.contains("2: published again as message 14 on trade.binance") && code == Some(0), "{told}");
    assert_eq!(rig.dead_letters(&["replay", "2"]).1, Some(1), "it is gone");
    let (told, code) = rig.dead_letters(&["replay", "--all"]);
    assert!(told.ends_with("1 published again, 1 left\n") && code == Some(1), "{told}");
    rig.assert_trades(12).await;
    assert_eq!(rig.number("SELECT count() FROM marketprism_hot.trades WHERE price = 5000").await, 2);
    let (listed, _) = rig.dead_letters(&["list"]);
    assert!(listed.starts_with("1  ") && listed.ends_with("1 dead letters\n"), "{listed}");
    assert!(service.stop().success());
}
