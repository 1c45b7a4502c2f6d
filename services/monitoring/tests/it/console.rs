//! The console in a real Chromium, before the real pipeline: every section is opened, its numbers are those of the API,
//! nothing is loaded from elsewhere, and what dies is told.

use marketprism_testkit::poll_until;
use serde_json::json;

use crate::browser::Page;
use crate::rig::{DEADLINE, Rig};

/// Files of the page, as they are in the tree; the API's answers are not among them.
const PAGE_BYTES_MAX: u64 = 160_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_section_shows_what_the_api_says_and_a_dead_collector_is_told() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    let page = Page::open(&rig.monitoring.url).await;
    page.until("the pipeline is drawn", "document.querySelectorAll('.station').length === 5").await;
    told_speed_and_size(&page).await;
    assert_eq!(page.text("#heartbeat").await, "live");
    pipeline(&rig, &page).await;
    alerts(&rig, &page).await;
    streams(&rig, &page).await;
    market(&page).await;
    completeness(&rig, &page).await;
    replication(&rig, &page).await;
    pictures(&page).await;
    assert_eq!(page.complaints(), Vec::<String>::new());

    rig.collector.as_mut().unwrap().kill();
    page.until(
        "the collector is gone",
        "document.querySelector('#station-collector').innerText.includes('unreachable for')",
    )
    .await;
    page.act("scrollTo(0, 0)").await;
    assert!(page.text("#pipeline-verdict").await.contains("collector unreachable"));
    assert_eq!(page.text("#hop-receive .rate strong").await, "–", "no rate that was");
    assert_eq!(page.text("#station-exchanges > .state").await, "unknown");
    // A section asks for its data only while it is in view, and the reasons above have grown.
    page.click("nav a[href='#streams']").await;
    page.until(
        "its streams are unknown",
        "document.querySelector('#streams-states').innerText.startsWith('unknown')",
    )
    .await;
    page.picture("collector-killed", false).await;

    rig.monitoring.process.stop();
    page.until("the page says that it is old", "!document.querySelector('#stale').hidden").await;
    assert!(page.text("#stale").await.contains("has not answered for"), "{}", page.text("#stale").await);
    page.picture("stale", false).await;
    page.close().await;
}

async fn told_speed_and_size(page: &Page) {
    let paint: f64 =
        page.eval("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1").await;
    let sent: u64 = page
        .eval("performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).filter((one) => !one.name.includes('/api/')).reduce((sum, one) => sum + one.transferSize, 0)")
        .await;
    let plain: u64 = page
        .eval("performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).filter((one) => !one.name.includes('/api/')).reduce((sum, one) => sum + one.decodedBodySize, 0)")
        .await;
    println!("first contentful paint {paint:.0} ms; {} kB sent, {} kB unpacked", sent / 1000, plain / 1000);
    assert!(paint >= 0.0 && plain < PAGE_BYTES_MAX, "{paint} ms, {plain} bytes");
}

