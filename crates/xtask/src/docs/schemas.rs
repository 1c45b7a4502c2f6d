//! The JSON Schema of every message: `docs/reference/schemas/<data_type>.json`.

use super::Page;
use crate::Failure;

pub(super) fn pages() -> Result<Vec<Page>, Failure> {
    let mut pages = Vec::new();
    for (data_type, schema) in marketprism_core::schema::all() {
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        pages.push(Page { path: format!("schemas/{data_type}.json").into(), text });
    }
    Ok(pages)
}
