//! From Alertmanager to people: its webhook in, a chat robot's message out.
//!
//! `POST /dingtalk/{target}/send` answers only when the robot has taken the message, so an alert belongs to Alertmanager until it
//! arrived: 200 delivered, 5xx send it again, 4xx an operator must change something. Nothing is stored here, and nothing is lost in
//! silence: whatever was not delivered is in the answer, a metric, the log with the alert's name, and the health check.

mod config;
mod courier;
mod markup;
mod message;
mod robot;
mod test_alert;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use marketprism_service::{Report, Service};
use tokio::sync::{mpsc, oneshot};

pub(crate) use config::BridgeConfig;
pub(crate) use test_alert::{TestAlertArgs, run as run_test_alert};

use crate::metrics::TargetMetrics;
use courier::{Courier, Outcome, Waiting};
use robot::Robot;
use webhook::Notification;

/// Notifications that wait for one robot. Alertmanager waits 30 s for an answer, in which 10 messages leave, each grouping all that
/// wait: only a flood of more than a hundred groups fills it, and then Alertmanager is told to come again.
const WAITING_MAX: usize = 100;
/// Bytes of one webhook: some 2,000 alerts with our annotations.
const WEBHOOK_BYTES_MAX: usize = 4 << 20;

type Answer = (StatusCode, String);

/// What is known of a target while it serves.
#[derive(Debug)]
struct Target {
    /// `None` where the target has no address.
    queue: Option<mpsc::Sender<Waiting>>,
    metrics: TargetMetrics,
}

type Targets = Arc<BTreeMap<String, Target>>;

/// The bridge's routes; registers a courier for each target.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn routes(config: &BridgeConfig, service: &Service) -> Result<Router, Report> {
    TargetMetrics::describe();
    let mut targets = BTreeMap::new();
    for (name, target) in &config.targets {
        let metrics = TargetMetrics::new_with_labels(&[("target", name.clone())]);
        let check = service.health().check(format!("bridge {name}"));
        let queue = match Robot::new(target)? {
            None => {
                check.degraded(format!(
                    "bridge.targets.{name}.url is not set: alerts for it are refused, and stay in Alertmanager"
                ));
                None
            }
            Some(robot) => {
                let (queue, waiting) = mpsc::channel(WAITING_MAX);
                let per_minute = target.messages_per_minute_max;
                let courier = Courier::new(name.clone(), robot, per_minute, check, metrics.clone());
                service.stage(format!("bridge {name}"), courier.run(waiting));
                Some(queue)
            }
        };
        targets.insert(name.clone(), Target { queue, metrics });
    }
    Ok(Router::new()
        .route("/dingtalk/{target}/send", post(receive))
        .layer(DefaultBodyLimit::max(WEBHOOK_BYTES_MAX))
        .with_state(Arc::new(targets)))
}

async fn receive(State(targets): State<Targets>, Path(name): Path<String>, body: Bytes) -> Answer {
    let Some(target) = targets.get(&name) else {
        let known: Vec<_> = targets.keys().map(String::as_str).collect();
        let text = format!("target: `{name}`: is none of bridge.targets: {}", known.join(", "));
        tracing::error!(target = name, "a notification for a target that is not configured");
        return (StatusCode::NOT_FOUND, text);
    };
    target.metrics.notifications_received_total.increment(1);
    let mut json = serde_json::Deserializer::from_slice(&body);
    let notification: Notification = match serde_path_to_error::deserialize(&mut json) {
        Ok(notification) => notification,
        Err(error) => {
            target.metrics.notifications_invalid_total.increment(1);
            tracing::error!(target = name, %error, "what was posted is not Alertmanager's webhook");
            return (StatusCode::BAD_REQUEST, format!("not Alertmanager's webhook: {error}"));
        }
    };
    let Some(queue) = &target.queue else {
        let alert = notification.alert_name();
        target.metrics.notifications_failed_total.increment(1);
        tracing::error!(target = name, alert, "this alert was not delivered: the target has no address");
        return (StatusCode::FAILED_DEPENDENCY, format!("bridge.targets.{name}.url is not set"));
    };
    let (answer, outcome) = oneshot::channel();
    if let Err(refused) = queue.try_send(Waiting { notification, answer }) {
        target.metrics.notifications_failed_total.increment(1);
        let (mpsc::error::TrySendError::Full(waiting) | mpsc::error::TrySendError::Closed(waiting)) = refused;
        let alert = waiting.notification.alert_name();
        tracing::error!(target = name, alert, "this alert was not delivered: too many wait");
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{WAITING_MAX} notifications wait already"));
    }
    match outcome.await {
        Ok(Outcome::Delivered) => (StatusCode::OK, "delivered".to_owned()),
        Ok(Outcome::Failed(error)) => (StatusCode::BAD_GATEWAY, error),
        Ok(Outcome::Refused(error)) => (StatusCode::FAILED_DEPENDENCY, error),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the bridge is stopping".to_owned()),
    }
}
