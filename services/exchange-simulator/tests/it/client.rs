//! What every test needs: a simulator on a free port, and clients of it with deadlines.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use marketprism_exchange_simulator::{Simulator, SimulatorConfig};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

/// No step of any test takes nearly as long; a test that hangs fails here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A running simulator, ended with its test.
pub(crate) struct Running {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) http: reqwest::Client,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    /// Small and quick unless `change` says otherwise.
    pub(crate) async fn start(change: impl FnOnce(&mut SimulatorConfig)) -> Self {
        // The HTTP client wants a provider even for plain HTTP; a second test finds one installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut config = SimulatorConfig { listen: ([127, 0, 0, 1], 0).into(), ..SimulatorConfig::default() };
        change(&mut config);
        let simulator = Simulator::bind(&config).await.unwrap();
        let address = simulator.address();
        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let child = token.child_token();
        tasks.spawn(async move { simulator.run(child).await.unwrap() });
        Self { address, http: reqwest::Client::builder().no_proxy().build().unwrap(), token, tasks }
    }

    /// Ends it in order; the ledger is complete then.
    pub(crate) async fn stop(mut self) {
        self.token.cancel();
        timeout(DEADLINE, self.tasks.join_next()).await.expect("the simulator did not end").unwrap().unwrap();
    }

    pub(crate) async fn connect(&self, path: &str) -> Socket {
        let url = format!("ws://{}{path}", self.address);
        Socket(timeout(DEADLINE, connect_async(url)).await.unwrap().unwrap().0)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.address);
        timeout(DEADLINE, self.http.get(url).send()).await.unwrap().unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) async fn status(&self) -> Value {
        self.json("/control/status").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let answer = self.http.post(url).body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn fault(&self, fault: Value) -> Value {
        let (status, answer) = self.post("/control/fault", &fault).await;
        assert_eq!(status, 200, "{fault}: {answer}");
        answer
    }

    /// Asks for the status until `done` likes it.
    pub(crate) async fn status_until(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let polling = async {
            loop {
                let status = self.status().await;
                if done(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, polling).await.unwrap_or_else(|_| panic!("never happened: {what}"))
    }
}

/// A client's socket.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn send(&mut self, request: Value) {
        self.0.send(Message::Text(request.to_string().into())).await.unwrap();
    }

    /// The next text frame as JSON; `None` when the connection is over.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        self.next_text().await.map(|text| serde_json::from_str(&text).expect("a frame that is not JSON"))
    }

    pub(crate) async fn next_text(&mut self) -> Option<String> {
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("no frame in time") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The code of the Close frame that must come.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("no Close in time") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no Close: {other:?}"),
            }
        }
    }

    /// The next frame that `wanted` likes.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().await.expect("the connection ended");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, names: &[&str]) {
        self.send(json!({ "method": "SUBSCRIBE", "params": names, "id": 1 })).await;
        self.until(|frame| frame["id"] == 1 && frame["result"].is_null()).await;
    }
}
