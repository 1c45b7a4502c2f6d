//! `POST /login`: a password for a token, so that a script need not send the password each time.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::guard::now_seconds;
use crate::envelope::{ErrorCode, Failure};
use crate::sources::Sources;

/// Who wants a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    username: String,
    password: String,
}

/// The token, for `Authorization: Bearer`.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginAnswer {
    success: bool,
    token: String,
    /// Seconds until it is good no more.
    expires_in: u64,
    /// Always `Bearer`.
    token_type: &'static str,
}

/// Get a token for the user's password.
#[utoipa::path(
    post, path = "/login", tag = "login", security(()), request_body = LoginRequest,
    responses(
        (status = 200, description = "A token", body = LoginAnswer),
        (status = 400, description = "Not a user name and a password", body = Failure),
        (status = 401, description = "Wrong ones, or none are set", body = Failure),
    )
)]
pub(crate) async fn login(
    State(sources): State<Arc<Sources>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Response {
    let mut json = serde_json::Deserializer::from_slice(&body);
    let request: LoginRequest = match serde_path_to_error::deserialize(&mut json) {
        Ok(request) => request,
        Err(error) => {
            // Its value is not repeated: it may be a password.
            let field = error.path().to_string();
            let message = format!("not {{\"username\": …, \"password\": …}}: {}", error.into_inner());
            return Failure::new(ErrorCode::InvalidParameters, message).with("field", field).into_response();
        }
    };
    let guard = &sources.guard;
    match &guard.credentials {
        Some(credentials) if credentials.is_user(&request.username, &request.password) => {
            let (token, session) = credentials.token(now_seconds());
            let expires_in = session.as_secs();
            Json(LoginAnswer { success: true, token, expires_in, token_type: "Bearer" }).into_response()
        }
        _ => guard.refuse(peer).into_response(),
    }
}
