//! The API of the monitoring service: `docs/reference/openapi.json`, as the service prints it.

use super::Page;
use super::configuration::printed;
use crate::Failure;

/// Needs the service to be built, which the page of the configuration does.
pub(super) fn page() -> Result<Page, Failure> {
    Ok(Page { path: "openapi.json".into(), text: printed("monitoring", "openapi")? })
}
