//! Start, stop, kill: what was acknowledged is there, one process per data path, clear refusals.

use std::process::Command;

use marketprism_testkit::{ClickHouse, Process, binary, libchdb, poll_until};

use crate::client::{Client, query};

#[tokio::test]
async fn acknowledged_rows_survive_a_stop_and_a_kill() {
    let mut client = Client::start();
    client.run("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n").await;
    for round in 0..3_u64 {
        for _ in 0..5 {
            let answer = client
                .post(
                    &query("INSERT INTO t FORMAT TSV"),
                    (0..1000).map(|n| format!("{n}\n")).collect::<String>(),
                )
                .await;
            assert_eq!(answer.status, 200);
        }
        if round == 1 {
            client.server.stop();
        } else {
            client.server.kill();
        }
        client.server.restart();
        assert_eq!(client.count("t").await, (round + 1) * 5000);
    }
}

#[tokio::test]
async fn sigterm_lets_a_short_statement_end_and_cancels_a_long_one() {
    let mut client = Client::start();
    let running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'";
    let (url, key) = (client.server.url(), client.server.password().to_owned());
    let send = |sql: &'static str| {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(url.clone()).header("x-clickhouse-key", &key).body(sql);
        async move {
            request
                .send()
                .await
                .and_then(reqwest::Response::error_for_status)
                .map(|response| response.status().as_u16())
        }
    };
    let short = send("SELECT sleepEachRow(1) FROM numbers(2) FORMAT JSON");
    let long = send(
        "SELECT sleepEachRow(1) FROM numbers(600) SETTINGS function_sleep_max_microseconds_per_block = 600000000 FORMAT JSON",
    );
    let stop = async {
        poll_until(marketprism_testkit::DEADLINE, "both statements run", async || {
            client.run(running).await == "2\n"
        })
        .await;
        client.server.process().terminate();
    };
    let (short, long, ()) = tokio::join!(short, long, stop);
    assert_eq!(short.unwrap(), 200);
    assert!(long.is_err());
    assert!(client.server.process().wait().success());
}

#[tokio::test]
async fn a_data_path_serves_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let _first = ClickHouse::start_in(dir.path());
    let mut command = service();
    command.args(["--listen", "127.0.0.1:0", "--path"]).arg(dir.path().join("data"));
    let mut second = Process::spawn("second", command, &dir.path().join("second.log"));
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.log().contains("a data path serves one process at a time"), "{}", second.log());
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_name_and_value() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let path = dir.path().join("data").to_str().unwrap().to_owned();
    for (name, variables, arguments, code, words) in [
        ("remote", vec![("MARKETPRISM__LISTEN", "0.0.0.0:0")], vec![], 64, "0.0.0.0:0"),
        ("no password", vec![("MARKETPRISM__ALLOW_REMOTE", "true")], vec![], 64, "password"),
        ("unknown source", vec![("MARKETPRISM__ALLOW_OUTSIDE", "FTP")], vec![], 64, "allow_outside"),
        ("unknown", vec![("MARKETPRISM__NOPE", "1")], vec![], 64, "nope"),
        (
            "memory",
            vec![("MARKETPRISM__ENGINE__MEMORY_BYTES_MAX", "1000")],
            vec![],
            64,
            "engine.memory_bytes_max",
        ),
        (
            "library",
            vec![("LIBCHDB", "/nonexistent/libchdb.so")],
            vec!["--listen", "127.0.0.1:0"],
            1,
            "scripts/provision.sh",
        ),
        ("port", vec![], vec!["--listen", &taken], 1, &taken),
        (
            "setting",
            vec![("MARKETPRISM__ENGINE__SETTINGS__NOPE", "1")],
            vec!["--listen", "127.0.0.1:0"],
            1,
            "engine.settings.nope",
        ),
    ] {
        let mut command = service();
        command.envs(variables).args(arguments).args(["--path", &path]);
        let mut process = Process::spawn(name, command, &dir.path().join(name));
        assert_eq!(process.wait().code(), Some(code), "{name}: {}", process.log());
        assert!(process.log().contains(words), "{name}: {}", process.log());
    }
}

#[tokio::test]
async fn health_and_metrics_are_served() {
    let client = Client::start();
    client.run("SELECT 1").await;
    let addresses = client.server.admin_addresses();
    let get = async |address: &serde_json::Value, path: &str| {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        http.get(format!("http://{}{path}", address.as_str().unwrap()))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    let health: serde_json::Value =
        serde_json::from_str(&get(&addresses["health"], "/health").await).unwrap();
    assert_eq!(health["checks"]["engine"]["status"], "healthy", "{health}");
    let metrics = get(&addresses["metrics"], "/metrics").await;
    for name in
        ["statements_done_total", "statements_running", "statement_duration_seconds", "rows_inserted_total"]
    {
        assert!(metrics.contains(&format!("marketprism_embedded_clickhouse_{name}")), "{name}: {metrics}");
    }
}

fn service() -> Command {
    let mut command = Command::new(binary("marketprism-embedded-clickhouse"));
    command
        .env("LIBCHDB", libchdb())
        .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
        .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0");
    command
}
