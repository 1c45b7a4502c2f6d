//! The ports of every server: the documented ones, each checked before anything starts, or free ones.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use crate::failure::Failure;
use crate::options::Ports as Choice;

/// Every port the demo listens on.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// nats-server.
    pub nats: u16,
    /// nats-server's monitoring.
    pub nats_monitor: u16,
    /// The simulated exchanges.
    pub simulator: u16,
    /// The hot tier.
    pub clickhouse_hot: u16,
    /// The cold tier.
    pub clickhouse_cold: u16,
    /// Its health and metrics.
    pub simulator_admin: [u16; 2],
    /// Its health and metrics.
    pub clickhouse_hot_admin: [u16; 2],
    /// Its health and metrics.
    pub clickhouse_cold_admin: [u16; 2],
    /// Its health and metrics.
    pub collector_admin: [u16; 2],
    /// Its health and metrics.
    pub hot_storage_admin: [u16; 2],
    /// Its health and metrics.
    pub hot_standby_admin: [u16; 2],
    /// Its health and metrics.
    pub cold_storage_admin: [u16; 2],
    /// Its health and metrics.
    pub cold_standby_admin: [u16; 2],
    /// The monitoring service's web console.
    pub console: u16,
    /// The monitoring service's bridge, of which the demo makes no use.
    pub console_bridge: u16,
    /// Health and metrics of the monitoring service.
    pub console_admin: [u16; 2],
}

const STANDARD: Ports = Ports {
    nats: 4222,
    nats_monitor: 8222,
    simulator: 9443,
    clickhouse_hot: 8123,
    clickhouse_cold: 8124,
    simulator_admin: [8090, 9099],
    clickhouse_hot_admin: [18123, 19123],
    clickhouse_cold_admin: [18124, 19124],
    collector_admin: [8087, 9092],
    hot_storage_admin: [8085, 9094],
    hot_standby_admin: [18085, 19094],
    cold_storage_admin: [8086, 9095],
    cold_standby_admin: [18086, 19095],
    console: 8082,
    console_bridge: 8060,
    console_admin: [8083, 9096],
};

impl Ports {
    /// The ports to use, all of them free at this moment; those of the console are checked by [`Ports::check_console`].
    pub fn choose(choice: Choice) -> Result<Self, Failure> {
        match choice {
            Choice::Standard => {
                for (port, purpose) in STANDARD.list() {
                    check(port, purpose)?;
                }
                Ok(STANDARD)
            }
            Choice::Free => free(),
        }
    }

    /// Whether the console's ports are free. The pipeline runs without a console, too.
    pub(crate) fn check_console(self) -> Result<(), Failure> {
        check(self.console, "the console")?;
        check(self.console_bridge, "the console's bridge")?;
        self.console_admin.into_iter().try_for_each(|port| check(port, "the console's health and metrics"))
    }

    fn list(self) -> Vec<(u16, &'static str)> {
        let mut list = vec![
            (self.nats, "nats-server"),
            (self.nats_monitor, "nats-server's monitoring"),
            (self.simulator, "the exchange simulator"),
            (self.clickhouse_hot, "ClickHouse hot"),
            (self.clickhouse_cold, "ClickHouse cold"),
        ];
        for (ports, purpose) in [
            (self.simulator_admin, "the simulator's health and metrics"),
            (self.clickhouse_hot_admin, "ClickHouse hot's health and metrics"),
            (self.clickhouse_cold_admin, "ClickHouse cold's health and metrics"),
            (self.collector_admin, "the collector's health and metrics"),
            (self.hot_storage_admin, "hot-storage's health and metrics"),
            (self.hot_standby_admin, "the second hot-storage's health and metrics"),
            (self.cold_storage_admin, "cold-storage's health and metrics"),
            (self.cold_standby_admin, "the second cold-storage's health and metrics"),
        ] {
            list.extend(ports.map(|port| (port, purpose)));
        }
        list
    }
}

fn check(port: u16, purpose: &'static str) -> Result<(), Failure> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::PortTaken { port, purpose, by: owner(port).unwrap_or_default() }),
    }
}

/// Free ports below the range from which the system takes the local ports of outgoing connections, so that no connection
/// of ours takes one between this check and its use.
const FREE_FROM: u16 = 10_000;
const FREE_TO: u16 = 32_000;

fn free() -> Result<Ports, Failure> {
    // Two demos that start together begin at different places.
    let width = u32::from(FREE_TO - FREE_FROM);
    let start = (std::process::id().wrapping_mul(7_919)) % width;
    let mut candidates =
        (0..width).map(|step| FREE_FROM + u16::try_from((start + step) % width).unwrap_or_default());
    let mut next = || -> Result<u16, Failure> {
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        candidates
            .find(is_free)
            .ok_or_else(|| Failure::Usage("no free port between 10000 and 32000".to_owned()))
    };
    Ok(Ports {
        nats: next()?,
        nats_monitor: next()?,
        simulator: next()?,
        clickhouse_hot: next()?,
        clickhouse_cold: next()?,
        simulator_admin: [next()?, next()?],
        clickhouse_hot_admin: [next()?, next()?],
        clickhouse_cold_admin: [next()?, next()?],
        collector_admin: [next()?, next()?],
        hot_storage_admin: [next()?, next()?],
        hot_standby_admin: [next()?, next()?],
        cold_storage_admin: [next()?, next()?],
        cold_standby_admin: [next()?, next()?],
        console: next()?,
        console_bridge: next()?,
        console_admin: [next()?, next()?],
    })
}

/// Who listens on a port, as far as this user may see.
fn owner(port: u16) -> Option<String> {
    let inode = listening_inode(port)?;
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        // Beside the numbers there are names such as `self`.
        if process.file_name().to_string_lossy().parse::<u32>().is_err() {
            continue;
        }
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let has_it = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        });
        if has_it {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!(" by {} (process {})", name.trim(), process.file_name().to_string_lossy()));
        }
    }
    None
}

fn listening_inode(port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            let (local, state) = (fields.nth(1)?, fields.nth(1)?);
            (local.ends_with(&wanted) && state == LISTEN).then(|| fields.nth(5).map(str::to_owned))?
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_owner() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = check(port, "ClickHouse hot").unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} for ClickHouse hot is taken by")), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(listener);
        check(port, "ClickHouse hot").unwrap();
    }

    #[test]
    fn a_taken_port_of_the_console_is_named_too_and_is_none_of_the_pipelines() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let console = listener.local_addr().unwrap().port();
        let error = Ports { console, ..STANDARD }.check_console().unwrap_err().to_string();
        assert!(error.contains(&format!("port {console} for the console is taken by")), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        let of_pipeline: Vec<_> = STANDARD.list().into_iter().map(|(port, _)| port).collect();
        assert!(![8082, 8060, 8083, 9096].iter().any(|port| of_pipeline.contains(port)), "{of_pipeline:?}");
    }
}
