//! The embedded database: opening it after whatever happened to it, catching its panics, and
//! syncing it for real (its own flush is `sync_file_range`, which does not outlive a power cut).

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::StoreError;
use super::codec::{seal, unseal};
use super::error::Failure;
use super::hooks::{Hooks, Point};
use super::trees::Record;

/// Memory for cached pages. The journal is written once and read once, indexes live in memory, so
/// that a big cache has nothing to cache.
const CACHE_BYTES: u64 = 32 << 20;
/// The database's own lock can outlive its handle for a moment within one process.
const LOCK_GRACE: Duration = Duration::from_secs(2);
/// Size of the database's log segments. Values of a quarter of it and more would become files of
/// their own, at one sync each; journal packs and audience segments stay below.
const SEGMENT_BYTES: usize = 2 << 20;

/// Rows copied in one step: a few MB of packs.
const COPY_ROWS: usize = 100;

/// One batch of changes to one tree: key, and the value or `None` to remove.
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The open database.
#[derive(Debug)]
pub(crate) struct Db {
    path: PathBuf,
    pub(super) db: RwLock<Option<sled::Db>>,
    failure: Failure,
    hooks: Hooks,
    /// Snapshots that could not be read and were put aside when it was opened.
    pub(super) damaged_snapshots: Vec<PathBuf>,
    /// Every tree that was handed out: [`super::rewrite`] exchanges what stands behind them.
    pub(super) slots: Mutex<Vec<(&'static str, Slot)>>,
    /// Readings under way.
    pub(super) readers: Arc<AtomicUsize>,
}

/// What stands behind a tree; empty while the database is written anew, and after that failed.
pub(super) type Slot = Arc<RwLock<Option<sled::Tree>>>;

/// A tree of the database whose values are sealed.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    name: &'static str,
    slot: Slot,
    failure: Failure,
    readers: Arc<AtomicUsize>,
}

