//! A real Chromium with one page open, and what it complained about.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::cdp::browser_protocol::emulation::{MediaFeature, SetDeviceMetricsOverrideParams};
use chromiumoxide::cdp::browser_protocol::log::EventEntryAdded;
use chromiumoxide::cdp::browser_protocol::network::EventRequestWillBeSent;
use chromiumoxide::cdp::browser_protocol::page::{CaptureScreenshotFormat, Viewport};
use chromiumoxide::cdp::js_protocol::runtime::{EventConsoleApiCalled, EventExceptionThrown};
use chromiumoxide::page::ScreenshotParams;
use futures_util::StreamExt;
use marketprism_testkit::{chromium, poll_until};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Bounds what takes a second; only a defect or a stalled machine reaches it.
const PATIENCE: Duration = marketprism_testkit::DEADLINE;

/// Dropped, it ends.
pub(crate) struct Page {
    page: chromiumoxide::Page,
    /// Exceptions and errors the browser told, and requests that left the service.
    complaints: Arc<Mutex<Vec<String>>>,
    browser: Browser,
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

impl Page {
    /// Opens `url`; everything it loads must come from there.
    pub(crate) async fn open(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = BrowserConfig::builder()
            .chrome_executable(chromium())
            .user_data_dir(folder.path())
            .new_headless_mode()
            .no_sandbox()
            .viewport(None)
            .window_size(1440, 900)
            .launch_timeout(PATIENCE)
            .args(["disable-gpu", "disable-component-update", "disable-dev-shm-usage"])
            .build()
            .unwrap();
        let (browser, mut handler) = Browser::launch(config).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { while handler.next().await.is_some() {} });
        let page = browser.new_page("about:blank").await.unwrap();
        let complaints = Arc::new(Mutex::new(Vec::new()));
        page.enable_log().await.unwrap();
        macro_rules! complain {
            ($event:ty, $words:expr) => {
                let (mut events, list) =
                    (page.event_listener::<$event>().await.unwrap(), Arc::clone(&complaints));
                tasks.spawn(async move {
                    while let Some(event) = events.next().await {
                        let words: Option<String> = $words(&event);
                        list.lock().unwrap().extend(words);
                    }
                });
            };
        }
        let own = url.split('/').take(3).collect::<Vec<_>>().join("/");
        complain!(EventExceptionThrown, |event: &EventExceptionThrown| Some(format!(
            "{:?}",
            event.exception_details
        )));
        complain!(EventEntryAdded, |event: &EventEntryAdded| Some(format!("{:?}", event.entry)));
        complain!(EventConsoleApiCalled, |event: &EventConsoleApiCalled| Some(format!("{:?}", event.args)));
        complain!(EventRequestWillBeSent, |event: &EventRequestWillBeSent| {
            let asked = &event.request.url;
            (!asked.starts_with(&own) && !asked.starts_with("data:") && asked != "about:blank")
                .then(|| format!("asked {asked}"))
        });
        page.goto(url).await.unwrap();
        Self { page, complaints, browser, _tasks: tasks, _folder: folder }
    }

    /// The value of an expression in the page.
    pub(crate) async fn eval<T: DeserializeOwned>(&self, expression: &str) -> T {
        let value =
            self.page.evaluate(expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
        value.into_value().unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Does what the expression says.
    pub(crate) async fn act(&self, expression: &str) {
        self.eval::<bool>(&format!("({expression}, true)")).await;
    }

    /// The text of the first element that the selector finds.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.eval(&format!("document.querySelector({selector:?})?.innerText ?? ''")).await
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        poll_until(PATIENCE, what, async || self.eval::<bool>(expression).await).await;
    }

    /// Clicks the middle of an element, as a person would.
    pub(crate) async fn click(&self, selector: &str) {
        let element =
            self.page.find_element(selector).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        element.click().await.unwrap();
    }

    /// Types into an element.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.eval::<bool>(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.value = {text:?}; \
             for (const t of ['input', 'change']) e.dispatchEvent(new Event(t, {{ bubbles: true }})); return true; }})()"
        ))
        .await;
    }

    /// Makes it as wide and high as that, and dark or light.
    pub(crate) async fn show_as(&self, width: i64, height: i64, is_phone: bool, scheme: &str) {
        self.page
            .execute(SetDeviceMetricsOverrideParams::new(
                width,
                height,
                if is_phone { 2.0 } else { 1.0 },
                is_phone,
            ))
            .await
            .unwrap();
        self.page
            .emulate_media_features(vec![MediaFeature::new("prefers-color-scheme", scheme)])
            .await
            .unwrap();
    }

    /// Waits until what changed is drawn: charts follow their boxes' sizes and the theme a frame later.
    pub(crate) async fn drawn(&self) {
        let frames = "(() => { window.drawn = 0; const next = () => { if (++window.drawn < 5) requestAnimationFrame(next); }; next(); return true; })()";
        self.eval::<bool>(frames).await;
        self.until("five frames", "window.drawn === 5").await;
    }

    /// Writes a picture of the page as it is into `target/console-screenshots`.
    pub(crate) async fn picture(&self, name: &str, is_full: bool) {
        let picture = ScreenshotParams::builder().full_page(is_full);
        keep(&format!("{name}.png"), &self.page.screenshot(picture.build()).await.unwrap());
    }

    /// Writes a smaller picture, of the page from its top to the end of an element: that of the README.
    pub(crate) async fn picture_until(&self, selector: &str, name: &str) {
        let bottom = format!("scrollY + document.querySelector({selector:?}).getBoundingClientRect().bottom");
        let (width, height) = (self.eval("innerWidth").await, self.eval(&bottom).await);
        let picture = ScreenshotParams::builder()
            .format(CaptureScreenshotFormat::Webp)
            .quality(85)
            .clip(Viewport { x: 0.0, y: 0.0, width, height, scale: 1.0 })
            .capture_beyond_viewport(true);
        keep(&format!("{name}.webp"), &self.page.screenshot(picture.build()).await.unwrap());
    }

    /// What it complained about since the last time.
    pub(crate) fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().unwrap())
    }

    /// Ends the browser.
    pub(crate) async fn close(mut self) {
        self.browser.close().await.unwrap();
        self.browser.wait().await.unwrap();
    }
}

/// Into `target/console-screenshots`, which CI keeps.
fn keep(name: &str, picture: &[u8]) {
    // target/<profile>/deps/<test>
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(3).unwrap().join("console-screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    println!("{}: {} kB", path.display(), picture.len() / 1000);
    std::fs::write(path, picture).unwrap();
}
