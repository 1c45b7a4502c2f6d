//! A connection for one statement: a fresh one, or a session's, which is given back as it was found.

use crate::engine::{Engine, Setting, identifier, quoted, run, set};
use crate::exception::{Code, Exception};
use crate::ffi::Connection;
use crate::request::Request;
use crate::session::{SessionRequest, Sessions};
use crate::statement::Statement;

/// The connection, and what to undo at its end.
pub(crate) struct Lease<'a> {
    connection: Option<Connection>,
    session: Option<(&'a Sessions, &'a SessionRequest)>,
    undo: Vec<String>,
}

impl<'a> Lease<'a> {
    /// Opens or takes the connection and applies the settings.
    pub(crate) fn open(
        engine: &Engine,
        sessions: &'a Sessions,
        request: &'a Request,
        settings: &[Setting],
        statement: &Statement,
    ) -> Result<Self, Exception> {
        let Some(session) = &request.session else {
            return Ok(Self { connection: Some(engine.connect(settings)?), session: None, undo: Vec::new() });
        };
        // `SET readonly` could not be taken back, so a session's GET is held to queries here.
        if request.read_only && !matches!(statement, Statement::Select(_)) {
            return Err(Exception::new(
                Code::ReadOnly,
                "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries",
            ));
        }
        let connection = sessions.take(session, || engine.connect(&[]))?;
        let mut lease =
            Self { connection: Some(connection), session: Some((sessions, session)), undo: Vec::new() };
        lease.apply(settings, request.database.as_deref())?;
        Ok(lease)
    }

    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, Exception> {
        self.connection
            .as_mut()
            .ok_or_else(|| Exception::new(Code::UnknownException, "The connection is gone"))
    }

    /// In the server a request's settings and database end with it, also within a session.
    fn apply(&mut self, settings: &[Setting], database: Option<&str>) -> Result<(), Exception> {
        for setting in settings {
            let (name, _) = setting;
            let connection = self.connection()?;
            let before = run(connection, &format!("SELECT toString(getSetting({}))", quoted(name)))?;
            set(connection, setting)?;
            let before = before.strip_suffix('\n').unwrap_or(&before);
            self.undo.push(format!("SET {name} = {}", quoted(before)));
        }
        if let Some(database) = database {
            let connection = self.connection()?;
            let before = run(connection, "SELECT currentDatabase()")?;
            run(connection, &format!("USE {}", identifier(database)))?;
            self.undo.push(format!("USE {}", identifier(before.trim_end_matches('\n'))));
        }
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let (Some((sessions, session)), Some(mut connection)) = (self.session, self.connection.take()) else {
            return;
        };
        let undone = self.undo.iter().rev().all(|statement| run(&mut connection, statement).is_ok());
        if undone {
            sessions.put(session, connection);
        } else {
            // Better no session than one with another request's settings.
            sessions.forget(session);
        }
    }
}
