//! An answer that is kept for a moment: however many look, whoever is asked is asked once.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// One answer and when it came. Nothing is asked while nobody looks.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    max_age: Duration,
    kept: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone> Cached<T> {
    pub(crate) const fn new(max_age: Duration) -> Self {
        Self { max_age, kept: Mutex::const_new(None) }
    }

    /// The answer that is kept, or a new one; who comes while it is asked for waits for it. `ask` is given what was kept.
    pub(crate) async fn get<Fut>(&self, ask: impl FnOnce(Option<T>) -> Fut) -> T
    where
        Fut: Future<Output = T>,
    {
        let mut kept = self.kept.lock().await;
        match &*kept {
            Some((at, answer)) if at.elapsed() < self.max_age => answer.clone(),
            older => {
                let answer = ask(older.as_ref().map(|(_, answer)| answer.clone())).await;
                *kept = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_asks_for_all_until_the_answer_is_too_old() {
        let cached = Cached::new(Duration::from_secs(1));
        let next = |before: Option<u32>| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            before.unwrap_or(0) + 1
        };
        assert_eq!(tokio::join!(cached.get(next), cached.get(next)), (1, 1));
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(cached.get(next).await, 1);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(cached.get(next).await, 2);
    }
}
