//! Whom the answers come from: what every handler may ask.

use std::sync::Arc;

use marketprism_service::Health;

use crate::auth::Guard;
use crate::live::Live;
use crate::upstream::{Alertmanager, Prometheus};

/// The state of all routes of the console's listener.
pub(crate) struct Sources {
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Alertmanager,
    /// The pipeline itself: services, broker, both tiers.
    pub(crate) live: Live,
    /// This service's own.
    pub(crate) health: Health,
    pub(crate) guard: Arc<Guard>,
}
