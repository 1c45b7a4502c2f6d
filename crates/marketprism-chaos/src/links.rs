//! The connections between the processes: each goes through a proxy of its own, which can cut it.

use std::collections::BTreeMap;

use marketprism_demo::failure::Failure;
use marketprism_demo::ports::Ports;
use marketprism_demo::stack::{COLD_STANDBY, HOT_STANDBY};
use marketprism_testkit::Proxy;

use crate::plan::Link;

/// One proxy for each connection that can be cut.
#[derive(Debug)]
pub(crate) struct Links(BTreeMap<Link, Proxy>);

impl Links {
    pub(crate) async fn start(ports: &Ports) -> Self {
        let mut proxies = BTreeMap::new();
        for link in Link::ALL {
            let mut ports = *ports;
            let server = server(link, &mut ports);
            proxies.insert(link, Proxy::start(&format!("127.0.0.1:{server}")).await);
        }
        Self(proxies)
    }

    /// What each service is told in place of the real ports.
    ///
    /// # Errors
    /// When a proxy has no port.
    pub(crate) fn detours(&self, ports: &Ports) -> Result<BTreeMap<&'static str, Ports>, Failure> {
        let mut detours = BTreeMap::new();
        for (link, proxy) in &self.0 {
            let url = proxy.url();
            let port = url.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let port =
                port.ok_or_else(|| Failure::Usage(format!("the proxy of {} is at {url}", link.name())))?;
            for client in clients(*link) {
                *server(*link, detours.entry(*client).or_insert(*ports)) = port;
            }
        }
        Ok(detours)
    }

    fn proxy(&self, link: Link) -> Result<&Proxy, Failure> {
        self.0.get(&link).ok_or_else(|| Failure::Usage(format!("{} has no proxy", link.name())))
    }

    pub(crate) fn cut(&self, link: Link) -> Result<(), Failure> {
        self.proxy(link).map(Proxy::cut)
    }

    pub(crate) fn mute(&self, link: Link) -> Result<(), Failure> {
        self.proxy(link).map(Proxy::freeze)
    }

    pub(crate) fn restore(&self, link: Link) -> Result<(), Failure> {
        self.proxy(link).map(Proxy::restore)
    }
}

/// Which processes open the connection.
const fn clients(link: Link) -> &'static [&'static str] {
    match link {
        Link::CollectorExchange | Link::CollectorBroker => &["collector"],
        Link::HotStorageBroker | Link::HotStorageEngine => &["hot-storage", HOT_STANDBY],
        Link::ColdStorageBroker | Link::ColdStorageHotEngine | Link::ColdStorageColdEngine => {
            &["cold-storage", COLD_STANDBY]
        }
    }
}

/// The port that it is opened to.
const fn server(link: Link, ports: &mut Ports) -> &mut u16 {
    match link {
        Link::CollectorExchange => &mut ports.simulator,
        Link::CollectorBroker | Link::HotStorageBroker | Link::ColdStorageBroker => &mut ports.nats,
        Link::HotStorageEngine | Link::ColdStorageHotEngine => &mut ports.clickhouse_hot,
        Link::ColdStorageColdEngine => &mut ports.clickhouse_cold,
    }
}
