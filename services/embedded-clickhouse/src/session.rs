//! Sessions (`session_id`): connections that are kept between requests, with their temporary tables and settings.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::exception::{Code, Exception};
use crate::ffi::Connection;

/// The server's `default_session_timeout`.
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// The server's `max_session_timeout`.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The kept connections, at most `sessions_max`.
pub(crate) struct Sessions {
    sessions_max: usize,
    kept: Mutex<HashMap<Key, Session>>,
}

/// A session belongs to a user.
type Key = (String, String);

enum Session {
    Busy,
    Idle { connection: Connection, expires: Instant },
}

/// What a request asks of its session.
#[derive(Debug, Clone)]
pub(crate) struct SessionRequest {
    /// `session_id`
    pub(crate) id: String,
    /// The user it belongs to.
    pub(crate) user: String,
    /// `session_check=1`: it must exist already.
    pub(crate) must_exist: bool,
    /// `session_timeout`: how long it is kept after this request.
    pub(crate) timeout: Duration,
}

impl SessionRequest {
    fn key(&self) -> Key {
        (self.user.clone(), self.id.clone())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("sessions_max", &self.sessions_max).finish_non_exhaustive()
    }
}

impl Sessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self { sessions_max, kept: Mutex::default() }
    }

    /// Takes the session's connection for one request, or opens one.
    pub(crate) fn take(
        &self,
        request: &SessionRequest,
        open: impl FnOnce() -> Result<Connection, Exception>,
    ) -> Result<Connection, Exception> {
        self.expire();
        {
            let mut kept = self.kept();
            match kept.insert(request.key(), Session::Busy) {
                Some(Session::Idle { connection, .. }) => return Ok(connection),
                Some(Session::Busy) => {
                    return Err(Exception::new(
                        Code::SessionIsLocked,
                        format_args!("Session {} is locked by a concurrent client", request.id),
                    ));
                }
                None if request.must_exist => {
                    kept.remove(&request.key());
                    return Err(Exception::new(
                        Code::SessionNotFound,
                        format_args!("Session {} not found", request.id),
                    ));
                }
                None if kept.len() > self.sessions_max => {
                    kept.remove(&request.key());
                    return Err(Exception::new(
                        Code::TooManySimultaneousQueries,
                        format_args!("Too many sessions: sessions_max is {}", self.sessions_max),
                    ));
                }
                None => {}
            }
        }
        open().inspect_err(|_| drop(self.kept().remove(&request.key())))
    }

    /// Gives the connection back.
    pub(crate) fn put(&self, request: &SessionRequest, connection: Connection) {
        let session = Session::Idle { connection, expires: Instant::now() + request.timeout };
        self.kept().insert(request.key(), session);
    }

    /// Ends a session whose connection is not given back.
    pub(crate) fn forget(&self, request: &SessionRequest) {
        self.kept().remove(&request.key());
    }

    /// Closes the sessions that nobody used in time.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        self.kept().retain(|_, session| match session {
            Session::Busy => true,
            Session::Idle { expires, .. } => *expires > now,
        });
    }

    /// Closes all idle sessions, for the engine's stop.
    pub(crate) fn close(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
