//! The way to an exchange: straight, or through an HTTP proxy (CONNECT) that the configuration or the environment names.

use std::sync::Arc;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use marketprism_service::{Context, Report, Secret};
use tokio::net::TcpStream;
use tower_service::Service;
use url::Url;

/// Which proxy, if any, leads to an address.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// From the configuration: for everything. Credentials inside are never printed.
    configured: Option<Secret>,
    matcher: Arc<Matcher>,
}

impl Way {
    /// The configured proxy, an `http://` URL; without one what `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`
    /// say.
    pub(crate) fn new(configured: Option<&Secret>) -> Self {
        let matcher = match configured {
            Some(proxy) => Matcher::builder().all(proxy.expose()).build(),
            None => Matcher::from_env(),
        };
        Self { configured: configured.cloned(), matcher: Arc::new(matcher) }
    }

    /// Lets the HTTP client take the same way.
    pub(crate) fn of_http(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, Report> {
        match &self.configured {
            // Without a proxy of ours it reads the same variables of the environment itself.
            None => Ok(builder),
            Some(proxy) => {
                // The library's error would print the URL, and with it the password.
                let proxy = reqwest::Proxy::all(proxy.expose())
                    .map_err(|_| Report::message("the configured proxy is no URL of a proxy"))?;
                Ok(builder.proxy(proxy))
            }
        }
    }

    /// Host and port of the proxy that leads to `url`; `None` where the way is straight.
    pub(crate) fn proxy_to(&self, url: &str) -> Option<String> {
        let proxy = self.matcher.intercept(&url.parse().ok()?)?;
        Some(proxy.uri().authority()?.to_string())
    }

    /// Opens a connection to the host and port of a WebSocket URL; TLS and handshake are not done yet.
    pub(crate) async fn connect(&self, url: &Url) -> Result<TcpStream, Report> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Report::message(format!("{url} has no host and port")));
        };
        // Proxies are chosen by the schemes that they know.
        let scheme = if url.scheme() == "wss" { "https" } else { "http" };
        let target: hyper::Uri =
            format!("{scheme}://{host}:{port}").parse().context("the URL cannot be connected to")?;
        let Some(proxy) = self.matcher.intercept(&target) else {
            if self.configured.is_some() {
                return Err(Report::message("the configured proxy is no URL of a proxy"));
            }
            return TcpStream::connect((host.trim_matches(['[', ']']), port))
                .await
                .context(format_args!("failed to connect to {host}:{port}"));
        };
        let address = proxy.uri().authority().map_or("", |authority| authority.as_str());
        if proxy.uri().scheme_str() != Some("http") {
            let scheme = proxy.uri().scheme_str().unwrap_or_default();
            return Err(Report::message(format!(
                "proxy {scheme}://{address} cannot carry WebSockets: only http:// proxies with CONNECT can"
            )));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let stream = tunnel
            .call(target)
            .await
            .context(format_args!("proxy {address} gives no connection to {host}:{port}"))?;
        Ok(TokioIo::into_inner(stream))
    }
}
