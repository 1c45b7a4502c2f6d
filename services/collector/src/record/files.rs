//! The files of a recording: one folder, named by time, each complete in itself up to a size.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use marketprism_core::Timestamp;
use marketprism_recording::{Record, Writer};
use marketprism_service::{Context, Report};

/// What recordings are called.
const EXTENSION: &str = "mprec";
/// A file is closed at this size …
const FILE_BYTES_MAX: u64 = 1 << 30;
/// … or after a day, so that a day can be taken away. What follows begins with the sessions that go on.
const FILE_AGE_MICROS_MAX: i64 = Timestamp::DAY_MICROS;
/// After a disk refused a write it is tried again after this; until then records are lost, and counted.
const RETRY_MICROS: i64 = 1_000_000;

/// The recording's folder and its open file.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    open: Option<Open>,
    /// Bytes of the files that are closed.
    closed_bytes: u64,
    /// Records that are in no file since the last that is in one.
    lost_records: u64,
    retry_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Open {
    writer: Writer,
    begun: Timestamp,
    /// Length when it was opened: a file of an earlier run is continued.
    earlier_bytes: u64,
}

impl Files {
    /// The folder, made if it is not there; whatever was recorded into it last is continued.
    pub(super) fn open(folder: &Path, now: Timestamp) -> Result<Self, Report> {
        fs::create_dir_all(folder).context(format_args!("failed to make {}", folder.display()))?;
        let mut files =
            Self { folder: folder.to_owned(), open: None, closed_bytes: 0, lost_records: 0, retry_at: None };
        let newest = newest(folder).context(format_args!("failed to list {}", folder.display()))?;
        match newest.map(|path| (Writer::open(&path), path)) {
            Some((Ok(writer), _)) if writer.bytes() < FILE_BYTES_MAX => {
                files.open = Some(Open { earlier_bytes: writer.bytes(), writer, begun: now });
            }
            Some((Err(error), path)) => {
                tracing::warn!(path = %path.display(), %error, "not continued: its end cannot be read");
            }
            Some((Ok(_), _)) | None => {}
        }
        // Fails at the start and not at the first frame.
        files.ready(now, Vec::new).context(format_args!("failed to write to {}", folder.display()))?;
        Ok(files)
    }

    /// Adds a record. A new file begins with the records that `head` gives. Records that the disk refuses are lost and told in
    /// the recording once it takes records again; the number lost now is returned.
    pub(super) fn write(&mut self, record: &Record, head: impl FnOnce() -> Vec<Record>) -> u64 {
        if self.retry_at.is_some_and(|retry_at| record.at < retry_at) {
            self.lost_records += 1;
            return 1;
        }
        let pending = self.open.as_ref().map_or(0, |open| u64::from(open.writer.pending_records()));
        match self.try_write(record, head) {
            Ok(()) => {
                self.retry_at = None;
                0
            }
            Err(error) => {
                tracing::error!(%error, folder = %self.folder.display(), "records lost: the disk refuses them");
                self.retry_at = Some(record.at.saturating_add_micros(RETRY_MICROS));
                self.lost_records += pending + 1;
                pending + 1
            }
        }
    }

    /// Records that never came here are missing, too.
    pub(super) fn lost(&mut self, records: u64) {
        self.lost_records += records;
    }

    fn try_write(&mut self, record: &Record, head: impl FnOnce() -> Vec<Record>) -> io::Result<()> {
        let lost = self.lost_records;
        let writer = self.ready(record.at, head)?;
        if lost > 0 {
            let what = marketprism_recording::What::Dropped { records: lost };
            writer.write(&Record { what, ..record.clone() })?;
        }
        writer.write(record)?;
        self.lost_records -= lost;
        Ok(())
    }

