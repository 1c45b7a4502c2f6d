//! Deribit's paths.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use tokio::time::Instant;

use super::methods;
use super::rpc::{self, Method, Parameters, RpcError};
use super::session::Client;
use crate::exchange::Exchange;
use crate::hub::Hub;
use crate::lock::lock;
use crate::server::{Sockets, upgrade};

pub(crate) fn sockets(sockets: &Sockets) -> Router<Arc<Hub>> {
    let sockets = sockets.clone();
    let handshake = move |State(hub): State<Arc<Hub>>, handshake: WebSocketUpgrade| async move {
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
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    hub.count_request("/api/v2/public");
    let received_us = hub.now_us(Exchange::Deribit);
    let outcome = match Method::named(&method) {
        None => Err(RpcError::method_not_found()),
        Some(method) if !lock(&hub.deribit.rest_credits).spend(method, Instant::now()) => {
            Err(RpcError::too_many_requests())
        }
        Some(method) => methods::call(&hub, method, &Parameters::of_query(&query)),
    };
    let status = match &outcome {
        Ok(_) => StatusCode::OK,
        Err(error) if *error == RpcError::too_many_requests() => StatusCode::TOO_MANY_REQUESTS,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let body = rpc::answer(&Value::Null, &outcome, received_us, hub.now_us(Exchange::Deribit));
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
