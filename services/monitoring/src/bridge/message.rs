//! What people read: notifications that wait become one message. Pure: no clock, no sockets.

use std::cmp::Reverse;
use std::time::Duration;

use super::markup::Markup;
use super::webhook::{Alert, Labels, Notification, Status};

/// Instances told one by one in a message; a screen of a phone shows three.
const ENTRIES_MAX: usize = 10;
/// Bytes of what is told in full: `DingTalk` refuses bodies above 20,000, and escaping can make them longer.
const TOLD_BYTES_MAX: usize = 10_000;
/// Bytes of the names of what is not: some hundred, as many as may wait.
const NAMED_BYTES_MAX: usize = 4_000;
/// Rules named in the title.
const TITLE_NAMES_MAX: usize = 3;
/// Labels that the title or the headline says already.
const SAID: [&str; 3] = ["alertname", "service", "severity"];

/// A message as any format can carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// `[MarketPrism] FIRING: CollectorTargetDown (collector)`
    pub(super) title: String,
    /// In the chat's markup.
    pub(super) text: String,
    /// `FIRING` while one of the alerts is, else `RESOLVED`.
    pub(super) status: &'static str,
    /// The worst one named.
    pub(super) severity: String,
}

impl Message {
    /// One message of all `notifications`, the worst of those that fire first.
    pub(super) fn of(notifications: &[&Notification], markup: Markup) -> Self {
        let mut notifications = notifications.to_vec();
        notifications.sort_by_key(|one| {
            Reverse((one.status() == Status::Firing, rank(one.label("severity").unwrap_or_default())))
        });
        let is_firing = notifications.iter().any(|one| one.status() == Status::Firing);
        let status = if is_firing { Status::Firing } else { Status::Resolved }.shown();
        let title = format!("[MarketPrism] {status}: {}", title_names(&notifications, markup));
        let mut text = markup.title(&title) + "\n";
        // Each gets its share, so that a flood of one rule does not hide the others.
        let entries_max = ENTRIES_MAX.checked_div(notifications.len()).unwrap_or(ENTRIES_MAX).max(1);
        for (index, notification) in notifications.iter().enumerate() {
            let section = section(notification, entries_max, notifications.len() > 1, markup);
            if text.len().saturating_add(section.len()) > TOLD_BYTES_MAX {
                text.push_str(&named(notifications.get(index..).unwrap_or_default(), markup));
                break;
            }
            text.push_str(&section);
        }
        let severities = notifications.iter().filter_map(|one| one.label("severity"));
        let severity = severities.max_by_key(|severity| rank(severity)).unwrap_or("unknown").to_owned();
        Self { title, text, status, severity }
    }
}

