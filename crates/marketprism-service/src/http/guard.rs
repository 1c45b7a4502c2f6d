//! Whether a foreign web page sends a request. A browser sends what any page tells it to, from its user's own machine and network, so a
//! listener on loopback is open to every page that its user looks at, unless it looks at what the browser says of the page.
//!
//! Three headers say it, and no page can forge them. `Origin` names the page that asks. `Sec-Fetch-Site` says whether that page is of this
//! site. `Host` is the name by which we were found: a page can have its own name resolve to our address (DNS rebinding) and is then of one
//! origin with us, but it cannot make its name one of ours. A request without `Host` (HTTP/1.0 of a load balancer's probe) is answered:
//! every browser sends one.

use std::fmt;
use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::config::HostNames;

/// Whose requests a path answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visitors {
    /// Programs, and the listener's own pages.
    Own,
    /// Those, and people who follow a link of another page (a chat, a dashboard) to this one: it is shown to them, and the other page sees
    /// nothing of it.
    Linked,
    /// Everyone: nothing there harms or reveals anything.
    Anyone,
}

/// The rules of a listener.
#[derive(Debug, Clone)]
pub struct PageGuard {
    hosts: HostNames,
    visitors: fn(&str) -> Visitors,
    refusal: fn(&Foreign) -> Response<Body>,
}

/// Why a request is refused; its text names the header, its value, and what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Another page asks; its origin.
    Origin(String),
    /// A page of another site asks; the value of `Sec-Fetch-Site`.
    FetchSite(String),
    /// We are called by a name that is not ours.
    Host(String),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => write!(f, "Origin: `{origin}`: a page of another origin may not ask"),
            Self::FetchSite(site) => {
                write!(f, "Sec-Fetch-Site: `{site}`: a page of another site may not ask")
            }
            Self::Host(host) => write!(
                f,
                "Host: `{host}`: this is neither an address nor localhost nor one of admin.hosts; add the name to admin.hosts if this \
                 service is reached by it"
            ),
        }
    }
}

impl Foreign {
    /// The value of the metric's label `reason`.
    pub(super) const fn header(&self) -> &'static str {
        match self {
            Self::Origin(_) => "origin",
            Self::FetchSite(_) => "sec_fetch_site",
            Self::Host(_) => "host",
        }
    }
}

impl PageGuard {
    /// Every path answers its own pages only; by these names, by `localhost` and by addresses.
    #[must_use]
    pub fn new(hosts: HostNames) -> Self {
        Self { hosts, visitors: |_| Visitors::Own, refusal: plain }
    }

    /// Paths differ in whose requests they answer.
    #[must_use]
    pub fn with_visitors(self, visitors: fn(path: &str) -> Visitors) -> Self {
        Self { visitors, ..self }
    }

    /// A refusal looks like the other answers of this listener; otherwise it is a plain sentence with status 403.
    #[must_use]
    pub fn with_refusal(self, refusal: fn(&Foreign) -> Response<Body>) -> Self {
        Self { refusal, ..self }
    }

    /// Whether the request may pass.
    ///
    /// # Errors
    /// Which header shows that a foreign page sent it.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Foreign> {
        let visitors = (self.visitors)(request.uri().path());
        if visitors == Visitors::Anyone {
            return Ok(());
        }
        let headers = request.headers();
        own_origin(headers)?;
        own_site(headers, visitors == Visitors::Linked && *request.method() == Method::GET)?;
        // A request line may name the host, too, and then both must be ours.
        if let Some(authority) = request.uri().authority() {
            self.own_host(authority.as_str())?;
        }
        headers.get_all(HOST).iter().try_for_each(|host| self.own_host(&text(host)))
    }

    pub(super) fn refusal(&self, foreign: &Foreign) -> Response<Body> {
        (self.refusal)(foreign)
    }

    fn own_host(&self, host: &str) -> Result<(), Foreign> {
        let name = without_port(host);
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if is_address || name.eq_ignore_ascii_case("localhost") || self.hosts.contains(name) {
            return Ok(());
        }
        Err(Foreign::Host(host.to_owned()))
    }
}

