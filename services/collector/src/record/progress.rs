//! What a person sees while it records; nothing where standard error is no terminal.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::recorder::Tally;

/// How often it is drawn.
const INTERVAL: Duration = Duration::from_millis(500);

/// Draws until dropped.
pub(super) async fn show(tally: &Tally, total: Option<Duration>) {
    let bar = ProgressBar::new_spinner();
    // The template is ours; were it wrong, the default shows the same words.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    let of = total.map(|total| format!(" of {}", humantime::format_duration(total))).unwrap_or_default();
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (frames, bytes) = (HumanCount(count(&tally.frames)), HumanBytes(count(&tally.bytes)));
        let lost = HumanCount(count(&tally.lost));
        bar.set_message(format!("{of}: {frames} frames, {bytes}, {lost} lost"));
        bar.tick();
    }
}
