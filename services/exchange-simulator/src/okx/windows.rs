//! OKX's REST limits: so many requests of one kind within two seconds. Pure: the caller brings the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// All limits are about this long.
const WINDOW: Duration = Duration::from_secs(2);

/// What was asked for in the running window, by endpoint and, where the limit is per instrument, its id. Bounded: a
/// window that is over is forgotten with the next request.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<(&'static str, String), (Instant, u32)>);

impl Windows {
    /// Counts a request at `now`; false when it is one more than `max`.
    pub(crate) fn allow(&mut self, endpoint: &'static str, of: &str, max: u32, now: Instant) -> bool {
        self.0.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        let (_, count) = self.0.entry((endpoint, of.to_owned())).or_insert((now, 0));
        *count += 1;
        *count <= max
    }
}

#[cfg(test)]
mod tests {
    use super::{WINDOW, Windows};
    use std::time::Instant;

    #[test]
    fn one_more_than_allowed_is_refused_until_the_window_is_over() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        assert!(windows.allow("books", "", 2, now) && windows.allow("books", "", 2, now));
        assert!(!windows.allow("books", "", 2, now));
        assert!(windows.allow("books", "X", 2, now), "another instrument has its own");
        assert!(windows.allow("books", "", 2, now + WINDOW));
    }
}
