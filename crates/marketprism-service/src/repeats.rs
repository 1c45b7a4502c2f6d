//! Samples repeated warnings and errors. Where something fails every second for an hour, the first lines say it all; the others
//! are counted and told as one line a minute, so that they neither fill the disk nor hide what else goes wrong.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one place in the code that are written a window: enough for each table or stream to say it once.
const LINES_MAX: u32 = 10;
/// How long they are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// What each place that warns has said lately. Bounded by the places in the code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeats(Arc<Mutex<HashMap<Identifier, Place>>>);

#[derive(Debug)]
struct Place {
    metadata: &'static Metadata<'static>,
    since: Instant,
    lines: u32,
    /// How many were not written, and what the first of them said.
    held_back: u64,
    message: String,
}

/// What was held back of one place.
#[derive(Debug, PartialEq, Eq)]
struct HeldBack {
    level: Level,
    target: &'static str,
    message: String,
    times: u64,
}

impl Repeats {
    /// Whether a line may be written at this time.
    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        // What this file says is a summary already.
        if *metadata.level() > Level::WARN || metadata.target() == module_path!() {
            return true;
        }
        let mut places = self.lock();
        let new = || Place { metadata, since: now, lines: 0, held_back: 0, message: String::new() };
        let place = places.entry(metadata.callsite()).or_insert_with(new);
        // A window in which lines were held back ends when that is told.
        if place.held_back == 0 && now.duration_since(place.since) >= WINDOW {
            (place.since, place.lines) = (now, 0);
        }
        if place.lines < LINES_MAX {
            place.lines += 1;
            return true;
        }
        if place.held_back == 0 {
            place.message.clear();
            event.record(&mut Message(&mut place.message));
        }
        place.held_back = place.held_back.saturating_add(1);
        false
    }

    /// What was held back in the windows that are over.
    fn take(&self, now: Instant) -> Vec<HeldBack> {
        let mut places = self.lock();
        let over = places
            .values_mut()
            .filter(|place| place.held_back > 0 && now.saturating_duration_since(place.since) >= WINDOW);
        over.map(|place| {
            let times = std::mem::take(&mut place.held_back);
            (place.since, place.lines) = (now, 0);
            let metadata = place.metadata;
            let message = std::mem::take(&mut place.message);
            HeldBack { level: *metadata.level(), target: metadata.target(), message, times }
        })
        .collect()
    }

    /// Tells it.
    pub(crate) fn tell(&self) {
        self.tell_until(Instant::now());
    }

    /// The process ends: tells everything.
    pub(crate) fn finish(&self) {
        self.tell_until(Instant::now() + WINDOW);
    }

    fn tell_until(&self, now: Instant) {
        for HeldBack { level, target: of, message, times } in self.take(now) {
            if level == Level::ERROR {
                tracing::error!(times, of, "repeated: {message}");
            } else {
                tracing::warn!(times, of, "repeated: {message}");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admits(event, Instant::now())
    }
}

/// The text of an event, without its fields.
struct Message<'m>(&'m mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What is written, shared with the test.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_lines_are_written_and_the_others_counted() {
        let (repeats, written) = (Repeats::default(), Written::default());
        let writer = written.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let text = || String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        tracing::subscriber::with_default(lines.with(repeats.clone()), || {
            for attempt in 0..25 {
                tracing::error!(attempt, "not copied; trying again");
                tracing::info!("all is well");
            }
            tracing::warn!("something else");
            assert_eq!(text().matches("not copied").count(), 10, "{}", text());
            assert_eq!(text().matches("all is well").count(), 25, "only what is wrong is sampled");
            assert_eq!(text().matches("something else").count(), 1, "each place has its own count");
            repeats.tell();
            assert!(!text().contains("repeated"), "the minute is not over");
            repeats.finish();
        });
        let told: Vec<_> =
            text().lines().filter(|line| line.contains("repeated")).map(str::to_owned).collect();
        assert_eq!(told.len(), 1, "{}", text());
        let parts = ["ERROR", "repeated: not copied; trying again", "times=15", "repeats::tests"];
        assert!(parts.iter().all(|part| told[0].contains(part)), "{told:?}");
    }

    #[test]
    fn after_a_minute_it_is_said_again() {
        let (repeats, written) = (Repeats::default(), Written::default());
        let writer = written.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(lines.with(repeats.clone()), || {
            let say = || {
                for _ in 0..12 {
                    tracing::warn!("slow");
                }
            };
            say();
            let later = Instant::now() + WINDOW;
            let held_back: Vec<_> = repeats.take(later).into_iter().map(|one| one.times).collect();
            assert_eq!(held_back, [2]);
            assert_eq!(repeats.take(later + WINDOW), [], "once");
            say();
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("slow").count(), 20);
    }
}
