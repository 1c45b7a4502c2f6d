//! A stream as it is against a stream as it should be. Pure: no broker.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::DesiredStream;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The stream's setting, in the broker's words.
    pub field: &'static str,
    /// What it is; empty for a new stream.
    pub actual: String,
    /// What it should be.
    pub desired: String,
    /// Whether the broker may drop messages, or forget ids, because of it.
    pub shrinks: bool,
    /// Whether no broker can do it to an existing stream.
    pub impossible: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actual.is_empty() {
            write!(f, "{} = {}", self.field, self.desired)
        } else {
            write!(f, "{}: {} -> {}", self.field, self.actual, self.desired)
        }
    }
}

/// The configuration to send: what the stream has, with the settings that are ours. Settings that are not ours
/// (placement, compression, metadata, …) stay as somebody set them.
pub(super) fn target(actual: Option<&Config>, desired: &DesiredStream) -> Config {
    Config {
        name: desired.name.clone(),
        description: Some(desired.description.clone()),
        subjects: desired.subjects.clone(),
        max_age: desired.max_age,
        max_bytes: desired.max_bytes,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        duplicate_window: desired.duplicate_window,
        num_replicas: desired.replicas,
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        ..actual.cloned().unwrap_or_else(|| Config { allow_direct: true, ..Config::default() })
    }
}

/// Every setting of ours that differs; without an actual stream, every setting that is shown.
pub(super) fn changes(actual: Option<&Config>, desired: &DesiredStream) -> Vec<Change> {
    let target = target(actual, desired);
    let mut rows: Vec<_> = settings(&target)
        .into_iter()
        .map(|setting| Change {
            field: setting.field,
            actual: String::new(),
            desired: setting.shown,
            shrinks: false,
            impossible: false,
        })
        .collect();
    let Some(actual) = actual else { return rows };
    for (row, (old, new)) in rows.iter_mut().zip(settings(actual).into_iter().zip(settings(&target))) {
        row.actual = old.shown;
        row.shrinks = matches!((old.size, new.size), (Some(old), Some(new)) if new < old);
        row.impossible = old.fixed;
    }
    rows.retain(|row| row.actual != row.desired);
    rows
}

/// What makes a stream unusable, whatever its sizes.
pub(super) fn incompatible(actual: &Config, desired: &DesiredStream) -> Option<String> {
    if let Some(subject) = desired.subjects.iter().find(|subject| !actual.subjects.contains(subject)) {
        return Some(format!("does not take the subject {subject}"));
    }
    if actual.duplicate_window < desired.duplicate_window {
        return Some(format!(
            "duplicate window is {}, must be at least {}",
            duration(actual.duplicate_window),
            duration(desired.duplicate_window)
        ));
    }
    changes(Some(actual), desired)
        .into_iter()
        .find(|change| matches!(change.field, "storage" | "retention" | "discard"))
        .map(|change| change.to_string())
}

/// Whether some subject matches both filters.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

/// One setting of a stream, as shown and, where smaller means that messages go, as a size.
struct Setting {
    field: &'static str,
    shown: String,
    size: Option<u128>,
    fixed: bool,
}

fn settings(config: &Config) -> [Setting; 11] {
    let plain = |field, shown: String| Setting { field, shown, size: None, fixed: false };
    let fixed = |field, shown: String| Setting { field, shown, size: None, fixed: true };
    let sized = |field, shown: String, size| Setting { field, shown, size: Some(size), fixed: false };
    let limit = |field, limit: i64| match u128::try_from(limit) {
        // 0 and -1 both mean no limit.
        Ok(0) | Err(_) => sized(field, "unlimited".to_owned(), u128::MAX),
        Ok(size) => sized(field, size.to_string(), size),
    };
    let mut subjects = config.subjects.clone();
    subjects.sort();
    let age = config.max_age;
    [
        plain("description", config.description.clone().unwrap_or_default()),
        plain("subjects", subjects.join(" ")),
        if age.is_zero() {
            sized("max_age", "unlimited".to_owned(), u128::MAX)
        } else {
            sized("max_age", duration(age), age.as_nanos())
        },
        limit("max_bytes", config.max_bytes),
        limit("max_messages", config.max_messages),
        limit("max_messages_per_subject", config.max_messages_per_subject),
        sized("duplicate_window", duration(config.duplicate_window), config.duplicate_window.as_nanos()),
        sized(
            "replicas",
            config.num_replicas.to_string(),
            u128::try_from(config.num_replicas).unwrap_or(u128::MAX),
        ),
        fixed("storage", format!("{:?}", config.storage).to_lowercase()),
        fixed("retention", format!("{:?}", config.retention).to_lowercase()),
        plain("discard", format!("{:?}", config.discard).to_lowercase()),
    ]
}

/// `48h`, `120s`, `1.5s`: the largest unit that divides it.
fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if duration.subsec_nanos() == 0 && seconds > 0 && seconds % 3_600 == 0 => {
            format!("{}h", seconds / 3_600)
        }
        _ => format!("{duration:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::defaults;

    fn desired() -> DesiredStream {
        defaults().remove(0)
    }

    #[test]
    fn a_stream_that_is_as_it_should_be_needs_no_change() {
        let desired = desired();
        assert_eq!(changes(Some(&target(None, &desired)), &desired), []);
    }

    #[test]
    fn smaller_limits_shrink_and_larger_ones_do_not() {
        let large = desired();
        let actual = target(None, &large);
        let small = DesiredStream { max_age: Duration::from_secs(3_600), ..large.clone() };
        let change = changes(Some(&actual), &small).remove(0);
        assert_eq!((change.to_string().as_str(), change.shrinks), ("max_age: 48h -> 1h", true));
        let actual = target(None, &small);
        assert!(!changes(Some(&actual), &large).remove(0).shrinks);
        let unlimited = Config { max_bytes: -1, ..target(None, &large) };
        assert!(changes(Some(&unlimited), &large).remove(0).shrinks);
    }

    #[test]
    fn storage_cannot_be_changed() {
        let desired = desired();
        let actual = Config { storage: StorageType::Memory, ..target(None, &desired) };
        assert!(changes(Some(&actual), &desired).remove(0).impossible);
        assert_eq!(incompatible(&actual, &desired).unwrap(), "storage: memory -> file");
    }

    #[test]
    fn filters_overlap_when_one_subject_matches_both() {
        for (one, other) in
            [("trade.>", "trade.a.b"), ("a.*", "*.b"), (">", "a"), ("a.b", "a.b"), ("a.>", "a.>")]
        {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("trade.>", "trade"), ("a.*", "a"), ("a.b", "a.c"), ("trade.>", "orderbook.>")] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }
}
