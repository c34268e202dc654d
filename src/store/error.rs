//! What can go wrong in the store, each as a sentence for a person.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::Seq;

/// An error of the store. The texts are complete sentences for users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A read-only opener found no state.
    #[error("there is no state in {}: nothing has been run here yet", dir.display())]
    NotFound {
        /// The state folder that was looked for.
        dir: PathBuf,
    },
    /// Another process holds the state.
    #[error("the state in {} is in use by {}", dir.display(), holder(*pid))]
    Locked {
        /// The state folder.
        dir: PathBuf,
        /// The holder's process id, as far as the lock file tells it.
        pid: Option<u32>,
    },
    /// The state was written by a newer Tidings.
    #[error(
        "the state in {} has version {found}, but this program knows only versions up to {known}: use the newer Tidings that wrote it, or restore a backup",
        dir.display()
    )]
    NewerSchema {
        /// The state folder.
        dir: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version this program understands.
        known: u32,
    },
    /// A migration step failed; the copy made before it is named.
    #[error("the state could not be brought from version {from} to {to}: {cause}; a copy from before is in {}", backup.display())]
    Migration {
        /// Version before the step.
        from: u32,
        /// Version that the step leads to.
        to: u32,
        /// What went wrong.
        cause: String,
        /// Where the copy stands.
        backup: PathBuf,
    },
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The embedded database failed.
    #[error("the database failed to {action}: {cause}")]
    Database {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// The database's words.
        cause: String,
    },
    /// The embedded database cannot be opened, and it is not the system that refuses.
    #[error(
        "the database in {} is damaged and cannot be opened ({cause}). What is needed most stands beside it too: restore a \
         backup, and `tidings restore` unites it with what the outbox and the checkpoints hold (suppressions, erasures \
         and what was sent)",
        path.display()
    )]
    Unopenable {
        /// The database's folder.
        path: PathBuf,
        /// The database's words.
        cause: String,
    },
    /// A backup cannot be used.
    #[error("the backup {} cannot be used: {what}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Stored bytes are not what was written.
    #[error("the state is damaged: {place}: {what}; restore a backup, or look at the disk")]
    Corrupt {
        /// File and offset, or tree and key.
        place: String,
        /// What was found there.
        what: String,
    },
    /// Events are missing that nothing left on the disk can supply.
    #[error(
        "the journal is incomplete: {place} should go on with event {expected}, but {}; restore a backup before anything is sent",
        found_seq(*found)
    )]
    Gap {
        /// Where the gap was met.
        place: String,
        /// The sequence number that should have come.
        expected: Seq,
        /// The one that came instead; `None`: nothing came.
        found: Option<Seq>,
    },
    /// Events that were durable are gone from the end of the journal.
    #[error(
        "the state in {} has lost its newest events: it ends with event {found}, although event {known} was safe on the disk before. \
         A file in {} was emptied, cut short or taken away: put it back, or restore a backup. Where there is neither, \
         `tidings approve --new-state` goes on with what is left, after the accounts' dialogs since then were read; \
         opt-outs and erasures of that time are then to be entered again",
        dir.display(),
        dir.join("outbox").display()
    )]
    EventsLost {
        /// The state folder.
        dir: PathBuf,
        /// The last event that was known to be durable.
        known: Seq,
        /// The last event that is there.
        found: Seq,
    },
    /// An earlier failure closed the store for writing.
    #[error(
        "the state accepts no more writes since an earlier failure: {first}; mend that and start anew"
    )]
    Failed {
        /// The first failure.
        first: Arc<str>,
    },
    /// The state was opened for reading only.
    #[error("the state was opened for reading only")]
    ReadOnly,
    /// A value exceeds its limit.
    #[error("{what} has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// An event or value could not be encoded.
    #[error("cannot encode {what}: {cause}")]
    Encode {
        /// What was to be encoded.
        what: &'static str,
        /// The encoder's words.
        cause: String,
    },
    /// A sound event could not be understood; it was written by another version.
    #[error("event {seq} is not understood: {cause}; it may have been written by a newer Tidings")]
    Decode {
        /// The event.
        seq: Seq,
        /// The decoder's words.
        cause: String,
    },
    /// The store's thread has ended.
    #[error("the state is closed")]
    Closed,
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("another tidings, process {pid}"),
        None => "another process".to_owned(),
    }
}

fn found_seq(found: Option<Seq>) -> String {
    match found {
        Some(seq) => format!("event {seq} comes next"),
        None => "nothing follows".to_owned(),
    }
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, cause: &std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            cause: cause.to_string(),
        }
    }

    pub(crate) fn corrupt(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Corrupt {
            place: place.into(),
            what: what.into(),
        }
    }

    /// Whether this says that the disk or the database itself failed, so that nothing written
    /// afterwards could be trusted.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Io { .. } | Self::Database { .. } | Self::Unopenable { .. }
        )
    }
}

/// The store's one-way switch: the first fatal failure, kept for every later writer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<OnceLock<Arc<str>>>);

impl Failure {
    /// Remembers a fatal error (the first one wins) and hands it back.
    pub(crate) fn note(&self, error: StoreError) -> StoreError {
        if error.is_fatal() && self.0.set(error.to_string().into()).is_ok() {
            tracing::error!(error = %error, "the state accepts no more writes");
        }
        error
    }

    pub(crate) fn get(&self) -> Option<StoreError> {
        self.0.get().map(|first| StoreError::Failed {
            first: Arc::clone(first),
        })
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.get() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
