//! Alerts to a robot: delivered, refused, late, too many; from a webhook and from a real Alertmanager.

use std::time::{Duration, Instant};

use marketprism_testkit::{MonitoringServer, poll_until};
use serde_json::{Value, json};

use crate::monitoring::{Monitoring, target};
use marketprism_testkit::{ROBOT_SECRET, Robot};

const DEADLINE: Duration = marketprism_testkit::DEADLINE;

fn webhook(alert: &str) -> Value {
    json!({
        "version": "4", "status": "firing", "groupLabels": {"alertname": alert, "service": "collector"},
        "commonLabels": {"severity": "critical"}, "commonAnnotations": {}, "externalURL": "http://a.example",
        "alerts": [{"status": "firing", "labels": {"instance": "a:1"}, "annotations": {"description": "up is 0"},
                    "startsAt": "2026-11-21T14:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}],
    })
}

async fn post(monitoring: &Monitoring, target: &str, body: &Value) -> (u16, String) {
    let url = format!("{}/dingtalk/{target}/send", monitoring.bridge);
    let answer = monitoring.http.post(url).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn check(monitoring: &Monitoring) -> Value {
    monitoring.get("/health").await.1["checks"]["bridge marketprism"].clone()
}

#[tokio::test]
async fn an_alert_arrives_signed() {
    let robot = Robot::start().await;
    let monitoring = Monitoring::start(&target(&robot.url, ROBOT_SECRET)).await;
    assert_eq!(post(&monitoring, "marketprism", &webhook("BrokerDown")).await, (200, "delivered".to_owned()));
    let messages = robot.messages();
    assert_eq!(messages[0]["title"], "[MarketPrism] FIRING: BrokerDown (collector)");
    assert!(messages[0]["text"].as_str().unwrap().contains("up is 0 (instance=a:1)"), "{messages:?}");
    assert_eq!(check(&monitoring).await["status"], "healthy");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_told_at_once() {
    let robot = Robot::start().await;
    let monitoring = Monitoring::start(&target(&robot.url, ROBOT_SECRET)).await;
    robot.answer(500, json!("busy"));
    robot.answer(200, json!({"errcode": 130_101, "errmsg": "send too fast"}));
    assert_eq!(post(&monitoring, "marketprism", &webhook("A")).await.0, 200, "the third time it passes");
    assert_eq!(robot.messages().len(), 3);

    robot.answer(200, json!({"errcode": 310_000, "errmsg": "keywords not in content"}));
    let (code, text) = post(&monitoring, "marketprism", &webhook("B")).await;
    assert_eq!((code, text.as_str()), (424, "the robot refused with 310000: keywords not in content"));
    assert_eq!(robot.messages().len(), 4, "not sent again");
    let told = check(&monitoring).await;
    assert_eq!(told["status"], "degraded");
    assert!(told["reason"].as_str().unwrap().contains("310000"), "{told}");
    let log = monitoring.process.log();
    let line = log.lines().find(|line| line.contains("these alerts were not delivered")).unwrap();
    assert!(line.contains("B (collector)"), "{line}");
    assert!(!monitoring.process.log().contains("hidden"), "the access token is in the log");

    assert_eq!(post(&monitoring, "marketprism", &webhook("C")).await.0, 200);
    assert_eq!(check(&monitoring).await["status"], "healthy", "it recovers");
}

#[tokio::test]
async fn what_is_given_up_is_answered_5xx_and_counted() {
    let robot = Robot::start().await;
    let monitoring = Monitoring::start(&target(&robot.url, ROBOT_SECRET)).await;
    for _ in 0..4 {
        robot.answer(503, json!("away"));
    }
    let (code, text) = post(&monitoring, "marketprism", &webhook("A")).await;
    assert_eq!(code, 502, "{text}");
    assert_eq!(robot.messages().len(), 4);
    let metrics = monitoring.metrics().await;
    let failed = "marketprism_monitoring_notifications_failed_total{target=\"marketprism\"} 1";
    assert!(metrics.contains(failed), "{metrics}");
}

#[tokio::test]
async fn more_than_it_may_in_a_minute_is_grouped_and_none_is_lost() {
    let robot = Robot::start().await;
    let monitoring = Monitoring::start(&target(&robot.url, ROBOT_SECRET)).await;
    let names: Vec<_> = (0..60).map(|index| format!("Rule{index:02}")).collect();
    let hooks: Vec<_> = names.iter().map(|name| webhook(name)).collect();
    let posts = hooks.iter().map(|hook| post(&monitoring, "marketprism", hook));
    let begun = Instant::now();
    for (code, text) in futures_util::future::join_all(posts).await {
        assert_eq!(code, 200, "{text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "Alertmanager would not have waited");
    let messages = robot.messages();
    assert!(messages.len() <= 20, "{} messages", messages.len());
    let text: String = messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
    for name in &names {
        assert!(text.contains(name.as_str()), "{name} is in no message");
    }
}

#[tokio::test]
async fn what_is_no_webhook_is_named_and_a_target_without_address_is_told() {
    let monitoring = Monitoring::start(&[]).await;
    let mut bad = webhook("A");
    bad["alerts"][0]["startsAt"] = "yesterday".into();
    let (code, text) = post(&monitoring, "marketprism", &bad).await;
    assert_eq!(code, 400);
    assert!(text.contains("alerts[0].startsAt") && text.contains("`yesterday`"), "{text}");
    let (code, text) = post(&monitoring, "nobody", &webhook("A")).await;
    assert_eq!((code, text.as_str()), (404, "target: `nobody`: is none of bridge.targets: marketprism"));
    let (code, text) = post(&monitoring, "marketprism", &webhook("A")).await;
    assert_eq!((code, text.as_str()), (424, "bridge.targets.marketprism.url is not set"));
    assert_eq!(check(&monitoring).await["status"], "degraded");
}

#[tokio::test]
async fn the_test_alert_prints_the_robots_answer() {
    let robot = Robot::start().await;
    for arguments in [&["--test"][..], &["test-alert", "--target", "marketprism"]] {
        let url = robot.url.clone();
        let run = move || {
            let environment = [("DINGTALK_WEBHOOK_URL", url.as_str()), ("DINGTALK_SECRET", ROBOT_SECRET)];
            Monitoring::run(arguments, &environment)
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"errcode\":0"));
    }
    assert_eq!(robot.messages().len(), 2);
    assert_eq!(robot.messages()[0]["title"], "[MarketPrism] FIRING: TestAlert (monitoring)");
}

#[test]
fn secrets_are_not_printed_and_a_wrong_target_is_named() {
    let print = |environment: &[(&str, &str)]| {
        let output = Monitoring::run(&["--check-config"], environment);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = print(&target("https://robot.example/send?access_token=hidden", "SEChidden"));
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("hidden") && text.contains("[redacted]"), "{text}");
    let (code, text) = print(&target("robot.example?access_token=hidden", ""));
    assert_eq!(code, Some(64));
    assert!(text.contains("bridge.targets.marketprism.url") && !text.contains("hidden"), "{text}");
    let (code, text) = print(&[("MARKETPRISM__BRIDGE__TARGETS__MARKETPRISM__FORMAT", "json")]);
    assert!(code == Some(64) && text.contains("bridge.targets.marketprism.template"), "{text}");
}

#[tokio::test]
async fn a_real_alertmanager_delivers_firing_and_resolved() {
    let robot = Robot::start().await;
    let monitoring = Monitoring::start(&target(&robot.url, ROBOT_SECRET)).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alertmanager.yml");
    let text = format!(
        "route: {{receiver: dingtalk, group_by: [alertname, service], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}}\n\
         receivers: [{{name: dingtalk, webhook_configs: [{{url: '{}/dingtalk/marketprism/send', send_resolved: true}}]}}]\n",
        monitoring.bridge
    );
    std::fs::write(&config, text).unwrap();
    let alertmanager =
        tokio::task::spawn_blocking(move || MonitoringServer::alertmanager(&config)).await.unwrap();
    let alert = |ends_at: Option<&str>| {
        let mut alert = json!([{
            "labels": {"alertname": "BrokerDown", "service": "message-broker", "severity": "critical"},
            "annotations": {"description": "the broker does not answer", "runbook_url": "https://docs.example/runbook#brokerdown"},
        }]);
        if let Some(ends_at) = ends_at {
            alert[0]["endsAt"] = ends_at.into();
        }
        monitoring.http.post(format!("{}/api/v2/alerts", alertmanager.url())).json(&alert).send()
    };
    alert(None).await.unwrap().error_for_status().unwrap();
    poll_until(DEADLINE, "the alert is firing", async || !robot.messages().is_empty()).await;
    let now = jiff::Timestamp::now().to_string();
    alert(Some(&now)).await.unwrap().error_for_status().unwrap();
    poll_until(DEADLINE, "the alert is resolved", async || robot.messages().len() == 2).await;
    let titles: Vec<_> = robot.messages().iter().map(|message| message["title"].clone()).collect();
    let expected =
        ["FIRING", "RESOLVED"].map(|status| format!("[MarketPrism] {status}: BrokerDown (message-broker)"));
    assert_eq!(titles, expected);
    assert!(
        robot.messages()[1]["text"]
            .as_str()
            .unwrap()
            .contains("[runbook](https://docs.example/runbook#brokerdown)")
    );
}
