//! Health and the console's files.

use crate::monitoring::Monitoring;

#[tokio::test]
async fn health_and_the_console_are_served_and_it_stops_within_its_grace() {
    let mut monitoring = Monitoring::start(&[]).await;
    let (code, body) = monitoring.get("/health").await;
    assert_eq!((code, &body["service"]), (200, &"monitoring".into()), "{body}");
    let page = monitoring.http.get(&monitoring.url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let etag = page.headers()["etag"].clone();
    assert!(page.text().await.unwrap().contains("MarketPrism"));
    let again = monitoring.http.get(&monitoring.url).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(monitoring.get("/no-such-file").await.0, 404);
    assert!(monitoring.process.stop().success());
}

#[tokio::test]
async fn the_runbook_has_the_anchors_that_alerts_link_to() {
    let monitoring = Monitoring::start(&[]).await;
    let page = monitoring
        .http
        .get(format!("{}/runbook", monitoring.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbook.md");
    let runbook = std::fs::read_to_string(runbook).unwrap();
    let headings =
        runbook.lines().filter_map(|line| line.strip_prefix("### ").or_else(|| line.strip_prefix("## ")));
    let words = headings.filter(|heading| heading.chars().all(char::is_alphanumeric));
    let mut count = 0;
    for heading in words {
        assert!(page.contains(&format!("id=\"{}\"", heading.to_lowercase())), "{heading}");
        count += 1;
    }
    assert!(count > 10, "only {count} sections are named for one alert");
}
