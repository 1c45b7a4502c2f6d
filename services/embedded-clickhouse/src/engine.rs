//! The engine: started once per process, one fresh connection per statement.
//!
//! A fresh connection costs 0.1-0.3 ms and carries the request's settings, so nothing can leak from one request into the
//! next. One more connection, the keeper, stays open: closing the last one stops the engine.

use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::confine::{self, ConfineError};
use crate::exception::{Code, Exception};
use crate::ffi::{Connection, Library, Parameters};

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// There is no library where it is looked for.
    #[error("no ClickHouse engine at {}: run scripts/provision.sh, or set LIBCHDB to a libchdb.so", .0.display())]
    Missing(PathBuf),
    /// The library cannot be loaded.
    #[error("failed to load the ClickHouse engine from {} (it needs Linux on x86-64 with AVX2)", path.display())]
    Load {
        /// Where it was.
        path: PathBuf,
        /// What the loader says.
        source: libloading::Error,
    },
    /// A folder or file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// A path cannot be given to the engine.
    #[error("the path {} contains a NUL byte", .0.display())]
    Path(PathBuf),
    /// The engine refused.
    #[error("the ClickHouse engine does not start on {} (its reason is on standard error; a data path serves one process at a time)", .0.display())]
    Refused(PathBuf),
    /// A default setting is none, or has a bad value.
    #[error("bad configuration: engine.settings.{name} = {value}: {}", reason.trim_end())]
    Setting {
        /// The setting.
        name: String,
        /// Its value.
        value: String,
        /// What the engine says.
        reason: String,
    },
    /// The kernel does not keep the engine inside its folder.
    #[error(transparent)]
    Unconfined(#[from] ConfineError),
    /// The engine started and cannot answer.
    #[error("the ClickHouse engine does not answer: {0}")]
    Silent(String),
}

/// A setting of one statement: name and value.
pub(crate) type Setting = (String, String);

/// The running engine.
pub(crate) struct Engine {
    library: &'static Library,
    /// `--path`, `--config-file` and the settings that every connection starts with.
    arguments: Vec<CString>,
    keeper: Mutex<Option<Connection>>,
    setting_names: HashSet<String>,
    version: String,
    timezone: String,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads the library and starts the engine on a data path with a configuration file.
    pub(crate) fn start(
        library: &Path,
        data_path: &Path,
        config_file: &Path,
        defaults: &BTreeMap<String, String>,
    ) -> Result<Self, EngineError> {
        if !library.is_file() {
            return Err(EngineError::Missing(library.to_owned()));
        }
        let library = Library::load(library)
            .map_err(|source| EngineError::Load { path: library.to_owned(), source })?;
        confine::enter()?;
        let flag = |name: &str, path: &Path| {
            CString::new([name.as_bytes(), path.as_os_str().as_encoded_bytes()].concat())
                .map_err(|_| EngineError::Path(path.to_owned()))
        };
        let arguments = vec![
            c"chdb".to_owned(),
            flag("--path=", data_path)?,
            // Given, so that no config file of the machine is picked up instead.
            flag("--config-file=", config_file)?,
            // The embedded default reads `selec` as a column; the server's is an error.
            c"--implicit_select=0".to_owned(),
        ];
        let mut keeper =
            library.connect(&arguments).ok_or_else(|| EngineError::Refused(data_path.to_owned()))?;
        let version = ask(&mut keeper, "SELECT version()")?;
        let timezone = ask(&mut keeper, "SELECT timezone()")?;
        let setting_names =
            ask(&mut keeper, "SELECT name FROM system.settings")?.lines().map(str::to_owned).collect();
        tracing::info!(version, library = library.version(), path = %data_path.display(), "ClickHouse engine started");
        let mut engine =
            Self { library, arguments, keeper: Mutex::new(Some(keeper)), setting_names, version, timezone };
        engine.set_defaults(defaults)?;
        Ok(engine)
    }

