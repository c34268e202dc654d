//! Named places where a test can make the store fail, and the count of what it costs.

use std::io;
use std::sync::Arc;

/// A place in the store where the disk is asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// Before a frame is written to the outbox.
    OutboxWrite,
    /// After a frame was written, before anybody relies on it.
    OutboxWritten,
    /// Before an outbox file is synced (`fdatasync`).
    OutboxSync,
    /// After an outbox file was synced.
    OutboxSynced,
    /// Before events are folded into the database.
    Fold,
    /// After events were folded, before their outbox files are dropped.
    Folded,
    /// Before the database is flushed and synced.
    DatabaseSync,
    /// Before a checkpoint takes its final name.
    Checkpoint,
    /// After a checkpoint took its final name, before older ones are removed.
    CheckpointSaved,
    /// After the copy before a migration was made.
    MigrationCopied,
    /// After a migration's step, before the new version is written down.
    Migrated,
    /// After a backup was read, before the state that it makes is whole.
    Staged,
    /// Before the state made from a backup is the one that the next opening takes.
    Restore,
    /// After that.
    Restored,
    /// Before each part of a restored state takes its place.
    RestorePart,
}

impl Point {
    /// The failpoint's name (`FAILPOINTS`, in test builds only).
    pub fn name(self) -> &'static str {
        match self {
            Point::OutboxWrite => "outbox.write",
            Point::OutboxWritten => "outbox.written",
            Point::OutboxSync => "outbox.sync",
            Point::OutboxSynced => "outbox.synced",
            Point::Fold => "database.fold",
            Point::Folded => "database.folded",
            Point::DatabaseSync => "database.sync",
            Point::Checkpoint => "checkpoint.save",
            Point::CheckpointSaved => "checkpoint.saved",
            Point::MigrationCopied => "migration.copied",
            Point::Migrated => "migration.done",
            Point::Staged => "restore.staged",
            Point::Restore => "restore.commit",
            Point::Restored => "restore.committed",
            Point::RestorePart => "restore.part",
        }
    }
}

type Hook = dyn Fn(Point) -> io::Result<()> + Send + Sync;

/// Called at each [`Point`]; an error it returns is treated as the disk's own. Without one, which
/// is how the program runs, a point costs a null check.
#[derive(Clone, Default)]
pub struct Hooks(Option<Arc<Hook>>);

impl Hooks {
    /// Hooks that call `hook` at every point.
    pub fn new(hook: impl Fn(Point) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn at(&self, point: Point) -> io::Result<()> {
        // `return(28)`: the disk answers with this errno.
        fail::fail_point!(point.name(), |errno: Option<String>| {
            let errno = errno.and_then(|errno| errno.parse().ok());
            Err(io::Error::from_raw_os_error(errno.unwrap_or(5)))
        });
        match &self.0 {
            Some(hook) => hook(point),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Hooks(set)"
        } else {
            "Hooks"
        })
    }
}
