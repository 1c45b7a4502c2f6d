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
