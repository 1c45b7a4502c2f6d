//! What storing costs: the whole path into the hot tier and on into the cold one, and beside it what broker and engine do
//! by themselves with the same messages. `cargo xtask bench storage` builds what it starts, runs it and prints the table.
//!
//! `storage_rate [TRADES] [BOOKS] [ROWS]`: one JSON object a figure, a line each; ROWS of an insert where not the default.
//! Everything runs on free ports in fresh folders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod messages;
mod rig;
mod usage;

use std::time::{Duration, Instant};

use marketprism_bus::{Bus, ConsumerConfig};
use marketprism_core::{DataType, subject, topology};
use marketprism_store::table;
use serde_json::json;

use rig::{Rig, Setup};
use usage::Watched;

/// Rows of an insert, and messages of a pull: hot-storage's default.
const BATCH_ROWS: u64 = 25_000;
/// Bytes of a pull, hot-storage's default.
const BATCH_BYTES: usize = 8 << 20;
/// With every message on the disk before its confirmation there are so many fewer of them a second.
const SYNCED_SHARE: u64 = 50;

fn main() {
    let argument =
        |at: usize, default| std::env::args().nth(at).map_or(default, |text| text.parse().unwrap());
    let (trades, books) = (argument(1, 1_000_000), argument(2, 50_000));
    let setup = Setup { batch_rows: argument(3, BATCH_ROWS), fsync: true, sync_always: false };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        whole(setup, DataType::Trade, trades).await;
        whole(setup, DataType::OrderBook, books).await;
        without_fsync(setup, trades).await;
        with_sync_always(setup, trades / SYNCED_SHARE).await;
    });
}

/// Everything about one data type, each part alone on the machine.
async fn whole(setup: Setup, data_type: DataType, count: u64) {
    if count == 0 {
        return;
    }
    let mut rig = Rig::start(setup).await;
    let name = data_type.as_str();
    publish(&rig, data_type, count, &format!("{name}: publish")).await;
    rig.restart_broker();
    let hot = into_hot(&rig, data_type, count).await;
    let limit = insert_prepared(&rig, data_type, count).await;
    hot.print(&format!("{name} into hot"), Some(limit));
    into_cold(&rig, data_type, count).await.print(&format!("{name} into cold"), None);
    for acknowledge in [false, true] {
        let what = if acknowledge { "pull and acknowledge" } else { "pull only" };
        pull(&rig, data_type, count, acknowledge).await.print(&format!("{name}: {what}"), None);
    }
}

/// The price of fsync in the engine.
async fn without_fsync(setup: Setup, count: u64) {
    let rig = Rig::start(Setup { fsync: false, ..setup }).await;
    publish(&rig, DataType::Trade, count, "trade: publish, again").await;
    into_hot(&rig, DataType::Trade, count).await.print("trade into hot, fsync off", None);
}

/// The price of a broker that confirms nothing before it is on the disk.
async fn with_sync_always(setup: Setup, count: u64) {
    let rig = Rig::start(Setup { sync_always: true, ..setup }).await;
    publish(&rig, DataType::Trade, count, "trade: publish, sync always").await;
}

async fn publish(rig: &Rig, data_type: DataType, count: u64, what: &str) {
    let publisher = rig.bus.publisher(marketprism_bus::PublisherConfig::default());
    let began = Instant::now();
    for id in 0..count {
        publisher.publish(messages::outgoing(data_type, id)).await.unwrap();
    }
    publisher.drain().await.unwrap();
    figure(what, rate(count, began.elapsed()), "messages/s", None);
}

/// hot-storage started on the full stream.
async fn into_hot(rig: &Rig, data_type: DataType, count: u64) -> Watched {
    let service = rig.hot_storage();
    let processes =
        [("hot-storage", service.pid()), ("nats-server", rig.nats.pid().unwrap()), ("engine", rig.hot.pid)];
    let question = format!("SELECT count() FROM marketprism_hot.{}", table(data_type));
    let watched = Watched::until(count, &processes, async || rig.hot.progress(&question).await).await;
    let sequences =
        format!("SELECT uniqExact(stream_epoch, stream_seq) FROM marketprism_hot.{}", table(data_type));
    assert_eq!((rig.hot.number(&question).await, rig.hot.number(&sequences).await), (count, count));
    // Nothing is pending when it has ended: its last acknowledgements are confirmed.
    drop(service);
    watched
}

/// cold-storage started on the full hot tier; a row counts when its range is in the ledger.
async fn into_cold(rig: &Rig, data_type: DataType, count: u64) -> Watched {
    let service = rig.cold_storage();
    let processes =
        [("cold-storage", service.pid()), ("hot engine", rig.hot.pid), ("cold engine", rig.cold.pid)];
    let question = format!(
        "SELECT sum(rows) FROM marketprism_cold.replication_log WHERE table_name = '{}'",
        table(data_type)
    );
    rig.cold.wait_for_table("marketprism_cold", "replication_log").await;
    Watched::until(count, &processes, async || rig.cold.progress(&question).await).await
}

/// Rows a second of the engine, given the bytes of one batch again and again by one writer.
async fn insert_prepared(rig: &Rig, data_type: DataType, count: u64) -> u64 {
    let rows = rig.setup.batch_rows.min(count);
    let batch = rig.hot.native_batch(table(data_type), rows).await;
    let (mut inserted, began) = (0, Instant::now());
    while inserted < count {
        rig.hot.insert_prepared(table(data_type), batch.clone()).await;
        inserted += rows;
    }
    rate(inserted, began.elapsed())
}

/// A consumer of its own over the whole stream, as hot-storage reads it, storing nothing.
async fn pull(rig: &Rig, data_type: DataType, count: u64, acknowledge: bool) -> Watched {
    let bus: &Bus = &rig.bus;
    let config = ConsumerConfig {
        durable: format!("rate-{acknowledge}"),
        filter_subjects: vec![subject::filter(data_type)],
        ack_wait: Duration::from_secs(3_600),
        max_ack_pending: u32::try_from(count).unwrap(),
        ..ConsumerConfig::default()
    };
    let consumer = bus.consumer(topology::stream_of(data_type), config).await.unwrap();
    let processes = [("nats-server", rig.nats.pid().unwrap()), ("client", std::process::id())];
    let batch_rows = usize::try_from(rig.setup.batch_rows).unwrap();
    let mut pulled = 0;
    let step = async || {
        let batch = consumer.next_batch(batch_rows, BATCH_BYTES, Duration::from_secs(1)).await.unwrap();
        if let Some((last, others)) = batch.split_last().filter(|_| acknowledge) {
            for delivery in others {
                delivery.ack().await.unwrap();
            }
            last.ack_confirmed().await.unwrap();
        }
        pulled += batch.len() as u64;
        pulled
    };
    Watched::until(count, &processes, step).await
}

fn rate(count: u64, elapsed: Duration) -> u64 {
    count * 1_000 / u64::try_from(elapsed.as_millis()).unwrap().max(1)
}

fn figure(what: &str, value: u64, unit: &str, limit: Option<u64>) {
    println!("{}", json!({ "what": what, "value": value, "unit": unit, "limit": limit }));
}
