//! Named places where a test can make the store fail, and the count of what it costs.

use std::io;
use std::sync::Arc;

/// A place in the store where the disk is asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// Before a frame is written to the outbox.
    OutboxWrite,
    /// Before an outbox file is synced (`fdatasync`).
    OutboxSync,
    /// Before events are folded into the database.
    Fold,
    /// After events were folded, before their outbox files are dropped.
    Folded,
    /// Before the database is flushed and synced.
    DatabaseSync,
    /// Before a checkpoint takes its final name.
    Checkpoint,
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
