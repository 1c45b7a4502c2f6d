//! A stand-in for DingTalk's robots: checks signatures as its documentation says, answers errors when told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::task::JoinSet;

/// The secret that it checks signatures with.
pub const ROBOT_SECRET: &str = "SEC-of-the-stand-in";

#[derive(Debug, Default)]
struct Seen {
    /// What to answer, in order; without any, what the documentation says.
    orders: VecDeque<(u16, Value)>,
    /// Every body, and whether its signature held.
    messages: Vec<(Value, bool)>,
}

/// A robot on a free port.
#[derive(Debug)]
pub struct Robot {
    /// Its address, with an access token in it.
    pub url: String,
    seen: Arc<Mutex<Seen>>,
    _serving: JoinSet<()>,
}

impl Robot {
    /// Starts it.
    pub async fn start() -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let routes = Router::new().route("/robot/send", post(receive)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/robot/send?access_token=hidden", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, seen, _serving: serving }
    }

    /// The next message is answered so.
    pub fn answer(&self, status: u16, body: Value) {
        self.seen.lock().unwrap().orders.push_back((status, body));
    }

    /// What was taken and what was refused, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        assert!(seen.messages.iter().all(|(_, is_signed)| *is_signed), "a signature does not hold");
        seen.messages.iter().map(|(body, _)| body["markdown"].clone()).collect()
    }
}

type Pairs = Vec<(String, String)>;

async fn receive(
    State(seen): State<Arc<Mutex<Seen>>>,
    Query(query): Query<Pairs>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let is_signed = is_signed(&query);
    let mut seen = seen.lock().unwrap();
    seen.messages.push((body, is_signed));
    let answer = if is_signed {
        seen.orders.pop_front().unwrap_or((200, json!({"errcode": 0, "errmsg": "ok"})))
    } else {
        (200, json!({"errcode": 310_000, "errmsg": "sign not match"}))
    };
    (StatusCode::from_u16(answer.0).unwrap(), Json(answer.1))
}

/// `timestamp` within the hour, `sign` the base64 of HMAC-SHA256 over `timestamp\nsecret`.
fn is_signed(query: &Pairs) -> bool {
    let field = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (Some(timestamp), Some(sign)) = (field("timestamp"), field("sign")) else { return false };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let is_fresh = timestamp.parse::<u128>().is_ok_and(|at| at.abs_diff(now) < 3_600_000);
    let mut mac = Hmac::<Sha256>::new_from_slice(ROBOT_SECRET.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{ROBOT_SECRET}").as_bytes());
    is_fresh && STANDARD.encode(mac.finalize().into_bytes()) == sign
}
