//! Who may ask, how often, and what is refused before a port opens.

use marketprism_testkit::poll_until;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::monitoring::Monitoring;
use crate::rig::DEADLINE;

const PASSWORD: &str = "correct horse battery";
const KEY: &str = "the key of a script";

async fn guarded() -> Monitoring {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{PASSWORD}\n")).unwrap();
    let password = format!("file:{}", file.path().display());
    Monitoring::start(&[
        ("MARKETPRISM__AUTH__PASSWORD", &password),
        ("MARKETPRISM__AUTH__API_KEY", KEY),
        ("MARKETPRISM__AUTH__REQUESTS_PER_MINUTE_MAX", "1200"),
    ])
    .await
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn each_way_in_works_and_nothing_else_does() {
    let monitoring = guarded().await;
    let get = |path: &str| monitoring.http.get(format!("{}{path}", monitoring.url));
    let asked = || get("/api/v1/status");
    for path in ["/", "/api/v1/status", "/api/v1/openapi.json", "/api/v1/live", "/runbook", "/no-such-file"] {
        let answer = get(path).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"MarketPrism\"");
    }
    assert_eq!(status(get("/health")).await, 200);
    assert_eq!(status(get("/ready")).await, 200);

    assert_eq!(status(asked().header("x-api-key", KEY)).await, 200);
    assert_eq!(status(asked().basic_auth("operator", Some(PASSWORD))).await, 200);
    assert_eq!(status(asked().header("x-api-key", "another")).await, 401);
    assert_eq!(status(asked().basic_auth("operator", Some(KEY))).await, 401);
    assert_eq!(status(get(&format!("/api/v1/status?api_key={KEY}"))).await, 401, "never in the query");

    let login = |password: &str| {
        let body = json!({"username": "operator", "password": password});
        monitoring.http.post(format!("{}/login", monitoring.url)).json(&body)
    };
    assert_eq!(status(login("wrong")).await, 401);
    let answer: Value = login(PASSWORD).send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&"Bearer".into(), &3600.into()));
    let token = answer["token"].as_str().unwrap();
    assert_eq!(status(asked().bearer_auth(token)).await, 200);
    assert_eq!(status(asked().bearer_auth(&token[1..])).await, 401);

    let hook = monitoring.http.post(format!("{}/dingtalk/marketprism/send", monitoring.bridge));
    assert_eq!(status(hook.try_clone().unwrap()).await, 401, "the bridge too");
    assert_eq!(status(hook.basic_auth("operator", Some(PASSWORD)).body("{}")).await, 400);
    assert!(!monitoring.process.log().contains(PASSWORD));
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_nobody_is_locked_out_by_it() {
    let monitoring = guarded().await;
    let asked = || monitoring.http.get(format!("{}/api/v1/status", monitoring.url));
    let login = |password: &str| {
        let body = json!({"username": "operator", "password": password});
        monitoring.http.post(format!("{}/login", monitoring.url)).json(&body)
    };
    for _ in 0..10 {
        assert_eq!(status(asked().header("x-api-key", "guess")).await, 401);
    }
    let limited = asked().header("x-api-key", "guess").send().await.unwrap();
    assert_eq!(limited.status(), 429);
    assert!(limited.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(limited.json::<Value>().await.unwrap()["error_code"], "TOO_MANY_REQUESTS");
    assert_eq!(status(login("guess")).await, 429, "all ways in are counted together");
    // From the same address.
    assert_eq!(status(asked().header("x-api-key", KEY)).await, 200);
    assert_eq!(status(asked().basic_auth("operator", Some(PASSWORD))).await, 200);
    assert_eq!(status(login(PASSWORD)).await, 200);
    assert_eq!(monitoring.get("/health").await.0, 200);
    let metrics = monitoring.metrics().await;
    assert!(metrics.contains("marketprism_monitoring_requests_limited_total 2"), "{metrics}");
}

#[tokio::test]
async fn requests_without_credentials_use_up_nothing_of_those_with() {
    let monitoring = Monitoring::start(&[
        ("MARKETPRISM__AUTH__API_KEY", KEY),
        ("MARKETPRISM__AUTH__REQUESTS_PER_MINUTE_MAX", "5"),
    ])
    .await;
    let asked = || monitoring.http.get(format!("{}/api/v1/status", monitoring.url));
    poll_until(DEADLINE, "strangers are limited", async || status(asked()).await == 429).await;
    assert_eq!(status(asked().header("x-api-key", KEY)).await, 200);
}

#[tokio::test]
async fn the_page_of_somebody_else_may_not_ask_and_answers_are_safe_in_a_browser() {
    let monitoring = Monitoring::start(&[]).await;
    let asked = || monitoring.http.get(format!("{}/api/v1/status", monitoring.url));
    assert_eq!(status(asked().header("origin", "https://evil.example")).await, 403);
    assert_eq!(status(asked().header("origin", "null")).await, 403);
    let own = asked().header("origin", &monitoring.url).send().await.unwrap();
    assert_eq!(own.status(), 200);
    assert_eq!(status(asked().header("host", "rebound.evil.example:8082")).await, 403);
    assert_eq!(status(asked().header("host", "localhost:8082")).await, 200);
    assert_eq!(status(asked().header("host", "[::1]:8082")).await, 200);
    let refused: Value = asked().header("host", "evil.example").send().await.unwrap().json().await.unwrap();
    assert_eq!(refused["error_code"], "FORBIDDEN", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("admin.hosts"), "{refused}");
    // An image on any page would have the tiers searched; a link in a chat leads people to a page, and never into the API.
    let fetched = |path: &str, mode: &str, dest: &str| {
        let request = monitoring.http.get(format!("{}{path}", monitoring.url));
        status(
            request
                .header("sec-fetch-site", "cross-site")
                .header("sec-fetch-mode", mode)
                .header("sec-fetch-dest", dest),
        )
    };
    assert_eq!(fetched("/api/v1/live/completeness", "no-cors", "image").await, 403);
    assert_eq!(fetched("/api/v1/live/completeness", "navigate", "document").await, 403);
    assert_eq!(fetched("/runbook", "navigate", "document").await, 200);
    assert_eq!(fetched("/", "navigate", "document").await, 200);
    assert_eq!(fetched("/", "navigate", "iframe").await, 403);
    for header in [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "cross-origin-resource-policy",
        "cross-origin-opener-policy",
    ] {
        assert!(own.headers().contains_key(header), "{header}");
    }
    let large = monitoring.http.post(format!("{}/login", monitoring.url)).body("x".repeat(20_000));
    assert_eq!(status(large).await, 413);
}

#[test]
fn what_others_can_reach_is_refused_without_credentials() {
    let check = |environment: &[(&str, &str)]| {
        let output = Monitoring::run(&["--check-config"], environment);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for key in ["listen", "bridge.listen"] {
        let variable = format!("MARKETPRISM__{}", key.replace('.', "__").to_uppercase());
        let (code, text) = check(&[(&variable, "0.0.0.0:8082")]);
        assert_eq!(code, Some(64), "{text}");
        assert!(
            text.contains(&format!("{key}: 0.0.0.0:8082")) && text.contains("MARKETPRISM__AUTH__PASSWORD"),
            "{text}"
        );
        let (code, text) = check(&[(&variable, "0.0.0.0:8082"), ("MARKETPRISM__AUTH__PASSWORD", PASSWORD)]);
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let (code, text) = check(&[("MONITORING_PASSWORD", "short")]);
    assert!(code == Some(64) && text.contains("auth.password") && !text.contains("short:"), "{text}");
}
