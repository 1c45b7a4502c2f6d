//! The web console's files: everything below `web/`, in the binary. What they show comes from the API and `live`.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// Compiled in; a debug build reads the folder instead, so that a page can be worked on while the service runs.
#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// The file that the path names; `/` is `index.html`.
pub(crate) async fn file(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = match request.uri().path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = Files::get(path) else { return StatusCode::NOT_FOUND.into_response() };
    let hash: String = file.metadata.sha256_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{hash}\"");
    // Asked for each time, sent only when it changed: a new release is seen at once.
    let headers = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, etag.clone())];
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, file.metadata.mimetype().to_owned())], file.data).into_response()
}
