//! Streams that are not what they were: made anew, come back from a copy, purged.

use std::process::Command;
use std::time::Duration;

use marketprism_testkit::{Proxy, poll_until};

use crate::rig::{DEADLINE, Rig};

/// A copy of the broker's files. The broker is down meanwhile, as an operator would have it.
fn back_up(rig: &mut Rig) {
    rig.nats.stop();
    copy(&rig.dir.path().join("nats/jetstream"), &rig.dir.path().join("copy"));
    rig.nats.restart();
}

/// The broker dies and comes back with the files of the copy.
fn restore(rig: &mut Rig) {
    rig.nats.kill();
    let files = rig.dir.path().join("nats/jetstream");
    std::fs::remove_dir_all(&files).unwrap();
    copy(&rig.dir.path().join("copy"), &files);
    rig.nats.restart();
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

async fn rows_of_epoch(rig: &Rig, epoch: u32) -> u64 {
    rig.number(&format!("SELECT count() FROM marketprism_hot.trades WHERE stream_epoch = {epoch}")).await
}

async fn epochs(rig: &Rig) -> u64 {
    rig.number("SELECT uniqExact(epoch) FROM marketprism_hot.stream_epochs WHERE stream = 'MARKET_DATA'")
        .await
}

#[tokio::test]
async fn a_stream_made_anew_begins_a_new_epoch() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..51).await;
    rig.assert_trades(50).await;
    // The broker loses its disk: the new stream gives the same sequences to other messages.
    rig.nats.kill();
    std::fs::remove_dir_all(rig.dir.path().join("nats/jetstream")).unwrap();
    rig.nats.restart();
    rig.apply_streams().await;
    rig.publish_trades(51..81).await;
    rig.assert_trades(80).await;
    assert_eq!(rig.number("SELECT count() FROM marketprism_hot.trades WHERE stream_epoch = 2").await, 30);
    let question =
        "SELECT max(epoch) + 0::UInt64 FROM marketprism_hot.stream_epochs WHERE stream = 'MARKET_DATA'";
    assert_eq!(rig.number(question).await, 2);
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_stream_that_comes_back_shorter_loses_and_doubles_nothing() {
    let mut rig = Rig::start().await;
    // Of these the broker will have forgotten that they are stored.
    rig.publish_trades(1..61).await;
    back_up(&mut rig);
    let mut service = rig.service("one").await;
    rig.publish_trades(61..101).await;
    rig.assert_trades(100).await;
    restore(&mut rig);
    poll_until(DEADLINE, "the new epoch has begun", async || epochs(&rig).await == 2).await;
    rig.publish_trades(201..231).await;
    rig.assert_trades(130).await;
    assert_eq!((rows_of_epoch(&rig, 1).await, rows_of_epoch(&rig, 2).await), (100, 30));
    // And once more: now both earlier epochs have rows of what is delivered again.
    restore(&mut rig);
    poll_until(DEADLINE, "the next epoch has begun", async || epochs(&rig).await == 3).await;
    rig.publish_trades(301..311).await;
    rig.assert_trades(140).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_stream_that_came_back_shorter_and_grew_while_nobody_looked_is_noticed() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;
    assert!(service.stop().success());
    back_up(&mut rig);
    let mut service = rig.service("two").await;
    rig.publish_trades(101..151).await;
    rig.assert_trades(150).await;
    assert!(service.stop().success());
    restore(&mut rig);
    rig.publish_trades(201..301).await;
    let mut service = rig.service("three").await;
    rig.assert_trades(250).await;
    assert_eq!((rows_of_epoch(&rig, 1).await, rows_of_epoch(&rig, 2).await), (150, 100));
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_stream_that_was_replaced_while_we_were_frozen_is_noticed() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;
    back_up(&mut rig);
    rig.publish_trades(101..151).await;
    rig.assert_trades(150).await;
    service.pause();
    restore(&mut rig);
    rig.publish_trades(201..301).await;
    service.resume();
    rig.assert_trades(250).await;
    assert_eq!((epochs(&rig).await, rows_of_epoch(&rig, 2).await), (2, 100));
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_stream_that_is_made_anew_while_a_batch_is_inserted_loses_nothing() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.clickhouse.url()).await;
    let url = proxy.url();
    // The next batch is still being asked for when the stream goes.
    let more = [("MARKETPRISM__CLICKHOUSE__URL", url.as_str()), ("MARKETPRISM__BATCH__AGE_MAX", "2s")];
    let mut service = rig.service_with("one", &more).await;
    rig.publish_trades(1..11).await;
    rig.assert_trades(10).await;
    // Long enough for the consumer of the new stream to be made, and to give us its messages.
    proxy.delay_answers_to("query=INSERT", Duration::from_secs(4));
    rig.publish_trades(11..21).await;
    poll_until(DEADLINE, "it is stored", async || rows_of_epoch(&rig, 1).await == 20).await;
    rig.jetstream("STREAM.DELETE.MARKET_DATA", &serde_json::Value::Null).await;
    rig.apply_streams().await;
    // They get the sequences of the others.
    rig.publish_trades(101..121).await;
    proxy.restore();
    rig.assert_trades(40).await;
    assert_eq!(rows_of_epoch(&rig, 2).await, 20);
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_purged_stream_goes_on_in_its_epoch() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;
    rig.jetstream("STREAM.PURGE.MARKET_DATA", &serde_json::Value::Null).await;
    assert!(service.stop().success());
    rig.publish_trades(101..151).await;
    let mut service = rig.service("two").await;
    rig.assert_trades(150).await;
    assert_eq!(epochs(&rig).await, 1);
    assert!(service.stop().success());
}
