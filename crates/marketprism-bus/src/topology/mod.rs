//! The streams' configuration: compare what should be with what is, apply it without losing anything, verify it.
//!
//! Only broker-bootstrap calls [`plan`] and [`apply`]; every other service calls [`verify`] at its start. A stream is
//! never deleted, and a change after which the broker would drop messages is refused unless it is named.

mod compare;

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::Config;
use futures_util::TryStreamExt;
use marketprism_core::topology::{STREAMS, StreamSpec};

use crate::connect::Bus;
use crate::error::BusError;
pub use compare::Change;
use compare::{changes, target};

/// A stream as it should be: `core::topology` with the sizes of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredStream {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The subjects it takes.
    pub subjects: Vec<String>,
    /// Older messages are dropped.
    pub max_age: Duration,
    /// Beyond it the oldest messages are dropped, bytes.
    pub max_bytes: i64,
    /// Two messages with one id within it are one message.
    pub duplicate_window: Duration,
    /// Copies of each message: 1 on one server, 3 on a cluster.
    pub replicas: usize,
}

impl From<&StreamSpec> for DesiredStream {
    fn from(spec: &StreamSpec) -> Self {
        Self {
            name: spec.name.to_owned(),
            description: spec.description.to_owned(),
            subjects: spec.subjects(),
            max_age: Duration::from_secs(spec.max_age_seconds),
            max_bytes: spec.max_bytes,
            duplicate_window: Duration::from_secs(spec.duplicate_window_seconds),
            replicas: 1,
        }
    }
}

/// Every stream of MarketPrism with its default sizes.
#[must_use]
pub fn defaults() -> Vec<DesiredStream> {
    STREAMS.iter().map(DesiredStream::from).collect()
}

/// Changes that lose something and are made only when allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// Smaller limits, a shorter duplicate window, fewer replicas.
    pub shrink: bool,
    /// Giving up subjects of which the stream still holds messages.
    pub drop_subjects: bool,
}

impl Allow {
    /// The flag of broker-bootstrap behind `shrink`.
    pub const SHRINK_FLAG: &'static str = "--allow-shrink";
    /// The flag of broker-bootstrap behind `drop_subjects`.
    pub const DROP_SUBJECTS_FLAG: &'static str = "--allow-drop-subjects";
}

/// What is to be done with one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It does not exist.
    Create,
    /// It differs.
    Update,
    /// It is as it should be.
    Keep,
    /// It differs, and changing it would lose something.
    Refuse {
        /// What would be lost.
        reason: String,
        /// The flag that allows it, if one does.
        flag: Option<&'static str>,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Update => f.write_str("update"),
            Self::Keep => f.write_str("keep"),
            Self::Refuse { reason, flag: None } => write!(f, "refuse: {reason}"),
            Self::Refuse { reason, flag: Some(flag) } => write!(f, "refuse: {reason}; {flag} allows it"),
        }
    }
}

/// One stream of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The stream.
    pub stream: String,
    /// What is to be done.
    pub action: Action,
    /// What differs; for a new stream all that is set.
    pub changes: Vec<Change>,
    target: Config,
}

/// Compares the streams with the broker. Changes nothing.
///
/// # Errors
/// [`BusError::Request`] when the broker does not answer.
pub async fn plan(bus: &Bus, desired: &[DesiredStream], allow: Allow) -> Result<Vec<Step>, BusError> {
    let mut steps = Vec::with_capacity(desired.len());
    for stream in desired {
        steps.push(plan_one(bus, stream, allow).await?);
    }
    Ok(steps)
}

async fn plan_one(bus: &Bus, desired: &DesiredStream, allow: Allow) -> Result<Step, BusError> {
    let info = bus.stream_info(&desired.name).await?;
    let actual = info.as_ref().map(|info| &info.config);
    let changes = changes(actual, desired);
    let target = target(actual, desired);
    let refuse = |reason: String, flag| Action::Refuse { reason, flag };
    let action = if changes.is_empty() {
        Action::Keep
    } else if let Some(other) = taken_by_another(bus, desired).await? {
        refuse(format!("stream {other} already takes some of its subjects"), None)
    } else if let Some(change) = changes.iter().find(|change| change.impossible) {
        refuse(format!("{} of an existing stream cannot be changed without deleting it", change.field), None)
    } else if let Some((subject, messages)) = held_by_removed_subject(bus, actual, desired).await?
        && !allow.drop_subjects
    {
        refuse(
            format!("{messages} messages of {subject} would be left behind"),
            Some(Allow::DROP_SUBJECTS_FLAG),
        )
    } else if let Some(change) = changes.iter().find(|change| change.shrinks && actual.is_some())
        && !allow.shrink
    {
        refuse(format!("a smaller {} may drop messages", change.field), Some(Allow::SHRINK_FLAG))
    } else if actual.is_some() {
        Action::Update
    } else {
        Action::Create
    };
    Ok(Step { stream: desired.name.clone(), action, changes, target })
}

