//! The OpenAPI document is true: every path in it is asked, and every answer is what it says.

use reqwest::Method;
use serde_json::{Value, json};

use crate::monitoring::Monitoring;
use crate::stack::Stack;

/// Asks everything in the document, as it is and with each parameter wrong; returns the codes seen.
async fn walk(monitoring: &Monitoring) -> Vec<u16> {
    let (code, document) = monitoring.get("/api/v1/openapi.json").await;
    assert_eq!((code, document["openapi"].as_str().unwrap()), (200, "3.1.0"));
    let mut codes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let wrong = parameters
                .iter()
                .map(|one| format!("?{}={}", one["name"].as_str().unwrap(), "%00".repeat(101)));
            for query in std::iter::once(String::new()).chain(wrong) {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let url = format!("{}{path}{query}", monitoring.url);
                let body = json!({"username": "operator", "password": "wrong"});
                let answer = monitoring.http.request(method, url).json(&body).send().await.unwrap();
                let code = answer.status().as_u16();
                let body: Value = answer.json().await.unwrap();
                let described = &operation["responses"][code.to_string()];
                assert!(described.is_object(), "{path}{query}: {code} is not in the document: {body}");
                let mut schema = described["content"]["application/json"]["schema"].clone();
                schema["components"] = document["components"].clone();
                let validator = jsonschema::draft202012::new(&schema).unwrap();
                let errors: Vec<_> = validator
                    .iter_errors(&body)
                    .map(|error| format!("{error} at {}", error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{path}{query}: {errors:?} in {body}");
                assert_eq!(query.is_empty(), code != 400, "{path}{query}: {body}");
                codes.push(code);
            }
        }
    }
    codes
}

#[tokio::test]
async fn every_answer_is_as_the_document_says_with_and_without_prometheus() {
    let mut stack = Stack::start().await;
    let codes = walk(&stack.monitoring).await;
    assert!([200, 400, 401, 501].iter().all(|code| codes.contains(code)), "{codes:?}");
    assert!(!codes.contains(&503), "{codes:?}");
    stack.prometheus.kill();
    stack.alertmanager.kill();
    assert!(walk(&stack.monitoring).await.contains(&503));
}

#[test]
fn the_document_can_be_printed() {
    let output = Monitoring::run(&["openapi"], &[]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/api/v1/alerts"]["get"].is_object(), "{document}");
}
