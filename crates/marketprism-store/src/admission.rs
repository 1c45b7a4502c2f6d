//! Inserts that arrive too late are refused by the server.
//!
//! A request can lie in a network for minutes after its sender has given it up, or leave a process that was frozen after
//! its last look at the clock. So the inserts into a table run in a session of the server which it forgets a little after
//! its last use (`session_check=1`: without the session it refuses). Who gives an insert up uses that session never
//! again, and looks at what is stored only when the server has forgotten it, too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use marketprism_core::DataType;
use tokio::time::{Instant, sleep_until};

use crate::client::Store;
use crate::error::StoreError;
use crate::insert::now_micros;

/// `session_timeout`, whole seconds: encoding a batch and sending its first byte takes milliseconds.
const SESSION_SECONDS: u64 = 1;
/// The server looks for sessions to forget once a second, and may round up another one.
const FORGETTING: Duration = Duration::from_secs(2);
/// A session used longer ago is used again before an insert.
const FRESH: Duration = Duration::from_millis(300);
/// `SESSION_NOT_FOUND`
const CODE_SESSION_NOT_FOUND: u32 = 372;

/// Makes names of sessions unique in this process.
static SESSIONS_MADE: AtomicU64 = AtomicU64::new(0);

/// The sessions of one server, by table.
#[derive(Debug, Default)]
pub(crate) struct Admissions([Admission; DataType::ALL.len()]);

#[derive(Debug, Default)]
struct Admission(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    /// When no insert that was given up can arrive any more.
    clear_at: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Session {
    id: String,
    used_at: Instant,
}

impl Admissions {
    fn with<T>(&self, data_type: DataType, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        let place = DataType::ALL.iter().position(|one| *one == data_type)?;
        let admission = self.0.get(place)?;
        Some(act(&mut admission.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Store {
    /// How long after [`Store::admit`] an insert can still be taken.
    pub const ADMITTED_AT_MOST: Duration = Duration::from_secs(SESSION_SECONDS).saturating_add(FORGETTING);

    /// Has the server take the next insert into a table, if it comes at once. Asks nothing of it while inserts follow each
    /// other.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn admit(&self, data_type: DataType) -> Result<(), StoreError> {
        let began = Instant::now();
        let fresh = |session: &Session| began.duration_since(session.used_at) < FRESH;
        let known = self.admissions.with(data_type, |state| state.session.clone()).flatten();
        if known.as_ref().is_some_and(fresh) {
            return Ok(());
        }
        let id = known.map_or_else(new_id, |session| session.id);
        let client = self
            .client
            .clone()
            .with_setting("session_id", &id)
            .with_setting("session_timeout", SESSION_SECONDS.to_string());
        // Read to its end: until then the server may keep the session from the insert.
        self.ask("open a session", client.query_raw("SELECT 1").execute()).await?;
        self.admissions.with(data_type, |state| state.session = Some(Session { id, used_at: began }));
        Ok(())
    }

    /// The client for one insert of what was admitted; where nothing was, one without a limit.
    pub(crate) fn admitted(&self, data_type: DataType) -> clickhouse::Client {
        let session = self.admissions.with(data_type, |state| state.session.clone()).flatten();
        let Some(session) = session else { return self.inserter.clone() };
        self.inserter
            .clone()
            .with_setting("session_id", session.id)
            .with_setting("session_check", "1")
            .with_setting("session_timeout", SESSION_SECONDS.to_string())
    }

    /// Remembers how an insert ended.
    pub(crate) fn insert_ended(&self, data_type: DataType, began: Instant, error: Option<&StoreError>) {
        self.admissions.with(data_type, |state| match error {
            None => {
                if let Some(session) = &mut state.session {
                    session.used_at = began;
                }
            }
            // Answered: it will not come again.
            Some(StoreError::Request { code: Some(CODE_SESSION_NOT_FOUND), .. }) => state.session = None,
            Some(StoreError::Request { code: Some(_), .. }) => {}
            Some(_) => {
                state.session = None;
                state.clear_at = Some(Instant::now() + Self::ADMITTED_AT_MOST);
            }
        });
    }

    /// Waits until no insert that was given up can arrive any more.
    pub(crate) async fn clear(&self, data_type: DataType) {
        if let Some(at) = self.admissions.with(data_type, |state| state.clear_at).flatten() {
            sleep_until(at).await;
        }
    }
}

fn new_id() -> String {
    let made = SESSIONS_MADE.fetch_add(1, Ordering::Relaxed);
    format!("marketprism-{}-{}-{made}", std::process::id(), now_micros())
}
