//! The plainest client: POST and look.

use marketprism_testkit::ClickHouse;
use reqwest::header::HeaderMap;

pub(crate) struct Client {
    pub(crate) server: ClickHouse,
    http: reqwest::Client,
    /// Whether it sends the server's password.
    signs: bool,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn start() -> Self {
        Self::of(ClickHouse::start())
    }

    pub(crate) fn of(server: ClickHouse) -> Self {
        Self { signs: true, ..Self::without_password(server) }
    }

    /// A client that knows no password.
    pub(crate) fn without_password(server: ClickHouse) -> Self {
        Self { server, signs: false, http: http() }
    }

    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        parameters: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request =
            self.http.request(method, format!("{}/?{parameters}", self.server.url())).body(body);
        if self.signs {
            request = request.header("x-clickhouse-key", self.server.password());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// As a program of the machine does that knows no password.
    pub(crate) async fn send_without_password(
        &self,
        method: reqwest::Method,
        parameters: &str,
        body: String,
    ) -> Answer {
        let request = self.http.request(method, format!("{}/?{parameters}", self.server.url())).body(body);
        answer(request).await
    }

    pub(crate) async fn post(&self, parameters: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(reqwest::Method::POST, parameters, &[], body).await
    }

    /// Runs a statement that has to succeed.
    pub(crate) async fn run(&self, sql: &str) -> String {
        let answer = self.post("", sql.to_owned()).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.text()
    }

    /// Runs a statement that has to fail, and returns code and text.
    pub(crate) async fn fail(&self, parameters: &str, body: impl Into<reqwest::Body>) -> (u32, String) {
        let answer = self.post(parameters, body).await;
        assert_ne!(answer.status, 200, "{}", answer.text());
        (answer.header("x-clickhouse-exception-code").parse().unwrap(), answer.text())
    }

    /// The rows of a table.
    pub(crate) async fn count(&self, table: &str) -> u64 {
        self.run(&format!("SELECT count() FROM {table}")).await.trim().parse().unwrap()
    }
}

/// A client of the library; every request has a connection of its own.
pub(crate) fn http() -> reqwest::Client {
    // The platform's trust is never asked: every address is http.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).tcp_nodelay(true).build().unwrap()
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

/// For a `query=` parameter.
pub(crate) fn query(sql: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("query", sql).finish()
}
