//! Deribit's paths.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{self, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use tokio::time::Instant;

use super::methods;
use super::rpc::{self, Method, Parameters, Query, RpcError};
use super::session::Client;
use crate::exchange::Exchange;
use crate::fault::Selector;
use crate::hub::Hub;
use crate::lock::lock;
use crate::server::{Sockets, upgrade};

/// Connections of one address at a time; everybody here has the same one.
const CONNECTIONS_MAX: usize = 32;

pub(crate) fn sockets(sockets: &Sockets) -> Router<Arc<Hub>> {
    let sockets = sockets.clone();
    let handshake = move |State(hub): State<Arc<Hub>>, handshake: WebSocketUpgrade| async move {
        let everyone = Selector { exchange: Some(Exchange::Deribit), ..Selector::default() };
        if hub.connections.selected(&everyone).len() >= CONNECTIONS_MAX {
            hub.count_request("handshake refused");
            return StatusCode::TOO_MANY_REQUESTS.into_response();
        }
        let client = Client::new(&hub.limits, Instant::now());
        upgrade(hub, sockets, handshake, Exchange::Deribit, None, client).await
    };
    Router::new().route("/ws/api/v2", get(handshake))
}

pub(crate) fn rest() -> Router<Arc<Hub>> {
    Router::new().route("/api/v2/public/{method}", get(answer))
}

async fn answer(
    State(hub): State<Arc<Hub>>,
    Path(method): Path<String>,
    extract::Query(parameters): extract::Query<HashMap<String, String>>,
) -> Response {
    hub.count_request("/api/v2/public");
    let received_us = hub.now_us(Exchange::Deribit);
    let outcome = match Query::named(&method) {
        None => Err(RpcError::method_not_found()),
        Some(query) if !lock(&hub.deribit.rest_credits).spend(Method::Query(query), Instant::now()) => {
            Err(RpcError::too_many_requests())
        }
        Some(query) => methods::call(&hub, query, &Parameters::of_query(&parameters)),
    };
    let status = match &outcome {
        Ok(_) => StatusCode::OK,
        Err(error) if *error == RpcError::too_many_requests() => StatusCode::TOO_MANY_REQUESTS,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let body = rpc::answer(&Value::Null, &outcome, received_us, hub.now_us(Exchange::Deribit));
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
