//! A broker, an engine for each tier, and the services between them, each a process of its own.

use std::process::Command;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use marketprism_bus::{Bus, NatsConfig, topology};
use marketprism_testkit::{ClickHouse, NatsServer, Process, binary, poll_until};

/// One insert is one block, as hot-storage has it.
const BLOCK_ROWS_MAX: &str = "20000000";

const POLL: Duration = Duration::from_millis(20);

/// What differs between runs.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Rows of an insert.
    pub(crate) batch_rows: u64,
    /// Whether every insert is on the disk before it is confirmed.
    pub(crate) fsync: bool,
    /// Whether every message is on the broker's disk before it is confirmed; it is a second later otherwise.
    pub(crate) sync_always: bool,
}

pub(crate) struct Rig {
    pub(crate) bus: Bus,
    pub(crate) hot: Engine,
    pub(crate) cold: Engine,
    pub(crate) setup: Setup,
    // Last: the services have ended when their servers and folders go.
    pub(crate) nats: NatsServer,
    dir: tempfile::TempDir,
}

/// A server and a client to look at it from outside.
pub(crate) struct Engine {
    pub(crate) pid: u32,
    sql: clickhouse::Client,
    server: ClickHouse,
}

impl Rig {
    pub(crate) async fn start(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nats = if setup.sync_always {
            let store = dir.path().join("jetstream");
            NatsServer::start_with(&format!(
                "jetstream {{ store_dir: {store:?}, max_file: 256G, sync_interval: always }}"
            ))
        } else {
            NatsServer::start()
        };
        let bus =
            Bus::connect(&NatsConfig { url: nats.url(), ..NatsConfig::default() }, "rate").await.unwrap();
        let steps = topology::plan(&bus, &topology::defaults(), topology::Allow::default()).await.unwrap();
        topology::apply(&bus, &steps).await.unwrap();
        Self { bus, hot: Engine::start(), cold: Engine::start(), setup, nats, dir }
    }

    /// So that what it used while it was filled is not counted.
    pub(crate) fn restart_broker(&mut self) {
        self.nats.stop();
        self.nats.restart();
    }

    pub(crate) fn hot_storage(&self) -> Process {
        let mut command = Command::new(binary("marketprism-hot-storage"));
        command
            .env("MARKETPRISM__CLICKHOUSE__URL", self.hot.server.url())
            .env("MARKETPRISM__CLICKHOUSE__PASSWORD", self.hot.server.password())
            .env("MARKETPRISM__CLICKHOUSE__FSYNC", self.setup.fsync.to_string())
            .env("MARKETPRISM__BATCH__ROWS_MAX", self.setup.batch_rows.to_string());
        self.spawn("hot-storage", command)
    }

    pub(crate) fn cold_storage(&self) -> Process {
        let mut command = Command::new(binary("marketprism-cold-storage"));
        command
            .env("MARKETPRISM__HOT__URL", self.hot.server.url())
            .env("MARKETPRISM__HOT__PASSWORD", self.hot.server.password())
            .env("MARKETPRISM__COLD__URL", self.cold.server.url())
            .env("MARKETPRISM__COLD__PASSWORD", self.cold.server.password());
        self.spawn("cold-storage", command)
    }

    fn spawn(&self, name: &str, mut command: Command) -> Process {
        command
            .env("MARKETPRISM__NATS__URL", self.nats.url())
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0");
        Process::spawn(name, command, &self.dir.path().join(format!("{name}.log")))
    }
}

impl Engine {
    fn start() -> Self {
        let mut server = ClickHouse::start();
        let sql = clickhouse::Client::default()
            .with_url(server.url())
            .with_user("default")
            .with_password(server.password())
            .with_compression(clickhouse::Compression::None)
            .with_setting("max_insert_block_size", BLOCK_ROWS_MAX)
            .with_setting("min_insert_block_size_rows", BLOCK_ROWS_MAX)
            .with_setting("min_insert_block_size_bytes", "0");
        Self { pid: server.process().pid(), sql, server }
    }

    /// The one value that answers a question; 0 while there is no table.
    pub(crate) async fn number(&self, question: &str) -> u64 {
        self.sql.query_raw(question).fetch_one::<u64>().await.unwrap_or(0)
    }

    /// As [`Engine::number`], a little later: asking costs nothing of note then.
    pub(crate) async fn progress(&self, question: &str) -> u64 {
        tokio::time::sleep(POLL).await;
        self.number(question).await
    }

    pub(crate) async fn wait_for_table(&self, database: &str, table: &str) {
        let question =
            format!("SELECT count() FROM system.tables WHERE database = '{database}' AND name = '{table}'");
        poll_until(Duration::from_secs(60), "the table is there", async || self.number(&question).await == 1)
            .await;
    }

    /// The first rows of a table of the hot tier as hot-storage sends them.
    pub(crate) async fn native_batch(&self, table: &str, rows: u64) -> Bytes {
        let statement = format!("CREATE TABLE marketprism_hot.prepared_{table} AS marketprism_hot.{table}");
        self.sql.query_raw(&statement).execute().await.unwrap();
        let question = format!("SELECT * FROM marketprism_hot.{table} ORDER BY stream_seq LIMIT {rows}");
        let mut cursor = self
            .sql
            .query_raw(&question)
            .with_setting("low_cardinality_allow_in_native_format", "0")
            .with_setting("max_block_size", BLOCK_ROWS_MAX)
            .fetch_bytes("Native")
            .unwrap();
        let mut batch = BytesMut::new();
        while let Some(bytes) = cursor.next().await.unwrap() {
            batch.extend_from_slice(&bytes);
        }
        batch.freeze()
    }

    pub(crate) async fn insert_prepared(&self, table: &str, batch: Bytes) {
        let statement = format!("INSERT INTO marketprism_hot.prepared_{table} FORMAT Native");
        let mut insert = self.sql.insert_formatted_with(statement);
        insert.send(batch).await.unwrap();
        insert.end().await.unwrap();
    }
}