pub(super) fn caught<T>(
    action: &'static str,
    work: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    let cause = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return Ok(value),
        // The database shows an I/O error in the notation of a debugger.
        Ok(Err(sled::Error::Io(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given");
            format!("it broke off: {words}")
        }
    };
    Err(StoreError::Database { action, cause })
}

impl Db {
    /// Opens the database folder, making it when absent.
    pub(crate) fn open(
        path: &Path,
        failure: Failure,
        hooks: Hooks,
    ) -> Result<(Self, Vec<PathBuf>), StoreError> {
        let removed = remove_partial_snapshots(path)?;
        let mut damaged_snapshots = Vec::new();
        let opened = match Self::open_sled(path) {
            Err(StoreError::Unopenable { .. }) if !snapshots(path)?.is_empty() => {
                // A snapshot is only a shortcut for reading the log.
                damaged_snapshots = put_snapshots_aside(path)?;
                Self::open_sled(path)?
            }
            opened => opened?,
        };
        let db = Self {
            path: path.to_owned(),
            db: RwLock::new(Some(opened)),
            failure,
            hooks,
            damaged_snapshots,
            slots: Mutex::default(),
            readers: Arc::default(),
        };
        db.tighten()?;
        Ok((db, removed))
    }

    pub(super) fn open_sled(path: &Path) -> Result<sled::Db, StoreError> {
        let started = Instant::now();
        loop {
            let config = sled::Config::new()
                .path(path)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE_BYTES)
                .segment_size(SEGMENT_BYTES)
                // The store decides when to flush.
                .flush_every_ms(None)
                .print_profile_on_drop(false);
            // Where the system refuses (no right, no room, no descriptor), the files may be sound.
            let mut refused = false;
            let opened = caught("open", || {
                config.open().inspect_err(|error| {
                    refused =
                        matches!(error, sled::Error::Io(cause) if cause.raw_os_error().is_some());
                })
            });
            match opened {
                Ok(db) => return Ok(db),
                Err(StoreError::Database { cause, .. })
                    if cause.contains("could not acquire lock")
                        && started.elapsed() < LOCK_GRACE =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(StoreError::Database { cause, .. })
                    if !refused && !cause.contains("could not acquire lock") =>
                {
                    return Err(StoreError::Unopenable {
                        path: path.to_owned(),
                        cause: in_short(&cause),
                    });
                }
                Err(StoreError::Database { action, cause }) => {
                    return Err(StoreError::Database {
                        action,
                        cause: format!("{cause} ({})", path.display()),
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Does something with the database itself.
    fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(StoreError::Closed)?;
        caught(action, || work(db))
    }

    pub(crate) fn tree(&self, name: &'static str) -> Result<Tree, StoreError> {
        let tree = self
            .with("open a tree", |db| db.open_tree(name))
            .map_err(|error| self.failure.note(error))?;
        let slot: Slot = Arc::new(RwLock::new(Some(tree)));
        self.slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, Arc::clone(&slot)));
        Ok(Tree {
            name,
            slot,
            failure: self.failure.clone(),
            readers: Arc::clone(&self.readers),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Copies every tree as it stands, in steps of some rows.
    pub(crate) fn copy_to(&self, other: &Db) -> Result<(), StoreError> {
        for name in self.with("list its trees", |db| Ok(db.tree_names()))? {
            let from = self.with("open a tree", |db| db.open_tree(&name))?;
            let to = other.with("open a tree", |db| db.open_tree(&name))?;
            let mut rows = from.iter();
            loop {
                let mut batch = sled::Batch::default();
                let mut count = 0;
                while count < COPY_ROWS
                    && let Some((key, value)) = caught("read", || rows.next().transpose())?
                {
                    batch.insert(key, value);
                    count += 1;
                }
                if count == 0 {
                    break;
                }
                caught("write", || to.apply_batch(batch))?;
            }
        }
        Ok(())
    }

    /// Flushes and syncs everything written so far, so that it outlives a power cut.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.hooks
            .at(Point::DatabaseSync)
            .map_err(|cause| StoreError::io("sync", &self.path, &cause))
            .and_then(|()| self.with("flush", |db| db.flush()))
            .and_then(|_| self.sync_files())
            .map_err(|error| self.failure.note(error))
    }

    fn sync_files(&self) -> Result<(), StoreError> {
        for entry in entries(&self.path)? {
            // Values that are files of their own (`blobs/`) are synced by the database itself.
            if entry.is_file() {
                File::open(&entry)
                    .and_then(|file| file.sync_data())
                    .or_else(gone)
                    .map_err(|cause| StoreError::io("sync", &entry, &cause))?;
            }
        }
        for dir in [self.path.clone(), self.path.join("blobs")] {
            File::open(&dir)
                .and_then(|dir| dir.sync_all())
                .or_else(gone)
                .map_err(|cause| StoreError::io("sync", &dir, &cause))?;
        }
        self.tighten()
    }

    /// The database makes its files readable for all; only the owner may read these.
    fn tighten(&self) -> Result<(), StoreError> {
        tighten(&self.path)
    }

    /// Bytes on the disk.
    pub(crate) fn size(&self) -> Result<u64, StoreError> {
        self.with("measure its size", |db| db.size_on_disk())
    }
}

/// Folders to 0700 and files to 0600, below and including `path`.
pub(crate) fn tighten(path: &Path) -> Result<(), StoreError> {
    let io = |cause: std::io::Error| StoreError::io("restrict access to", path, &cause);
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        // The database removes old snapshots and blobs by itself.
        Err(cause) => return gone(cause).map_err(io),
    };
    if meta.is_symlink() {
        return Ok(());
    }
    let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
    if meta.permissions().mode() & 0o7777 != wanted {
        fs::set_permissions(path, fs::Permissions::from_mode(wanted))
            .or_else(gone)
            .map_err(io)?;
    }
    if meta.is_dir() {
        for entry in entries(path)? {
            tighten(&entry)?;
        }
    }
    Ok(())
}

fn gone(cause: std::io::Error) -> std::io::Result<()> {
    match cause.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(cause),
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let io = |cause: std::io::Error| StoreError::io("list", dir, &cause);
    fs::read_dir(dir)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(io))
        .collect()
}

/// The first line of the database's words, which can go on with a debugger's notation of its memory.
fn in_short(cause: &str) -> String {
    /// Enough for a sentence.
    const MOST: usize = 160;
    let line = cause.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The database's snapshots.
fn snapshots(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let is_one = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("snap."))
    };
    Ok(entries(path)?.into_iter().filter(is_one).collect())
}

/// Puts all snapshots where the database does not find them. Answers where they stood.
fn put_snapshots_aside(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let state = path.parent().ok_or(StoreError::Closed)?;
    let found = snapshots(path)?;
    for snapshot in &found {
        super::salvage::put_aside(state, snapshot)?;
        tracing::warn!(file = %snapshot.display(), "a database snapshot is damaged and was put aside; the log is read instead");
    }
    Ok(found)
}

/// A snapshot whose writing was cut short makes the database refuse to open. It is only a
/// shortcut for reading the log, so that it can go.
fn remove_partial_snapshots(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut removed = Vec::new();
    for entry in entries(path)? {
        let partial = entry
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating"));
        if partial {
            fs::remove_file(&entry).map_err(|cause| StoreError::io("remove", &entry, &cause))?;
            tracing::warn!(file = %entry.display(), "removed a database snapshot whose writing was cut short");
            removed.push(entry);
        }
    }
    Ok(removed)
}

impl Tree {
    /// Does something with the tree itself.
    fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&sled::Tree) -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let tree = slot.as_ref().ok_or(StoreError::Closed)?;
        caught(action, || work(tree)).map_err(|error| self.failure.note(error))
    }

    fn broken(&self, key: &[u8], what: String) -> StoreError {
        StoreError::corrupt(format!("tree {}, key {}", self.name, show_key(key)), what)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with("read", |tree| tree.get(key))?
            .map(|value| unseal(key, &value).map_err(|what| self.broken(key, what)))
            .transpose()
    }

    /// Applies the changes, all or none as far as readers of this process can see.
    pub(crate) fn apply(&self, changes: Changes) -> Result<(), StoreError> {
        self.failure.check()?;
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), seal(&key, &value)?),
                None => batch.remove(key),
            }
        }
        self.with("write", |tree| tree.apply_batch(batch))
    }

    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.apply(vec![(key.to_vec(), Some(value.to_vec()))])
    }

    /// Key and value pairs with keys in `range`, ascending.
    pub(crate) fn range(
        &self,
        from: Vec<u8>,
        below: Option<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Record, StoreError>> + use<> {
        use std::ops::Bound;
        let bounds = (
            Bound::Included(from),
            below.map_or(Bound::Unbounded, Bound::Excluded),
        );
        Pairs::new(self, |tree| tree.range::<Vec<u8>, _>(bounds))
    }

    pub(crate) fn prefix(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Record, StoreError>> + use<> {
        Pairs::new(self, |tree| tree.scan_prefix(prefix))
    }

    /// The keys alone, without checking their values.
    pub(crate) fn keys(&self, from: Vec<u8>, below: Vec<u8>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with("read", |tree| {
            tree.range(from..below)
                .map(|pair| pair.map(|(key, _)| key.to_vec()))
                .collect()
        })
    }

    /// Flips a bit of a stored value, as a failing disk would.
    #[cfg(test)]
    pub(crate) fn damage(&self, key: &[u8]) {
        self.with("damage", |tree| {
            let mut value = tree.get(key)?.unwrap().to_vec();
            let at = value.len() / 2;
            value[at] ^= 1;
            tree.insert(key, value)
        })
        .unwrap();
    }

    /// The last key below or at `key`.
    pub(crate) fn key_at_or_before(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with("read", |tree| {
            tree.range(..=key.to_vec()).next_back().transpose()
        })
        .map(|pair| pair.map(|(key, _)| key.to_vec()))
    }

    /// The first key of all.
    pub(crate) fn first_key(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.with("read", sled::Tree::first)
            .map(|pair| pair.map(|(key, _)| key.to_vec()))
    }
}

struct Pairs {
    tree: Tree,
    /// `None` where there is no database behind the tree any more.
    iter: Option<sled::Iter>,
}

impl Drop for Pairs {
    fn drop(&mut self) {
        self.iter = None;
        self.tree.readers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pairs {
    fn new(tree: &Tree, iter: impl FnOnce(&sled::Tree) -> sled::Iter) -> Pairs {
        // Under the slot's lock, so that no reading begins while the database is exchanged.
        let slot = tree.slot.read().unwrap_or_else(PoisonError::into_inner);
        tree.readers.fetch_add(1, Ordering::AcqRel);
        let iter = slot.as_ref().map(iter);
        Pairs {
            tree: tree.clone(),
            iter,
        }
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut sled::Iter) -> Option<sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> Option<Result<Record, StoreError>> {
        let Some(iter) = &mut self.iter else {
            return Some(Err(StoreError::Closed));
        };
        let pair = caught("read", || step(iter).transpose());
        self.checked(pair)
    }

    fn checked(
        &self,
        pair: Result<Option<(sled::IVec, sled::IVec)>, StoreError>,
    ) -> Option<Result<Record, StoreError>> {
        match pair {
            Ok(None) => None,
            Ok(Some((key, value))) => Some(
                unseal(&key, &value)
                    .map(|raw| (key.to_vec(), raw))
                    .map_err(|what| self.tree.broken(&key, what)),
            ),
            Err(error) => Some(Err(self.tree.failure.note(error))),
        }
    }
}

impl Iterator for Pairs {
    type Item = Result<Record, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Iterator::next)
    }
}

impl DoubleEndedIterator for Pairs {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(DoubleEndedIterator::next_back)
    }
}

fn show_key(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if text.chars().all(|c| !c.is_control()) => format!("{text:?}"),
        _ => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
