//! Health and the console's files.

use std::collections::BTreeSet;

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
    let page = monitoring.http.get(format!("{}/runbook", monitoring.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus/rules");
    let mut anchors = BTreeSet::new();
    for file in std::fs::read_dir(rules).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let links = text.lines().filter(|line| line.trim().starts_with("runbook_url:"));
        anchors.extend(links.map(|link| link.split_once('#').unwrap().1.trim_end_matches('\'').to_owned()));
    }
    assert!(anchors.len() > 10, "{anchors:?}");
    for anchor in anchors {
        assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor}");
    }
}