fn own_origin(headers: &HeaderMap) -> Result<(), Foreign> {
    let Some(origin) = headers.get(ORIGIN).map(text) else { return Ok(()) };
    let page = origin.split_once("://").map(|(_, host)| host);
    let host = headers.get(HOST).map(text);
    if page.is_some() && page == host.as_deref() {
        return Ok(());
    }
    Err(Foreign::Origin(origin))
}

/// `may_be_linked`: whether a person may come here by a link of another page.
fn own_site(headers: &HeaderMap, may_be_linked: bool) -> Result<(), Foreign> {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
    let Some(site) = headers.get("sec-fetch-site").map(text) else { return Ok(()) };
    let is_link = is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
    if matches!(site.as_str(), "none" | "same-origin") || (may_be_linked && is_link) {
        return Ok(());
    }
    Err(Foreign::FetchSite(site))
}

/// What is not ASCII stays visible in the refusal and equals nothing.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

fn plain(foreign: &Foreign) -> Response<Body> {
    let mut answer = Response::new(Body::from(format!("{foreign}\n")));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(visitors: fn(&str) -> Visitors, uri: &str, headers: &[(&str, &str)]) -> Result<(), Foreign> {
        let guard = PageGuard::new(HostNames::from_iter(["collector"])).with_visitors(visitors);
        let request =
            headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        guard.check(&request.body(()).unwrap())
    }

    #[test]
    fn only_addresses_localhost_and_configured_names_are_ours() {
        for host in [
            "127.0.0.1",
            "10.0.0.7:8087",
            "[::1]:8087",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "collector:9092",
            "Collector",
        ] {
            assert_eq!(check(|_| Visitors::Own, "/health", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8087",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "collector.x",
        ] {
            let refused = check(|_| Visitors::Own, "/health", &[("host", host)]).unwrap_err();
            assert_eq!(refused, Foreign::Host(host.to_owned()));
            assert!(refused.to_string().contains("admin.hosts") && refused.to_string().contains(host));
        }
        assert_eq!(check(|_| Visitors::Own, "/health", &[]), Ok(()), "HTTP/1.0 without Host is no browser");
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert!(check(|_| Visitors::Own, "/health", &two).is_err());
        assert!(check(|_| Visitors::Own, "http://evil.example/health", &[("host", "127.0.0.1")]).is_err());
    }

    #[test]
    fn only_the_own_pages_may_ask() {
        let own = |headers: &[(&str, &str)]| {
            let headers = [&[("host", "127.0.0.1:8082")], headers].concat();
            check(|_| Visitors::Own, "/", &headers)
        };
        assert_eq!(own(&[("origin", "http://127.0.0.1:8082")]), Ok(()));
        for origin in ["https://evil.example", "null", "http://127.0.0.1:9999", "127.0.0.1:8082", ""] {
            assert_eq!(own(&[("origin", origin)]), Err(Foreign::Origin(origin.to_owned())));
        }
        for (site, passes) in
            [("none", true), ("same-origin", true), ("same-site", false), ("cross-site", false), ("", false)]
        {
            assert_eq!(own(&[("sec-fetch-site", site)]).is_ok(), passes, "{site}");
        }
    }

    #[test]
    fn a_link_of_another_page_is_followed_where_people_look_and_nowhere_else() {
        let visitors = |path: &str| if path == "/runbook" { Visitors::Linked } else { Visitors::Own };
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(check(visitors, "/runbook", &link), Ok(()));
        assert!(check(visitors, "/api", &link).is_err());
        let frame =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert!(check(visitors, "/runbook", &frame).is_err());
        let image =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
        assert!(check(visitors, "/runbook", &image).is_err());
    }
}
