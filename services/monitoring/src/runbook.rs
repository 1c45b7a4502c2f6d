//! The runbook as a page, so that the link in an alert leads somewhere at night, with nothing but this service running.

use axum::response::Html;
use comrak::{Options, markdown_to_html};

/// As it was when this was built.
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

/// Read the runbook; each heading has the anchor that it has on GitHub.
#[utoipa::path(
    get, path = "/runbook", tag = "about",
    responses((status = 200, description = "As it was when this was built", content_type = "text/html", body = String))
)]
pub(crate) async fn page() -> Html<String> {
    let mut options = Options::default();
    options.extension.header_id_prefix = Some(String::new());
    options.extension.table = true;
    let body = markdown_to_html(RUNBOOK, &options);
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>MarketPrism runbook</title><link rel=\"icon\" href=\"icon.svg\"><style>\
         :root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         pre,code{{font:14px ui-monospace,monospace}}pre{{overflow-x:auto}}td,th{{padding:.2rem .6rem;text-align:left;vertical-align:top}}\
         h2:target,h3:target,:has(>:target){{background:color-mix(in srgb,currentColor 12%,transparent)}}\
         </style><p><a href=\"./\">Console</a></p>{body}</html>"
    ))
}
