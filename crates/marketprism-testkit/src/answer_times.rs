//! How fast an admin server answers while something else keeps its process busy.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than an answer takes on the busiest machine; only one that never comes reaches it.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What an admin server promises, whatever its process is busy with.
const PROMISED: Duration = Duration::from_millis(50);

/// How long answers took, the fastest first.
#[derive(Debug)]
pub struct AnswerTimes(Vec<Duration>);

impl AnswerTimes {
    /// Asks for each page, an address and a path, so many times, one after the other; fails the test when one is not
    /// answered.
    pub async fn of(pages: &[(&str, &str)], times: usize) -> Self {
        let mut took = Vec::with_capacity(times * pages.len());
        for (address, path) in pages.iter().cycle().take(times * pages.len()) {
            let began = Instant::now();
            let answer = timeout(ANSWER_MAX, ask(address, path)).await;
            let answer = answer.unwrap_or_else(|_| panic!("{path} is not answered within {ANSWER_MAX:?}"));
            took.push(began.elapsed());
            assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
        }
        took.sort_unstable();
        Self(took)
    }

    /// Fails the test when half of the answers took longer than the admin server's promise. The slowest are the machine's: they are
    /// told, not judged.
    pub fn assert_prompt(&self) {
        assert!(self.percentile(50) <= PROMISED, "{self}");
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl fmt::Display for AnswerTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [middle, p99, slowest] = [50, 99, 100].map(|percent| self.percentile(percent));
        write!(f, "{} answers: p50 {middle:.1?}, p99 {p99:.1?}, slowest {slowest:.1?}", self.0.len())
    }
}

async fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
