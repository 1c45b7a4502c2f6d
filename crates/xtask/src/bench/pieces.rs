//! The pieces alone, by the examples of the crates they belong to: decoders, publisher, inserts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::table::Row;
use crate::Failure;

const SERVICES: &[&str] = &[
    "demo",
    "broker-bootstrap",
    "collector",
    "hot-storage",
    "cold-storage",
    "exchange-simulator",
    "embedded-clickhouse",
];
const EXAMPLES: &[(&str, &str)] = &[
    ("exchanges", "decode_rate"),
    ("bus", "publish_rate"),
    ("store", "insert_rate"),
    ("hot-storage", "storage_rate"),
    ("collector", "footprint"),
    ("collector", "reconnect_soak"),
];
/// The engine starts in a second; a busy machine may take many.
const ENGINE_START_MAX: Duration = Duration::from_secs(60);

/// Everything that is measured, as it is shipped.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    let cargo = |arguments: &[String]| {
        let mut command = Command::new("cargo");
        command.args(["build", "--release", "--locked"]).args(arguments).current_dir(root);
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(Failure::from(format!("{command:?} ended with {status}"))) }
    };
    let services = SERVICES.iter().flat_map(|name| ["-p".to_owned(), format!("marketprism-{name}")]);
    cargo(&services.collect::<Vec<_>>())?;
    for (package, example) in EXAMPLES {
        cargo(&[format!("-pmarketprism-{package}"), "--example".to_owned(), (*example).to_owned()])?;
    }
    Ok(())
}

/// Our publisher beside the bare client, on the same broker: the better of the rounds.
pub(crate) fn publisher(programs: &Path, quick: bool) -> Result<Vec<Row>, Failure> {
    let mut command = Command::new(programs.join("examples/publish_rate"));
    let text = output(command.arg(if quick { "100000" } else { "500000" }))?;
    let after = |line: &str, word: &str| -> Option<u64> {
        line.split_once(word)?.1.split('/').next()?.trim().parse().ok()
    };
    let best = |word| text.lines().filter_map(|line| after(line, word)).max();
    let mut row = Row::new(
        "publish to JetStream with ids, 300 B",
        best("publisher ").ok_or("publish_rate printed no rate")?,
        "messages/s",
    );
    row.limit = best("bare client ");
    Ok(vec![row])
}

/// Trades into the engine through our writer, beside the engine copying the same rows by itself.
pub(crate) fn inserts(programs: &Path, scratch: &Path) -> Result<Vec<Row>, Failure> {
    let engine = Engine::start(programs, scratch)?;
    let url = format!("http://{}", engine.address);
    let text = output(Command::new(programs.join("examples/insert_rate")).arg(url))?;
    engine.query("CREATE TABLE insert_rate.copied AS insert_rate.trades")?;
    let begun = Instant::now();
    engine.query("INSERT INTO insert_rate.copied SELECT * FROM insert_rate.trades LIMIT 1000000")?;
    let millis = u64::try_from(begun.elapsed().as_millis())?.max(1);
    let mut rows = Vec::new();
    for line in text.lines() {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        if let (Some(batch), Some(rate)) = (numbers.next(), numbers.next()) {
            let mut row = Row::new(format!("insert trades, {batch} rows an insert"), rate, "rows/s");
            row.limit = Some(1_000_000 * 1_000 / millis);
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    println!("running {}", command.get_program().to_string_lossy());
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?} ended with {}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// An engine of our own on a free port with an empty folder.
struct Engine {
    process: Child,
    address: String,
}

impl Engine {
    fn start(programs: &Path, scratch: &Path) -> Result<Self, Failure> {
        let folder = scratch.join("clickhouse");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let address_file = folder.join("address");
        let free = "127.0.0.1:0";
        let mut process = Command::new(programs.join("marketprism-embedded-clickhouse"))
            .args(["--listen", free, "--path"])
            .arg(folder.join("data"))
            .env("MARKETPRISM__ADDRESS_FILE", &address_file)
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", free)
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", free)
            .env("LOG_LEVEL", "error")
            .spawn()?;
        let begun = Instant::now();
        while begun.elapsed() < ENGINE_START_MAX && process.try_wait()?.is_none() {
            if let Ok(address) = std::fs::read_to_string(&address_file)
                && !address.trim().is_empty()
            {
                let address = address.trim().trim_start_matches("http://").to_owned();
                return Ok(Self { process, address });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        process.kill()?;
        Err("the engine did not start: is it there (scripts/provision.sh)?".into())
    }

    fn query(&self, sql: &str) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(&self.address)?;
        let (host, length) = (&self.address, sql.len());
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{sql}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(format!("{sql}: {answer}").into()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its folder is thrown away with the next run: nothing to save.
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("the engine could not be stopped: {error}");
        }
    }
}