/// `CollectorTargetDown (collector)` of each, once.
pub(super) fn names(notifications: &[&Notification], markup: Markup) -> Vec<String> {
    let mut names = Vec::new();
    for notification in notifications {
        let name = match notification.label("service") {
            Some(service) => {
                format!("{} ({})", markup.value(notification.alert_name()), markup.value(service))
            }
            None => markup.value(notification.alert_name()),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What there is no room to tell, by status and name.
fn named(notifications: &[&Notification], markup: Markup) -> String {
    let mut text = "\nNo room to tell of these; Alertmanager has them:\n".to_owned();
    for (index, notification) in notifications.iter().enumerate() {
        let line =
            format!("\n- {} {}", notification.status().shown(), names(&[notification], markup).concat());
        if text.len().saturating_add(line.len()) > NAMED_BYTES_MAX {
            text.push_str(&format!("\n- and {} more", notifications.len().saturating_sub(index)));
            break;
        }
        text.push_str(&line);
    }
    text
}

/// `CollectorTargetDown (collector), BrokerDown (message-broker) and 2 more`
fn title_names(notifications: &[&Notification], markup: Markup) -> String {
    let mut names = names(notifications, markup);
    let more = names.len().saturating_sub(TITLE_NAMES_MAX);
    names.truncate(TITLE_NAMES_MAX);
    let shown = names.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn section(
    notification: &Notification,
    entries_max: usize,
    is_one_of_several: bool,
    markup: Markup,
) -> String {
    let mut text = String::new();
    let mut line = |line: String| text.extend(["\n", &line, "\n"]);
    if is_one_of_several {
        let name = names(&[notification], markup).concat();
        line(markup.heading(&format!("{}: {name}", notification.status().shown())));
    }
    let count = |status| notification.alerts.iter().filter(|alert| alert.status == status).count();
    let severity = notification.label("severity").unwrap_or("unknown");
    let (firing, resolved) = (count(Status::Firing), count(Status::Resolved));
    let severity = markup.strong(&markup.value(severity));
    line(format!("{severity} · {firing} firing, {resolved} resolved"));
    let annotation = |name: &str| {
        let first = || notification.alerts.iter().find_map(|alert| alert.annotations.get(name));
        notification.common_annotations.get(name).or_else(first)
    };
    if let Some(summary) = annotation("summary") {
        line(markup.value(summary));
    }
    for alert in notification.alerts.iter().take(entries_max) {
        line(entry(alert, markup));
    }
    let told = notification.alerts.len().min(entries_max);
    let untold = notification.alerts.len().saturating_sub(told);
    let untold = u64::try_from(untold).unwrap_or(u64::MAX).saturating_add(notification.truncated_alerts);
    if untold > 0 {
        line(format!("and {untold} more"));
    }
    let links = [("runbook", annotation("runbook_url")), ("dashboard", annotation("dashboard_url"))];
    let alertmanager = Some(&notification.external_url).filter(|url| !url.is_empty());
    let links = links.into_iter().chain([("Alertmanager", alertmanager)]);
    let links: Vec<_> = links.filter_map(|(name, url)| Some(markup.link(name, url?))).collect();
    if !links.is_empty() {
        line(links.join(" · "));
    }
    text
}

/// `- FIRING since 2026-11-21 14:00:00 UTC: up is 0 on 127.0.0.1:9092` and its labels.
fn entry(alert: &Alert, markup: Markup) -> String {
    let since = alert.starts_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let mut text = match alert.status {
        Status::Firing => format!("- FIRING since {since}"),
        Status::Resolved => {
            let lasted = alert.ends_at.duration_since(alert.starts_at).as_secs();
            let lasted = Duration::from_secs(u64::try_from(lasted).unwrap_or(0));
            format!("- RESOLVED after {}, since {since}", humantime::format_duration(lasted))
        }
    };
    if let Some(description) = alert.annotations.get("description") {
        text.extend([": ", &markup.value(description)]);
    }
    let labels = labels(&alert.labels, markup);
    if !labels.is_empty() {
        text.push_str(&format!(" ({labels})"));
    }
    text
}

fn labels(labels: &Labels, markup: Markup) -> String {
    let shown = labels.iter().filter(|(name, _)| !SAID.contains(&name.as_str()));
    let shown: Vec<_> = shown.map(|(name, text)| format!("{name}={text}")).collect();
    markup.value(&shown.join(", "))
}

/// The larger, the worse.
fn rank(severity: &str) -> u8 {
    match severity {
        "critical" => 3,
        "warning" => 2,
        "info" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notification(name: &str, instances: usize, resolved: usize) -> Notification {
        let alert = |index: usize| {
            let status = if index < resolved { "resolved" } else { "firing" };
            serde_json::json!({
                "status": status,
                "labels": {"alertname": name, "instance": format!("host-{index}:9092")},
                "annotations": {"description": format!("value {index}"), "runbook_url": "https://example.org/runbook#x"},
                "startsAt": "2026-11-21T14:00:00Z", "endsAt": "2026-11-21T14:03:05.5Z",
            })
        };
        let alerts: Vec<_> = (0..instances).map(alert).collect();
        serde_json::from_value(serde_json::json!({
            "version": "4", "groupLabels": {"alertname": name, "service": "collector"},
            "commonLabels": {"severity": "critical"}, "commonAnnotations": {"summary": "it is down"},
            "externalURL": "http://alertmanager:9093", "alerts": alerts,
        }))
        .unwrap()
    }

    #[test]
    fn one_notification_says_everything_an_operator_needs() {
        let message = Message::of(&[&notification("CollectorTargetDown", 1, 0)], Markup::Markdown);
        assert_eq!(message.title, "[MarketPrism] FIRING: CollectorTargetDown (collector)");
        assert_eq!((message.status, message.severity.as_str()), ("FIRING", "critical"));
        for part in [
            "**critical** · 1 firing, 0 resolved",
            "it is down",
            "- FIRING since 2026-11-21 14:00:00 UTC: value 0 (instance=host-0:9092)",
            "[runbook](https://example.org/runbook#x) · [Alertmanager](http://alertmanager:9093)",
        ] {
            assert!(message.text.contains(part), "{part} is not in\n{}", message.text);
        }
    }

    #[test]
    fn resolved_ones_say_how_long_it_lasted() {
        let message = Message::of(&[&notification("CollectorTargetDown", 2, 2)], Markup::Markdown);
        assert_eq!(message.title, "[MarketPrism] RESOLVED: CollectorTargetDown (collector)");
        assert!(
            message.text.contains("- RESOLVED after 3m 5s, since 2026-11-21 14:00:00 UTC"),
            "{}",
            message.text
        );
    }

    #[test]
    fn the_worst_comes_first_and_slack_reads_its_own_markup() {
        let mut warning = notification("A", 1, 0);
        warning.common_labels.insert("severity".to_owned(), "warning".to_owned());
        let (over, worst) = (notification("B", 1, 1), notification("C", 1, 0));
        let text = Message::of(&[&warning, &over, &worst], Markup::Mrkdwn).text;
        let at = |name: &str| text.find(&format!("{name} (collector)*")).unwrap();
        assert!(at("FIRING: C") < at("FIRING: A") && at("FIRING: A") < at("RESOLVED: B"), "{text}");
        assert!(text.contains("<https://example.org/runbook#x|runbook>") && !text.contains("**"), "{text}");
    }

    #[test]
    fn several_are_grouped_and_the_rest_is_counted() {
        let all: Vec<_> = ["A", "B", "C", "D", "E"].map(|name| notification(name, 14, 0)).into();
        let message = Message::of(&all.iter().collect::<Vec<_>>(), Markup::Markdown);
        assert_eq!(
            message.title,
            "[MarketPrism] FIRING: A (collector), B (collector), C (collector) and 2 more"
        );
        assert_eq!(message.text.matches("and 12 more").count(), 5, "{}", message.text);
    }

    proptest! {
        #[test]
        fn every_instance_is_told_or_counted_and_the_message_fits(counts in prop::collection::vec((0_usize..40, 0_usize..40), 1..100), filler in ".{0,500}") {
            let mut all: Vec<_> = counts.iter().enumerate().map(|(index, (instances, resolved))| notification(&format!("Rule{index}"), *instances, *resolved)).collect();
            for one in &mut all {
                one.common_annotations.insert("summary".to_owned(), filler.clone());
            }
            let message = Message::of(&all.iter().collect::<Vec<_>>(), Markup::Markdown);
            prop_assert!(message.text.len() <= TOLD_BYTES_MAX + NAMED_BYTES_MAX + 100);
            for one in &all {
                let name = names(&[one], Markup::Markdown).concat();
                prop_assert!(message.text.contains(&name), "{name} is not in\n{}", message.text);
            }
            let sections = message.text.matches(" firing, ").count();
            let told = message.text.matches("\n- FIRING since").count() + message.text.matches("\n- RESOLVED after").count();
            let untold: usize = message.text.split("\nand ").filter_map(|rest| rest.split_once(" more\n")?.0.parse::<usize>().ok()).sum();
            let mut in_order = counts;
            in_order.sort_by_key(|(instances, resolved)| resolved >= instances);
            let expected: usize = in_order.iter().take(sections).map(|(instances, _)| instances).sum();
            prop_assert_eq!(told + untold, expected);
        }
    }
}