/// Another stream whose subjects overlap with ours: the broker would refuse ours.
async fn taken_by_another(bus: &Bus, desired: &DesiredStream) -> Result<Option<String>, BusError> {
    let failed = |error| BusError::request("list the streams", error);
    let mut streams = bus.jetstream.streams();
    while let Some(info) = streams.try_next().await.map_err(failed)? {
        let overlap = |theirs: &String| desired.subjects.iter().any(|ours| compare::overlap(ours, theirs));
        if info.config.name != desired.name && info.config.subjects.iter().any(overlap) {
            return Ok(Some(info.config.name));
        }
    }
    Ok(None)
}

/// A subject that the stream takes, should no longer take, and holds messages of.
async fn held_by_removed_subject(
    bus: &Bus,
    actual: Option<&Config>,
    desired: &DesiredStream,
) -> Result<Option<(String, usize)>, BusError> {
    let Some(actual) = actual else { return Ok(None) };
    for removed in actual.subjects.iter().filter(|subject| !desired.subjects.contains(subject)) {
        let Some(handle) = bus.stream_handle(&desired.name).await? else { return Ok(None) };
        let operation = || format!("count the messages of {removed} in {}", desired.name);
        let mut subjects = handle
            .info_with_subjects(removed)
            .await
            .map_err(|error| BusError::request(operation(), error))?;
        let mut messages = 0;
        while let Some((_, count)) =
            subjects.try_next().await.map_err(|error| BusError::request(operation(), error))?
        {
            messages += count;
        }
        if messages > 0 {
            return Ok(Some((removed.clone(), messages)));
        }
    }
    Ok(None)
}

/// Whether the plan can be carried out.
///
/// # Errors
/// [`BusError::Refused`] for its first refused step.
pub fn check(steps: &[Step]) -> Result<(), BusError> {
    let refusal = steps.iter().find_map(|step| match &step.action {
        Action::Refuse { reason, flag } => Some((step, reason, flag)),
        Action::Create | Action::Update | Action::Keep => None,
    });
    let Some((step, reason, flag)) = refusal else { return Ok(()) };
    let reason = flag.map_or_else(|| reason.clone(), |flag| format!("{reason}; {flag} allows it"));
    Err(BusError::Refused { stream: step.stream.clone(), reason })
}

/// Carries out a plan; what it creates or changes is logged. All of it or, when a step is refused, nothing.
///
/// # Errors
/// [`BusError::Refused`] for the first refused step; [`BusError::Request`] when the broker does not do a step, in
/// which case the steps before it are done and the next run goes on from there.
pub async fn apply(bus: &Bus, steps: &[Step]) -> Result<(), BusError> {
    check(steps)?;
    for step in steps {
        match step.action {
            Action::Create => {
                bus.jetstream.create_stream(&step.target).await.map_err(|error| not_done(step, error))?;
                tracing::info!(stream = step.stream, "stream created");
            }
            Action::Update => {
                bus.jetstream.update_stream(&step.target).await.map_err(|error| not_done(step, error))?;
                for change in &step.changes {
                    tracing::info!(stream = step.stream, %change, "stream changed");
                }
            }
            Action::Keep | Action::Refuse { .. } => {}
        }
    }
    Ok(())
}

fn not_done(step: &Step, error: CreateStreamError) -> BusError {
    let no_room = matches!(
        error.kind(),
        CreateStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED
    );
    let hint = if no_room { " (raise max_file of the broker, or lower the stream's max_bytes)" } else { "" };
    BusError::request(format!("{} stream {}{hint}", step.action, step.stream), error)
}

/// Checks that the named streams are there and as this version needs them: subjects, file storage, limits retention,
/// duplicate window. Sizes, ages and replicas are the operator's business.
///
/// # Errors
/// [`BusError::StreamMissing`] or [`BusError::StreamDiffers`], which say what to run.
pub async fn verify(bus: &Bus, streams: &[&str]) -> Result<(), BusError> {
    for desired in defaults().iter().filter(|desired| streams.contains(&desired.name.as_str())) {
        let info = bus
            .stream_info(&desired.name)
            .await?
            .ok_or_else(|| BusError::StreamMissing(desired.name.clone()))?;
        if let Some(difference) = compare::incompatible(&info.config, desired) {
            return Err(BusError::StreamDiffers { stream: desired.name.clone(), difference });
        }
    }
    Ok(())
}
