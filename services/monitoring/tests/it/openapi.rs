//! The OpenAPI document is true: every path in it is asked, and every answer is what it says.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::monitoring::Monitoring;
use crate::stack::Stack;

/// Asks everything in the document, as it is and with each parameter wrong; returns each path with the codes seen.
pub(crate) async fn walk(monitoring: &Monitoring) -> Vec<(String, u16)> {
    let (code, document) = monitoring.get("/api/v1/openapi.json").await;
    assert_eq!((code, document["openapi"].as_str().unwrap()), (200, "3.1.0"));
    let mut seen = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for (query, is_right) in queries(operation) {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let url = format!("{}{path}?{query}", monitoring.url);
                let body = json!({"username": "operator", "password": "wrong"});
                let answer = monitoring.http.request(method, url).json(&body).send().await.unwrap();
                let code = answer.status().as_u16();
                assert_eq!(is_right, code != 400, "{path}?{query}: {code}");
                let described = &operation["responses"][code.to_string()];
                assert!(described.is_object(), "{path}?{query}: {code} is not in the document");
                as_described(&format!("{path}?{query}"), answer, &described["content"], &document).await;
                seen.push((path.clone(), code));
            }
        }
    }
    seen
}

/// Queries, and whether they are right: what must be there by its example, and then each parameter wrong.
fn queries(operation: &Value) -> Vec<(String, bool)> {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    let right = |but: &str| -> String {
        let needed = parameters.iter().filter(|one| one["required"] == true && name(one) != but);
        needed.map(|one| format!("{}={}&", name(one), one["example"].as_str().unwrap())).collect()
    };
    let wrong = parameters.iter().map(|one| {
        let name = name(one);
        (format!("{}{name}={}", right(&name), "%00".repeat(101)), false)
    });
    std::iter::once((right(""), true)).chain(wrong).collect()
}

/// The body is of the type that is described, and of its shape where that is JSON.
async fn as_described(asked: &str, answer: Response, content: &Value, document: &Value) {
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let Some(content) = content.as_object() else {
        assert_eq!(answer.text().await.unwrap(), "", "{asked}: no body is described");
        return;
    };
    let kind = kind.unwrap_or_default();
    let described = content.iter().find(|(name, _)| kind.starts_with(*name));
    let (name, described) = described.unwrap_or_else(|| panic!("{asked}: {kind} is not in {content:?}"));
    // Text is only named; an event stream has no end.
    if name != "application/json" {
        return;
    }
    let body: Value = answer.json().await.unwrap();
    let mut schema = described["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&body).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{asked}: {errors:?} in {body}");
}

#[tokio::test]
async fn every_answer_is_as_the_document_says_with_and_without_prometheus() {
    let mut stack = Stack::start().await;
    let seen = walk(&stack.monitoring).await;
    assert!([200, 400, 401, 501].iter().all(|code| seen.iter().any(|(_, one)| one == code)), "{seen:?}");
    let away = |seen: &[(String, u16)]| -> Vec<String> {
        seen.iter().filter(|(_, code)| *code == 503).map(|(path, _)| path.clone()).collect()
    };
    // Of the pipeline nothing is there; with all of it they are asked in `live`.
    let pipeline = ["/api/v1/live/completeness", "/api/v1/live/market"];
    assert_eq!(away(&seen), pipeline);
    stack.prometheus.kill();
    stack.alertmanager.kill();
    let away = away(&walk(&stack.monitoring).await);
    assert_eq!(away[..3], ["/api/v1/alerts", "/api/v1/alerts/rules", "/api/v1/live/completeness"]);
}

#[tokio::test]
async fn whoever_brings_no_credentials_is_refused_as_the_document_says() {
    let environment = [("MARKETPRISM__AUTH__API_KEY", "the key of a script")];
    let monitoring = Monitoring::start(&environment).await;
    let output = Monitoring::run(&["openapi"], &[]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut public = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer =
                monitoring.http.request(method, format!("{}{path}", monitoring.url)).send().await.unwrap();
            let content = &operation["responses"]["401"]["content"];
            if answer.status() == 401 {
                as_described(path, answer, content, &document).await;
            } else {
                public.push(path.as_str());
            }
        }
    }
    assert_eq!(public, ["/health", "/login", "/ready"]);
}

#[tokio::test]
async fn what_is_served_is_in_the_document() {
    let monitoring = Monitoring::start(&[]).await;
    let (_, document) = monitoring.get("/api/v1/openapi.json").await;
    // The routes are made of the document's own entries (`api::described`); beside them there are only the console's files.
    let paths = document["paths"].as_object().unwrap();
    for path in ["/health", "/ready", "/runbook", "/login", "/api/v1/openapi.json", "/api/v1/live/events"] {
        assert!(paths.contains_key(path), "{path}");
    }
    for path in ["/api", "/api/v1", "/api/v1/live", "/healthz", "/metrics", "/docs"] {
        assert_eq!(monitoring.get(path).await.0, 404, "{path}");
    }
}

#[test]
fn the_document_can_be_printed() {
    let output = Monitoring::run(&["openapi"], &[]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/api/v1/alerts"]["get"].is_object(), "{document}");
}
