//! What a service says of itself: named checks, each set by the part it is about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

/// How well something is; ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does its work.
    Healthy,
    /// It does its work, but not all of it or not well.
    Degraded,
    /// It does not do its work.
    Unhealthy,
}

#[derive(Debug, Clone, Serialize)]
struct State {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

/// The body of `/health`. The status comes first: scripts of operators read no further.
#[derive(Debug, Serialize)]
pub struct Body {
    status: Status,
    service: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    checks: BTreeMap<String, State>,
    #[serde(flatten)]
    sections: BTreeMap<&'static str, Value>,
}

#[derive(Debug)]
struct Shared {
    service: &'static str,
    version: &'static str,
    started: Instant,
    /// Bounded by the names in the code: a check is named for a part, never for a symbol or a connection.
    checks: Mutex<BTreeMap<String, State>>,
    /// Bounded by the names in the code.
    sections: Mutex<BTreeMap<&'static str, Value>>,
}

/// The checks of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<Shared>);

impl Health {
    pub(crate) fn new(service: &'static str, version: &'static str) -> Self {
        Self(Arc::new(Shared {
            service,
            version,
            started: Instant::now(),
            checks: Mutex::default(),
            sections: Mutex::default(),
        }))
    }

    /// The check called `name`; unhealthy until it is first set, so that nothing is healthy unseen.
    #[must_use]
    pub fn check(&self, name: impl Into<String>) -> Check {
        let name = name.into();
        let unset =
            State { status: Status::Unhealthy, reason: Some("not checked yet".to_owned()), details: None };
        self.checks().entry(name.clone()).or_insert(unset);
        Check { health: self.clone(), name }
    }

    /// Shows facts under a name of their own beside `checks`, until they are replaced. They decide nothing.
    pub fn section(&self, name: &'static str, facts: Value) {
        self.0.sections.lock().unwrap_or_else(PoisonError::into_inner).insert(name, facts);
    }

    /// Forgets a check: the part it is about is no longer wanted.
    pub fn forget(&self, name: &str) {
        self.checks().remove(name);
    }

    /// The worst status of all checks.
    pub fn status(&self) -> Status {
        worst(&self.checks())
    }

    /// The worst status, and the body of `/health`.
    pub fn body(&self) -> (Status, Body) {
        let checks = self.checks().clone();
        let status = worst(&checks);
        let body = Body {
            status,
            service: self.0.service,
            version: self.0.version,
            uptime_seconds: self.0.started.elapsed().as_secs(),
            checks,
            sections: self.0.sections.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        (status, body)
    }

    fn checks(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing checked is not healthy.
fn worst(checks: &BTreeMap<String, State>) -> Status {
    checks.values().map(|state| state.status).max().unwrap_or(Status::Unhealthy)
}

/// One named check. Whoever holds it reports on it.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    name: String,
}

impl Check {
    /// All is well.
    pub fn healthy(&self) {
        self.set(Status::Healthy, None);
    }

    /// It works, but `reason`.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(Status::Degraded, Some(reason.into()));
    }

    /// It does not work: `reason`.
    pub fn unhealthy(&self, reason: impl Into<String>) {
        self.set(Status::Unhealthy, Some(reason.into()));
    }

    /// Facts to show beside the status, whatever it is; they stay until replaced.
    pub fn details(&self, details: Value) {
        if let Some(state) = self.health.checks().get_mut(&self.name) {
            state.details = Some(details);
        }
    }

    fn set(&self, status: Status, reason: Option<String>) {
        let mut checks = self.health.checks();
        let Some(state) = checks.get_mut(&self.name) else { return };
        if state.status != status {
            tracing::info!(check = self.name, from = ?state.status, to = ?status, reason, "health changed");
        }
        state.status = status;
        state.reason = reason;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_worst_check_decides_and_an_unset_one_is_unhealthy() {
        let health = Health::new("tiny", "1.2.3");
        assert_eq!(health.status(), Status::Unhealthy, "nothing checked is not healthy");
        let nats = health.check("nats");
        assert_eq!(health.status(), Status::Unhealthy);
        nats.healthy();
        let books = health.check("orderbook");
        books.degraded("resync");
        books.details(json!({"books": 3}));
        health.section("coverage", json!({"orderbook": 3}));
        let body = serde_json::to_string(&health.body().1).unwrap();
        assert!(body.starts_with(r#"{"status":"degraded","service":"tiny","version":"1.2.3","#), "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body["checks"]["orderbook"],
            json!({"status": "degraded", "reason": "resync", "details": {"books": 3}})
        );
        assert_eq!(body["checks"]["nats"], json!({"status": "healthy"}));
        assert_eq!(body["coverage"], json!({"orderbook": 3}));
        health.forget("orderbook");
        assert_eq!(health.status(), Status::Healthy);
    }
}