    /// Makes every further connection start with these settings.
    fn set_defaults(&mut self, defaults: &BTreeMap<String, String>) -> Result<(), EngineError> {
        for (name, value) in defaults {
            let setting = (name.clone(), value.clone());
            let accepted = self.check_setting(name).and_then(|()| self.connect(&[setting]).map(drop));
            let argument = CString::new(format!("--{name}={value}"));
            match (accepted, argument) {
                (Ok(()), Ok(argument)) => self.arguments.push(argument),
                (Err(exception), _) => {
                    return Err(EngineError::Setting {
                        name: name.clone(),
                        value: value.clone(),
                        reason: exception.text(&self.version),
                    });
                }
                (_, Err(error)) => {
                    return Err(EngineError::Setting {
                        name: name.clone(),
                        value: value.clone(),
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The engine's version, as `SELECT version()` says.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The time zone of `X-ClickHouse-Timezone`.
    pub(crate) fn timezone(&self) -> &str {
        &self.timezone
    }

    /// Fails for a name that is no setting: the engine itself would silently ignore it.
    pub(crate) fn check_setting(&self, name: &str) -> Result<(), Exception> {
        if self.setting_names.contains(name) {
            return Ok(());
        }
        Err(Exception::new(
            Code::UnknownSetting,
            format_args!(
                "Setting {name} is neither a builtin setting nor started with the prefix 'SQL_' registered for user-defined settings"
            ),
        ))
    }

    /// Opens a connection with these settings.
    pub(crate) fn connect(&self, settings: &[Setting]) -> Result<Connection, Exception> {
        enter()?;
        let mut arguments = self.arguments.clone();
        for (name, value) in settings {
            let argument = CString::new(format!("--{name}={value}")).map_err(|_| {
                Exception::new(
                    Code::UnknownSetting,
                    format_args!("The value of setting {name} contains a NUL byte"),
                )
            })?;
            arguments.push(argument);
        }
        if let Some(connection) = self.library.connect(&arguments) {
            return Ok(connection);
        }
        // The refusal has no text; setting them one by one finds the one at fault and its reason.
        let mut connection = self
            .library
            .connect(&self.arguments)
            .ok_or_else(|| Exception::new(Code::UnknownException, "The engine opens no connection"))?;
        for setting in settings {
            set(&mut connection, setting)?;
        }
        Ok(connection)
    }

    /// Asks the engine to stop statements: those of one id, or all. Does not wait.
    pub(crate) fn kill(&self, id: Option<&str>) {
        let condition = id.map_or_else(
            || "1".to_owned(),
            |id| format!("startsWith(Settings['log_comment'], {})", quoted(id)),
        );
        match self.connect(&[]) {
            Ok(mut connection) => {
                let sql = format!("KILL QUERY WHERE {condition} ASYNC");
                if let Err(exception) = run(&mut connection, &sql) {
                    tracing::warn!(code = exception.code(), "failed to cancel a statement");
                }
            }
            Err(exception) => {
                tracing::warn!(code = exception.code(), "failed to open a connection to cancel a statement");
            }
        }
    }

    /// Stops the engine: parts are on disk afterwards. Every other connection must be closed before.
    pub(crate) fn stop(&self) {
        drop(self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Confines this thread, which is about to call into the engine.
pub(crate) fn enter() -> Result<(), Exception> {
    confine::enter().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a statement is refused");
        Exception::new(Code::CannotStartThread, format_args!("Cannot start a thread: {error}"))
    })
}

/// Changes one setting of a connection.
pub(crate) fn set(connection: &mut Connection, (name, value): &Setting) -> Result<(), Exception> {
    run(connection, &format!("SET {name} = {}", quoted(value))).map(drop)
}

/// Runs a statement of our own and returns its text.
pub(crate) fn run(connection: &mut Connection, sql: &str) -> Result<String, Exception> {
    let outcome = connection.query(sql.as_bytes(), "TabSeparatedRaw", &Parameters::default());
    match outcome.error() {
        Some(error) => Err(Exception::from_engine(&error)),
        None => Ok(String::from_utf8_lossy(outcome.bytes()).into_owned()),
    }
}

/// A text as an SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A name as an SQL identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

fn ask(connection: &mut Connection, sql: &str) -> Result<String, EngineError> {
    run(connection, sql)
        .map(|answer| answer.trim_end().to_owned())
        .map_err(|exception| EngineError::Silent(exception.text("unknown")))
}
