//! OKX's limits: so many REST requests of one kind within two seconds, so many handshakes within one. Pure: the caller
//! brings the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What was asked for in the running window, by endpoint and, where the limit is per instrument, its id. Bounded: a
/// window that is over is forgotten with the next request.
#[derive(Debug)]
pub(crate) struct Windows {
    window: Duration,
    asked: HashMap<(&'static str, String), (Instant, u32)>,
}

impl Windows {
    /// Limits that are about so long a time.
    pub(crate) fn of(window: Duration) -> Self {
        Self { window, asked: HashMap::new() }
    }

    /// Counts a request at `now`; false when it is one more than `max`.
    pub(crate) fn allow(&mut self, endpoint: &'static str, of: &str, max: u32, now: Instant) -> bool {
        self.asked.retain(|_, (since, _)| now.duration_since(*since) < self.window);
        let (_, count) = self.asked.entry((endpoint, of.to_owned())).or_insert((now, 0));
        *count += 1;
        *count <= max
    }
}

#[cfg(test)]
mod tests {
    use super::Windows;
    use std::time::{Duration, Instant};

    const WINDOW: Duration = Duration::from_secs(2);

    #[test]
    fn one_more_than_allowed_is_refused_until_the_window_is_over() {
        let (mut windows, now) = (Windows::of(WINDOW), Instant::now());
        assert!(windows.allow("books", "", 2, now) && windows.allow("books", "", 2, now));
        assert!(!windows.allow("books", "", 2, now));
        assert!(windows.allow("books", "X", 2, now), "another instrument has its own");
        assert!(windows.allow("books", "", 2, now + WINDOW));
    }
}
