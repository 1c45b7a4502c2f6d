//! The REST API against a real Prometheus and a real Alertmanager, and without them.

use std::time::{Duration, Instant};

use marketprism_testkit::poll_until;
use serde_json::{Value, json};

use crate::browser::Page;
use crate::monitoring::Monitoring;
use crate::stack::Stack;

fn names(body: &Value, list: &str) -> Vec<String> {
    let entries = body["data"][list].as_array().unwrap();
    entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn alerts_rules_and_figures_are_prometheuss_and_alertmanagers() {
    let stack = Stack::start().await;
    let alerts = stack.get("/api/v1/alerts?status=active&severity=critical&category=test&limit=5").await;
    let alert = &alerts["data"]["alerts"][0];
    assert_eq!(
        [&alert["name"], &alert["severity"], &alert["status"], &alert["category"], &alert["description"]],
        ["AlwaysFiring", "critical", "active", "test", "it is 7"].map(Value::from).each_ref(),
    );
    assert_eq!(alerts["data"]["filters_applied"]["limit"], 5);
    for (query, found) in [("severity=warning", 0), ("category=system", 0), ("status=suppressed", 0), ("", 1)]
    {
        let body = stack.get(&format!("/api/v1/alerts?{query}")).await;
        assert_eq!(
            (&body["data"]["total_count"], &body["data"]["filtered_count"]),
            (&json!(1), &json!(found)),
            "{query}"
        );
    }

    let rules = stack.get("/api/v1/alerts/rules").await;
    assert_eq!(names(&rules, "rules"), ["AlwaysFiring", "NeverFiring"]);
    assert_eq!(rules["data"]["rules"][1]["for_seconds"], 90.0);
    assert_eq!(rules["data"]["rules"][1]["state"], "inactive");
    let rules = stack.get("/api/v1/alerts/rules?severity=warning&enabled=true").await;
    assert_eq!(names(&rules, "rules"), ["NeverFiring"]);
    assert_eq!(stack.get("/api/v1/alerts/rules?enabled=false").await["data"]["filtered_count"], 0);

    let figures = stack.get("/api/v1/metrics?category=resources").await;
    assert!(figures["data"]["metrics"][0]["value"].as_f64().unwrap() > 1e6, "{figures}");
    let text =
        stack.monitoring.http.get(format!("{}/api/v1/metrics?format=prometheus", stack.monitoring.url));
    let text = text.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("\nmarketprism_summary_resident_memory_bytes "), "{text}");
    assert!(!text.contains("storage_lag"), "what is not known is not there: {text}");
}

#[tokio::test]
async fn components_say_what_they_are_themselves() {
    let stack = Stack::start().await;
    let body = stack.get("/api/v1/health/components").await;
    let components = body["data"]["components"].as_array().unwrap();
    let status = |name: &str| components.iter().find(|one| one["name"] == name).unwrap()["state"].clone();
    assert_eq!(status("prometheus"), "healthy");
    assert_eq!(status("alertmanager"), "healthy");
    assert_eq!(status("collector"), "unreachable");
    assert_eq!(body["data"]["state"], "unreachable", "the worst decides");
    assert_eq!(stack.get("/api/v1/status").await["data"]["service"], "monitoring");
}

#[tokio::test]
async fn whoever_is_away_is_named_and_nothing_looks_healthy_for_it() {
    let mut stack = Stack::start().await;
    stack.prometheus.kill();
    stack.alertmanager.kill();
    for (path, upstream) in [
        ("/api/v1/alerts", "alertmanager"),
        ("/api/v1/alerts/rules", "prometheus"),
        ("/api/v1/metrics", "prometheus"),
    ] {
        let asked = Instant::now();
        let (code, body) = stack.monitoring.get(path).await;
        assert_eq!((code, &body["error_code"]), (503, &"SERVICE_UNAVAILABLE".into()), "{path}: {body}");
        assert_eq!(body["details"]["upstream"], upstream);
        assert!(asked.elapsed() < Duration::from_secs(20), "{path} took {:?}", asked.elapsed());
    }
    let body = stack.get("/api/v1/health/components").await;
    assert!(body.to_string().contains("\"name\":\"prometheus\""), "{body}");
    poll_until(marketprism_testkit::DEADLINE, "health tells it", async || {
        let (code, health) = stack.monitoring.get("/health").await;
        code == 200 && health["checks"]["prometheus"]["status"] == "degraded"
    })
    .await;
    stack.prometheus.restart();
    assert_eq!(names(&stack.get("/api/v1/alerts/rules").await, "rules").len(), 2, "and it is back by itself");
}

