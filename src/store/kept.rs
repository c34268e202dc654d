//! Answers of a model that came in and are not in the journal yet: a file each, written in the very moment.
//!
//! A file is sealed like a value of the database, so that one that was cut short counts as none. It holds personal data,
//! for milliseconds as a rule: until what it says is in the database and the journal.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::codec::{seal, unseal};
use crate::model::PersonId;

/// What the files stand in.
const FOLDER: &str = "answers";

/// The folder of answers that wait to be taken in.
#[derive(Debug, Clone)]
pub struct KeptAnswers(PathBuf);

/// The answer to one message of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName(String);

impl KeptName {
    /// By the account, the person and his message: its send-once key.
    pub fn new(account: &str, person: PersonId, message_id: i32) -> KeptName {
        let account = blake3::hash(account.as_bytes()).to_hex();
        KeptName(format!("{}.{message_id}.{}", person.0, &account[..16]))
    }
}

impl KeptAnswers {
    /// Those of a state. Nothing is made before the first is kept.
    pub fn of(state_dir: &Path) -> KeptAnswers {
        KeptAnswers(state_dir.join(FOLDER))
    }

    /// Writes an answer down. It survives the end of the process once the bytes are written, and a power cut once this
    /// returned.
    ///
    /// # Errors
    /// [`StoreError`] where the disk refuses.
    pub fn keep(&self, name: &KeptName, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.0.join(&name.0);
        let sealed = seal(name.0.as_bytes(), bytes)?;
        let write = || -> std::io::Result<()> {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.0)?;
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(&sealed)?;
            file.sync_data()?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|cause| StoreError::io("write", &path, &cause))
    }

    /// The answer of this name, where it was kept whole.
    pub fn get(&self, name: &KeptName) -> Option<Vec<u8>> {
        let sealed = fs::read(self.0.join(&name.0)).ok()?;
        unseal(name.0.as_bytes(), &sealed).ok()
    }

    /// Drops what is not needed any more.
    ///
    /// # Errors
    /// [`StoreError`] where the disk refuses.
    pub fn remove(&self, name: &KeptName) -> Result<(), StoreError> {
        remove(&self.0.join(&name.0))
    }

    /// Drops the answers to a person.
    ///
    /// # Errors
    /// [`StoreError`] where the disk refuses.
    pub fn remove_of(&self, person: PersonId) -> Result<(), StoreError> {
        let begins = format!("{}.", person.0);
        self.remove_where(|name| name.starts_with(&begins))
    }

    /// Drops all but these.
    ///
    /// # Errors
    /// [`StoreError`] where the disk refuses.
    pub fn remove_others(&self, wanted: &[KeptName]) -> Result<(), StoreError> {
        self.remove_where(|name| !wanted.iter().any(|wanted| wanted.0 == name))
    }

    fn remove_where(&self, unwanted: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(StoreError::io("read", &self.0, &cause)),
        };
        for entry in entries.flatten() {
            if unwanted(&entry.file_name().to_string_lossy()) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path, &cause))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_whole_or_not_at_all_and_goes_with_its_person() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptAnswers::of(dir.path());
        let name = |person| KeptName::new("sales-1", PersonId(person), 42);
        assert_eq!(kept.get(&name(1)), None);
        for person in [1, 11, 2] {
            kept.keep(&name(person), b"Ten euros.").unwrap();
        }
        assert_eq!(kept.get(&name(1)).as_deref(), Some(&b"Ten euros."[..]));
        assert_ne!(name(1), KeptName::new("sales-2", PersonId(1), 42));
        // Cut short by the end of the process.
        let path = dir.path().join(FOLDER).join(&name(2).0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(kept.get(&name(2)), None);
        // Nor does one file stand for another.
        fs::copy(dir.path().join(FOLDER).join(&name(1).0), &path).unwrap();
        assert_eq!(kept.get(&name(2)), None);
        kept.remove_of(PersonId(1)).unwrap();
        assert_eq!(kept.get(&name(1)), None);
        assert!(kept.get(&name(11)).is_some(), "another person's stays");
        kept.remove_others(&[name(11)]).unwrap();
        assert!(kept.get(&name(11)).is_some(), "it is wanted");
        kept.remove(&name(11)).unwrap();
        kept.remove(&name(11)).unwrap();
        assert_eq!(fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 0);
    }
}
