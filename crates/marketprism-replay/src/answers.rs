//! Which recorded REST answer belongs to which request of a session.
//!
//! A session asks when it needs something, the recording answers when the exchange did: whichever comes first waits for the
//! other. An answer belongs to the request with the same path; a book also to one that asks for another number of levels.

use std::collections::VecDeque;

use marketprism_exchanges::{FetchFailed, Request, RequestId};

/// Answers kept for requests still to come: every book of a connection, and what is polled meanwhile.
const KEPT_MAX: usize = 512;
/// Requests waiting at most: sessions have at most eight open at once, and have given up those that are older.
const ASKED_MAX: usize = 64;

/// What a request brought.
pub(crate) type Outcome = Result<Vec<u8>, FetchFailed>;

/// What happens to a request whose answer was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It waits: the answer may come later in the recording, as it did then.
    Waits,
    /// It fails at once, unless it is for a book: captures hold those bodies and no others.
    FailsUnlessBook,
}

/// Requests and answers that have not met.
#[derive(Debug)]
pub(crate) struct Answers {
    unanswered: Unanswered,
    asked: VecDeque<Request>,
    kept: VecDeque<(String, Outcome)>,
}

impl Answers {
    pub(crate) const fn new(unanswered: Unanswered) -> Self {
        Self { unanswered, asked: VecDeque::new(), kept: VecDeque::new() }
    }

    /// A session asks: the answer that is there already, or `None`, and the request waits.
    pub(crate) fn ask(&mut self, request: Request) -> Option<(RequestId, Outcome)> {
        let at = self.kept.iter().position(|(path, _)| belongs(path, &request.path));
        if let Some((_, outcome)) = at.and_then(|at| self.kept.remove(at)) {
            return Some((request.id, outcome));
        }
        if self.unanswered == Unanswered::FailsUnlessBook && !Target::of(&request.path).is_book() {
            return Some((request.id, Err(FetchFailed::Transport("not in the capture".to_owned()))));
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(request);
        None
    }

    /// An answer was recorded: the request it belongs to, or `None`, and the answer waits.
    pub(crate) fn answer(&mut self, path: String, outcome: Outcome) -> Option<(RequestId, Outcome)> {
        let at = self.asked.iter().position(|request| belongs(&path, &request.path));
        if let Some(request) = at.and_then(|at| self.asked.remove(at)) {
            return Some((request.id, outcome));
        }
        // Of two answers to the same request the later one is right for whoever asks later.
        self.kept.retain(|(kept, _)| *kept != path);
        if self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((path, outcome));
        None
    }

    /// Requests without an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.asked.len()
    }
}

/// Whether what was answered at `recorded` is what `asked` asks for.
fn belongs(recorded: &str, asked: &str) -> bool {
    if recorded == asked {
        return true;
    }
    let (recorded, asked) = (Target::of(recorded), Target::of(asked));
    recorded.is_book() && recorded == asked
}

/// The last segment of a path and the instrument it is about.
#[derive(PartialEq, Eq)]
struct Target<'a> {
    endpoint: &'a str,
    instrument_id: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let named = |pair: &'a str| {
            let (name, value) = pair.split_once('=')?;
            ["symbol", "instId", "instrument_name"].contains(&name).then_some(value)
        };
        let endpoint = path.rsplit('/').next().unwrap_or_default();
        Self { endpoint, instrument_id: query.split('&').find_map(named) }
    }

    /// Whether the answer is a whole book: one of more or fewer levels will do.
    fn is_book(&self) -> bool {
        ["depth", "books", "get_order_book"].contains(&self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use marketprism_core::DataType;

    use super::*;

    fn request(id: u64, path: &str) -> Request {
        Request {
            id: RequestId(id),
            data_type: DataType::Trade,
            path: path.to_owned(),
            weight: 1,
            limit: "weight",
        }
    }

    fn body(text: &str) -> Outcome {
        Ok(text.as_bytes().to_vec())
    }

    #[test]
    fn whichever_comes_first_waits() {
        let mut answers = Answers::new(Unanswered::Waits);
        assert_eq!(answers.ask(request(1, "/api/v3/depth?symbol=BTCUSDT&limit=1000")), None);
        assert_eq!(answers.answer("/depth?symbol=ETHUSDT".into(), body("eth")), None);
        let answered = answers.answer("/depth?symbol=BTCUSDT".into(), body("btc"));
        assert_eq!(answered, Some((RequestId(1), body("btc"))));
        let answered = answers.ask(request(2, "/api/v3/depth?symbol=ETHUSDT&limit=5000"));
        assert_eq!(answered, Some((RequestId(2), body("eth"))));
        assert_eq!(answers.unanswered(), 0);
    }

    #[test]
    fn what_a_capture_never_holds_fails_at_once() {
        let mut answers = Answers::new(Unanswered::FailsUnlessBook);
        let failed = answers.ask(request(1, "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=1"));
        assert!(matches!(failed, Some((RequestId(1), Err(_)))));
        assert_eq!(answers.ask(request(2, "/api/v3/depth?symbol=BTCUSDT")), None);
        assert_eq!(answers.unanswered(), 1);
    }

    #[test]
    fn only_books_may_differ_in_their_parameters() {
        assert!(belongs("/api/v5/market/books?instId=A&sz=5", "/api/v5/market/books?sz=400&instId=A"));
        let page = "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=";
        assert!(belongs(&format!("{page}1"), &format!("{page}1")));
        assert!(!belongs(&format!("{page}1"), &format!("{page}2")));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest() {
        let mut answers = Answers::new(Unanswered::Waits);
        for number in 0..2 * KEPT_MAX {
            assert_eq!(answers.answer(format!("/depth?symbol={number}"), body("old")), None);
        }
        assert_eq!(answers.answer("/depth?symbol=1000".into(), body("new")), None);
        assert_eq!(answers.kept.len(), KEPT_MAX);
        assert_eq!(answers.ask(request(1, "/depth?symbol=1000")), Some((RequestId(1), body("new"))));
        assert_eq!(answers.ask(request(2, "/depth?symbol=3")), None, "it was given up");
    }
}
