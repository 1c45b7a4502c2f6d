//! The run folder: data, logs, configuration, and the lock that keeps a second demo out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, io};

/// A locked, empty run folder. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
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
        for name in ["data", "logs", "config", "ledger.jsonl"] {
            let old = path.join(name);
            let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
            if old.exists() {
                removed.map_err(io(format!("remove {}", old.display())))?;
            }
        }
        for name in ["data", "logs", "config"] {
            fs::create_dir_all(path.join(name)).map_err(io("make the demo's folders"))?;
        }
        lock.set_len(0).map_err(io("write the lock"))?;
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(io("write the lock"))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Writes a service's configuration; JSON is YAML.
    pub fn config(&self, name: &str, config: &serde_json::Value) -> Result<PathBuf, Failure> {
        let path = self.path.join("config").join(format!("{name}.yaml"));
        let text = format!("{config:#}\n");
        fs::write(&path, text).map_err(io(format!("write {}", path.display())))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