#[tokio::test]
async fn what_an_installation_does_not_have_is_no_fault_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitoring.yaml");
    std::fs::write(&path, "upstreams: {prometheus: null, alertmanager: null}\n").unwrap();
    let monitoring = Monitoring::start_with(&["--config", path.to_str().unwrap()], &[]).await;
    for (path, upstream) in [
        ("/api/v1/alerts", "alertmanager"),
        ("/api/v1/alerts/rules", "prometheus"),
        ("/api/v1/metrics", "prometheus"),
    ] {
        let (code, body) = monitoring.get(path).await;
        assert_eq!((code, &body["details"]["upstream"]), (503, &upstream.into()), "{path}: {body}");
        assert_eq!(body["details"]["configured"], "false", "{path}: {body}");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains("is not part of this installation"), "{path}: {message}");
    }
    let (_, health) = monitoring.get("/health").await;
    let checks = health["checks"].as_object().unwrap();
    for absent in ["prometheus", "alertmanager"] {
        assert!(!checks.contains_key(absent), "{health}");
    }
    let (_, body) = monitoring.get("/api/v1/health/components").await;
    assert_eq!(body["data"]["components"].as_array().unwrap().len(), 6, "{body}");
    assert!(!monitoring.metrics().await.contains("upstream_up"), "nothing alerts of what is not there");

    let page = Page::open(&monitoring.url).await;
    page.until(
        "the alerts are explained",
        "document.getElementById('alerts-note').textContent.startsWith('none here:')",
    )
    .await;
    let is_quiet: bool = page
        .eval("document.getElementById('alerts-count').hidden && !document.getElementById('alerts-note').classList.contains('bad')")
        .await;
    assert!(is_quiet, "it looks like a fault");
    page.close().await;
}

#[tokio::test]
async fn wrong_parameters_are_named_with_their_values() {
    let monitoring = Monitoring::start(&[]).await;
    for (path, field, value) in [
        ("/api/v1/alerts?limit=0", "limit", "0"),
        ("/api/v1/alerts?limit=1001", "limit", "1001"),
        ("/api/v1/alerts?limit=many", "limit", "many"),
        ("/api/v1/alerts?severity=terrible", "severity", "terrible"),
        ("/api/v1/alerts?status=gone", "status", "gone"),
        ("/api/v1/alerts?colour=red", "colour", "red"),
        ("/api/v1/alerts?limit=1&limit=2", "limit", "2"),
        ("/api/v1/alerts/rules?enabled=maybe", "enabled", "maybe"),
        ("/api/v1/metrics?category=all", "category", "all"),
        ("/api/v1/metrics?format=xml", "format", "xml"),
        ("/api/v1/status?x=", "x", ""),
    ] {
        let (code, body) = monitoring.get(path).await;
        assert_eq!((code, &body["error_code"]), (400, &"INVALID_PARAMETERS".into()), "{path}: {body}");
        assert_eq!(
            (&body["details"]["field"], &body["details"]["value"]),
            (&field.into(), &value.into()),
            "{path}"
        );
        assert!(body["message"].as_str().unwrap().contains(field), "{body}");
    }
    let long = "x".repeat(101);
    assert_eq!(monitoring.get(&format!("/api/v1/alerts?category={long}")).await.0, 400);
    for path in ["/api/v1/nothing", "/api/v2/alerts"] {
        let (code, body) = monitoring.get(path).await;
        assert_eq!((code, &body["error_code"]), (404, &"NOT_FOUND".into()), "{path}");
    }
}

#[tokio::test]
async fn it_changes_nothing() {
    let monitoring = Monitoring::start(&[]).await;
    for path in ["/api/v1/alerts", "/api/v1/alerts/rules"] {
        let answer = monitoring.http.post(format!("{}{path}", monitoring.url)).json(&json!({})).send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 501);
        assert_eq!(answer.json::<Value>().await.unwrap()["error_code"], "OPERATION_NOT_ALLOWED");
    }
    let answer = monitoring.http.delete(format!("{}/api/v1/alerts", monitoring.url)).send().await.unwrap();
    assert_eq!(answer.status(), 405);
}