    /// The writer of the present file, or of a new one.
    fn ready(&mut self, now: Timestamp, head: impl FnOnce() -> Vec<Record>) -> io::Result<&mut Writer> {
        if let Some(open) = self.open.take_if(|open| open.is_full(now)) {
            self.closed_bytes += open.written();
            open.writer.finish()?;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let path = self.folder.join(format!("{}.{EXTENSION}", name(now)));
                let mut writer = Writer::open(&path).map_err(io::Error::other)?;
                for record in head() {
                    writer.write(&record)?;
                }
                Open { writer, begun: now, earlier_bytes: 0 }
            }
        };
        Ok(&mut self.open.insert(open).writer)
    }

    /// Writes what is pending, so that a crash costs no more than what has come since.
    pub(super) fn flush(&mut self) {
        let Some(open) = &mut self.open else { return };
        let pending = u64::from(open.writer.pending_records());
        if let Err(error) = open.writer.flush() {
            tracing::error!(%error, "records lost: the disk refuses them");
            self.lost_records += pending;
        }
    }

    /// Bytes written by this run.
    pub(super) fn bytes(&self) -> u64 {
        self.closed_bytes + self.open.as_ref().map_or(0, Open::written)
    }

    /// Writes what is pending and waits for the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        self.open.map_or(Ok(()), |open| open.writer.finish())
    }
}

impl Open {
    fn is_full(&self, now: Timestamp) -> bool {
        self.writer.bytes() >= FILE_BYTES_MAX || now.micros_since(self.begun) >= FILE_AGE_MICROS_MAX
    }

    fn written(&self) -> u64 {
        self.writer.bytes() - self.earlier_bytes
    }
}

/// `20261121T063328.123456Z`: sorted by name is sorted by time.
fn name(now: Timestamp) -> String {
    now.to_string().replace(['-', ':'], "")
}

fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            newest = newest.max(Some(path));
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use marketprism_recording::{Reader, What};

    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    fn at(after_micros: i64) -> Timestamp {
        Timestamp::from_micros(START + after_micros).unwrap()
    }

    fn record(after_micros: i64) -> Record {
        let what = What::Opened { link: after_micros.unsigned_abs() };
        Record {
            at: at(after_micros),
            integration: "binance_spot".into(),
            connection: "stream-0".into(),
            what,
        }
    }

    fn contents(folder: &Path) -> Vec<(String, Vec<What>)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let mut reader = Reader::new(fs::File::open(&path).unwrap()).unwrap();
                let mut found = Vec::new();
                while let Some(record) = reader.next_record().unwrap() {
                    found.push(record.what);
                }
                (path.file_name().unwrap().to_str().unwrap().to_owned(), found)
            })
            .collect();
        files.sort_by(|one, other| one.0.cmp(&other.0));
        files
    }

    #[test]
    fn a_new_file_begins_with_what_goes_on_and_an_old_one_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let none = Vec::new;
        let mut files = Files::open(folder.path(), at(0)).unwrap();
        assert_eq!(files.write(&record(1), none), 0);
        let tomorrow = FILE_AGE_MICROS_MAX + 5;
        assert_eq!(files.write(&record(tomorrow), || vec![record(7)]), 0);
        files.finish().unwrap();

        let mut files = Files::open(folder.path(), at(tomorrow + 9)).unwrap();
        assert_eq!(files.write(&record(tomorrow + 9), || unreachable!("the file is there")), 0);
        files.finish().unwrap();

        let link = |after_micros: i64| What::Opened { link: after_micros.unsigned_abs() };
        let found = contents(folder.path());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], ("20231114T221320.000000Z.mprec".to_owned(), vec![link(1)]));
        assert_eq!(found[1].1, [link(7), link(tomorrow), link(tomorrow + 9)]);
    }

    #[test]
    fn what_the_disk_refused_is_told_when_it_takes_records_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::open(folder.path(), at(0)).unwrap();
        // No file can be opened where the folder is gone.
        files.open = None;
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(files.write(&record(1), Vec::new), 1);
        assert_eq!(files.write(&record(2), Vec::new), 1, "not tried again at once");
        fs::create_dir_all(folder.path()).unwrap();
        files.lost(3);
        assert_eq!(files.write(&record(RETRY_MICROS + 1), Vec::new), 0);
        files.finish().unwrap();
        let found = contents(folder.path());
        assert_eq!(found[0].1[0], What::Dropped { records: 5 });
        assert_eq!(found[0].1.len(), 2);
    }
}
