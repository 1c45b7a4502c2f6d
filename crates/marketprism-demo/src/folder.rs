//! The run folder: data, logs, configuration, the engines' password, and the lock that keeps a second demo out.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, io};
use crate::password::Password;

/// Only the user who runs the demo enters folders with a password in them, and reads such files.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// Name of the password's file.
const PASSWORD: &str = "password";

/// A locked, empty run folder. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    password: Password,
    _lock: File,
}

impl Folder {
    /// Takes the folder, or says who has it.
    pub fn take(path: PathBuf) -> Result<Self, Failure> {
        fs::create_dir_all(&path).map_err(io(format!("make {}", path.display())))?;
        let lock_path = path.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&lock_path);
        let mut lock = open.map_err(io(format!("open {}", lock_path.display())))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&lock_path).unwrap_or_default().trim().to_owned();
                return Err(Failure::Running { pid, folder: path.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock the demo's folder")(error)),
        }
        for name in ["data", "logs", "config", "ledger.jsonl", PASSWORD] {
            let old = path.join(name);
            let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
            if old.exists() {
                removed.map_err(io(format!("remove {}", old.display())))?;
            }
        }
        for name in ["data", "logs", "config"] {
            let made = DirBuilder::new().mode(PRIVATE_FOLDER).create(path.join(name));
            made.map_err(io("make the demo's folders"))?;
        }
        let password = Password::generate().map_err(io("ask the operating system for a password"))?;
        write_private(&path.join(PASSWORD), password.reveal())?;
        lock.set_len(0).map_err(io("write the lock"))?;
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(io("write the lock"))?;
        Ok(Self { path, password, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The password of both engines, for this run.
    pub const fn password(&self) -> &Password {
        &self.password
    }

    /// The file with the password alone, for the user's own queries.
    pub fn password_file(&self) -> PathBuf {
        self.path.join(PASSWORD)
    }

    /// The data of one server.
    pub fn data(&self, name: &str) -> PathBuf {
        self.path.join("data").join(name)
    }

    /// The log of one process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    /// The simulator's ledger.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// Writes a service's configuration, which only this user can read; JSON is YAML.
    pub fn config(&self, name: &str, config: &serde_json::Value) -> Result<PathBuf, Failure> {
        let path = self.path.join("config").join(format!("{name}.yaml"));
        write_private(&path, &format!("{config:#}\n"))?;
        Ok(path)
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let open = OpenOptions::new().create(true).truncate(true).write(true).mode(PRIVATE_FILE).open(path);
    let written = open.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(io(format!("write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_reads_the_password_or_a_configuration_and_each_run_has_its_own() {
        let temporary = tempfile::tempdir().unwrap();
        let take = || Folder::take(temporary.path().join("demo")).unwrap();
        let first = take();
        let (password, config) = (first.password().clone(), first.config("x", &"y".into()).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(config.parent().unwrap()), PRIVATE_FOLDER);
        assert_eq!(mode(&config), PRIVATE_FILE);
        assert_eq!(mode(&first.password_file()), PRIVATE_FILE);
        assert_eq!(fs::read_to_string(first.password_file()).unwrap(), password.reveal());
        drop(first);
        let second = take();
        assert_ne!(*second.password(), password);
        assert_eq!(fs::read_to_string(second.password_file()).unwrap(), second.password().reveal());
    }

    #[test]
    fn a_second_demo_is_told_who_has_the_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let first = Folder::take(temporary.path().join("demo")).unwrap();
        fs::write(first.data("left-over"), "x").unwrap();
        let error = Folder::take(temporary.path().join("demo")).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        let second = Folder::take(temporary.path().join("demo")).unwrap();
        assert!(!second.data("left-over").exists(), "the folder is emptied at start");
    }
}