/// A number of the page with its thousands.
fn number(text: &str) -> u64 {
    text.replace(',', "").trim().parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

async fn pipeline(rig: &Rig, page: &Page) {
    // The page is a beat behind the service.
    poll_until(DEADLINE, "the page shows what the service reports", async || {
        let said = rig.live("pipeline").await;
        let shown = page.text("#station-collector .facts div:first-child dd").await;
        let (_, total) = shown.split_once(" of ").unwrap();
        let rows: usize = page.eval("document.querySelectorAll('.exchanges li').length").await;
        let mut agrees = Some(number(total)) == said["collector"]["streams_total"].as_u64()
            && rows == said["exchanges"].as_array().unwrap().len();
        for id in ["collector", "hot_storage", "broker"] {
            agrees &= said["nodes"][id]["state"] == page.text(&format!("#station-{id} > .state")).await;
        }
        agrees
    })
    .await;
    page.until("rates flow", "document.querySelectorAll('.hop.flowing').length === 4").await;
}

/// What fires is there, the worst first, until it is resolved; its link leads to the section of the runbook.
async fn alerts(rig: &Rig, page: &Page) {
    page.until("nothing fires", "document.querySelector('#alerts-note').innerText === 'nothing fires'").await;
    let runbook = format!("{}/runbook", rig.monitoring.url);
    let alert = |name: &str, severity: &str, [summary, description]: [&str; 2]| {
        let link = format!("{runbook}#{}", name.to_lowercase());
        json!({
            "labels": { "alertname": name, "severity": severity, "service": "collector" },
            "annotations": { "summary": summary, "description": description, "runbook_url": link },
        })
    };
    let words = ["The certificate of ws.exchange.example:443 expires", "It is valid for 12d 4h more."];
    rig.fire(&alert("CertificateExpiring", "warning", words)).await;
    let words = ["Our clock and that of an exchange disagree", "They differ by 7s."];
    let mut critical = alert("ClockSkew", "critical", words);
    rig.fire(&critical).await;
    page.until("two fire", "document.querySelectorAll('#alerts-list li').length === 2").await;
    let (_, said) = rig.monitoring.get("/api/v1/alerts").await;
    assert_eq!(said["data"]["total_count"], 2);
    assert_eq!(page.text("#alerts-count").await, "2");
    assert_eq!(page.text("#alerts-list li:first-child strong").await, "ClockSkew");
    assert!(page.text("#alerts-list li:first-child").await.contains("disagree. They differ by 7s."));
    let link: String = page.eval("document.querySelector('#alerts-list li:first-child a').href").await;
    assert_eq!(link, format!("{runbook}#clockskew"));
    let book = Page::open(&link).await;
    assert_eq!(book.text(":target").await, "ClockSkew");
    assert_eq!(book.complaints(), Vec::<String>::new());
    book.close().await;
    critical["endsAt"] = jiff::Timestamp::now().to_string().into();
    rig.fire(&critical).await;
    page.until("one is resolved", "document.querySelector('#alerts-note').innerText === '1 firing'").await;
}

async fn streams(rig: &Rig, page: &Page) {
    page.click("nav a[href='#streams']").await;
    page.until(
        "the streams are listed",
        "document.querySelectorAll('#streams-body tr:not(.space)').length > 5",
    )
    .await;
    let said = rig.live("streams").await;
    poll_until(DEADLINE, "the note shows the total", async || {
        let note = page.text("#streams-note").await;
        Some(number(note.split(' ').next().unwrap())) == rig.live("streams").await["total"].as_u64()
    })
    .await;
    page.fill("#streams-filter", "okx perpetual orderbook").await;
    let wanted = said["streams"].as_array().unwrap().iter().filter(|one| {
        one["exchange"] == "okx" && one["market_type"] == "perpetual" && one["data_type"] == "orderbook"
    });
    let wanted = wanted.count();
    let rows = format!("document.querySelectorAll('#streams-body tr:not(.space)').length === {wanted}");
    page.until("the filter finds them", &rows).await;
    // By rate, twice: the other way round.
    let first = "document.querySelector('#streams-body tr:nth-child(2) td:nth-child(6)').innerText";
    // A dash is a rate that is not known yet, which is less than any.
    let rate = |shown: String| shown.replace(',', "").parse::<f64>().unwrap_or(-1.0);
    poll_until(DEADLINE, "the highest rate comes first, then the lowest", async || {
        page.click("#streams-head th:nth-child(6) button").await;
        let most = rate(page.eval(first).await);
        page.click("#streams-head th:nth-child(6) button").await;
        let least = rate(page.eval(first).await);
        most > least
    })
    .await;
    page.picture("streams", false).await;
}

async fn market(page: &Page) {
    // By symbol, an order that stays.
    page.click("#streams-head th:nth-child(3) button").await;
    let symbol = page.text("#streams-body tr:nth-child(2) .link").await;
    page.click("#streams-body tr:nth-child(2) .link").await;
    let chosen = format!("document.querySelector('#market-choice').value === 'okx perpetual {symbol}'");
    page.until("its stream is chosen", &chosen).await;
    page.until("its book is shown", "document.querySelectorAll('#book-bids tr').length > 0").await;
    page.fill("#market-choice", "binance spot BTC-USDT").await;
    page.until("another book is shown", "document.querySelectorAll('#book-asks tr').length > 3 && document.querySelectorAll('#trades tr').length > 3").await;
    let update = "document.querySelector('#market-facts div:nth-child(5) dd').innerText";
    let before: String = page.eval(update).await;
    page.until("it goes on", &format!("{update} !== '{before}'")).await;
    // Best bid below best ask, and the ladder agrees with the facts.
    let ladder = "[document.querySelector('#book-bids tr:first-child td').innerText, document.querySelector('#book-asks tr:last-child td').innerText, document.querySelector('#market-facts div:first-child dd').innerText]";
    let [bid, ask, best]: [String; 3] = page.eval(ladder).await;
    assert_eq!(bid, best);
    assert!(bid.parse::<f64>().unwrap() < ask.parse::<f64>().unwrap(), "{bid} {ask}");
    page.until("the charts are drawn", "document.querySelectorAll('.charts canvas').length === 2").await;
}

async fn completeness(rig: &Rig, page: &Page) {
    page.click("nav a[href='#completeness']").await;
    page.until("the days are shown", "document.querySelectorAll('#completeness-body tr').length === 3").await;
    page.act("document.querySelector('#completeness-market').value = 'okx perpetual'").await;
    page.fill("#completeness-type", "orderbook").await;
    page.until(
        "another data type",
        "document.querySelector('#completeness-note').innerText.includes('symbols')",
    )
    .await;
    let said = rig
        .live_when(
            "completeness?exchange=okx&market_type=perpetual&data_type=orderbook",
            "its symbols have rows",
            |said| !said["symbols"].as_array().unwrap().is_empty(),
        )
        .await;
    let symbols = said["symbols"].as_array().unwrap().len();
    page.until(
        "its symbols",
        &format!("document.querySelectorAll('#completeness-body tr').length === {symbols}"),
    )
    .await;
    page.act("document.querySelector('#completeness-body tr td:last-child .day').focus()").await;
    let detail = page.text("#completeness-detail").await;
    assert!(
        detail.contains(said["symbols"][0]["symbol"].as_str().unwrap()) && detail.contains("hot "),
        "{detail}"
    );
}

async fn replication(rig: &Rig, page: &Page) {
    page.click("nav a[href='#replication']").await;
    let tables = rig.live("replication").await["tables"].as_array().unwrap().len();
    page.until(
        "the tables are shown",
        &format!("document.querySelectorAll('#replication-body tr').length === {tables}"),
    )
    .await;
    page.until(
        "they are healthy",
        "document.querySelectorAll('#replication-body [data-state=healthy]').length > 5",
    )
    .await;
}

/// What a person sees: wide and light, dark, and on a phone, where nothing may stick out.
async fn pictures(page: &Page) {
    page.fill("#streams-filter", "").await;
    page.act("scrollTo(0, 0)").await;
    // A history to look at.
    page.until("some prices", "performance.now() > 15000").await;
    for (name, width, is_phone, scheme) in [
        ("light", 1440, false, "light"),
        ("dark", 1440, false, "dark"),
        ("phone", 390, true, "light"),
        ("phone-dark", 390, true, "dark"),
    ] {
        page.show_as(width, 900, is_phone, scheme).await;
        page.drawn().await;
        let over: i64 =
            page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
        assert!(over <= 0, "{name}: {over} px stick out");
        // The full one last: the browser takes it in a size of its own, and keeps that.
        page.picture(&format!("{name}-top"), false).await;
        page.picture(name, true).await;
    }
    // The busiest streams first.
    page.click("#streams-head th:nth-child(6) button").await;
    page.show_as(1440, 520, false, "light").await;
    page.until(
        "all is well",
        "document.querySelector('#pipeline-verdict').innerText === 'Everything flows.'",
    )
    .await;
    page.drawn().await;
    page.picture_until("#market", "console").await;
    page.show_as(1440, 900, false, "light").await;
    page.click("#theme").await;
    page.click("#theme").await;
    let theme: String = page.eval("document.documentElement.dataset.theme").await;
    assert_eq!(theme, "dark");
    page.click("#theme").await;
}
