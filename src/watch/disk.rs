//! A workspace on the disk.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use crate::people::file::{self, Columns, FileKind};
use crate::spec::files::{
    CAMPAIGNS, FileError, FileStamp, Files, FilesError, PeopleCheck, is_ignored, private,
};

/// The deepest folder below `campaigns/`. Nobody sorts campaigns into more levels; a loop of symlinks would go on.
const MAX_DEPTH: usize = 16;

/// The most specs of one workspace: ten times what the engine is made for (1,000).
const MAX_SPECS: usize = 10_000;

/// The most folder entries looked at in one walk, so that a stray mount of a whole disk is noticed and not walked.
const MAX_ENTRIES: usize = 200_000;

/// The most bytes kept between two snapshots. 1,000 specs of 10 KB are 10 MB.
const MAX_CACHED: usize = 64 * 1024 * 1024;

/// The largest file whose bytes are kept: the limit of a spec.
const MAX_CACHED_FILE: u64 = 1024 * 1024;

/// The most bytes of what checks of audience files have found. One of a good file takes a few hundred.
const MAX_CHECKS: usize = 16 * 1024 * 1024;

/// A file that changed this short a time before it was read is read again next time: some file systems count time in
/// seconds, so that a second change need not show in its stamp (git calls such an entry 'racily clean').
const RACY: Duration = Duration::from_secs(2);

/// How often a file that changes while it is read is read again.
const MAX_TORN: usize = 4;

/// How often a walk starts again when folders vanish under it.
const MAX_WALKS: usize = 4;

/// How much is read at a time for a digest.
const CHUNK: usize = 128 * 1024;

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StatKey {
    dev: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    /// The change of the inode: unlike mtime it cannot be set back by a tool that keeps times.
    ctime: (i64, i64),
}

impl StatKey {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the last change is long enough ago to be told from a later one.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, _) = self.mtime.max(self.ctime);
        u64::try_from(seconds)
            .ok()
            .and_then(|s| UNIX_EPOCH.checked_add(Duration::from_secs(s)))
            .and_then(|changed| now.duration_since(changed).ok())
            .is_some_and(|age| age > RACY)
    }
}

#[derive(Debug)]
struct Cached {
    key: StatKey,
    bytes: Option<Arc<[u8]>>,
    stamp: Option<FileStamp>,
}

#[derive(Debug, Default)]
struct Cache {
    files: HashMap<PathBuf, Cached>,
    bytes: usize,
}

impl Cache {
    fn get(&self, path: &Path, key: &StatKey) -> Option<&Cached> {
        self.files.get(path).filter(|cached| cached.key == *key)
    }

    fn put(&mut self, path: PathBuf, cached: Cached) {
        let size = cached.bytes.as_ref().map_or(0, |b| b.len());
        if self.bytes + size > MAX_CACHED || self.files.len() >= MAX_SPECS * 4 {
            // A full cache is started anew: what is in use comes back with the next snapshot.
            self.files.clear();
            self.bytes = 0;
        }
        self.bytes += size;
        if let Some(old) = self.files.insert(path, cached) {
            self.bytes -= old.bytes.map_or(0, |b| b.len());
        }
    }
}

/// What a check depends on: the bytes, and how they are read.
type CheckKey = ([u8; 32], FileKind, Columns);

/// What was found in audience files, so that a reload does not read every list again.
#[derive(Debug, Default)]
struct Checks {
    done: HashMap<CheckKey, Arc<PeopleCheck>>,
    bytes: usize,
}

impl Checks {
    fn put(&mut self, key: CheckKey, check: Arc<PeopleCheck>) {
        let size = weight(&key, &check);
        if self.bytes + size > MAX_CHECKS {
            // As above: what is in use comes back.
            *self = Self::default();
        }
        self.bytes += size;
        if let Some(old) = self.done.insert(key.clone(), check) {
            self.bytes -= weight(&key, &old);
        }
    }
}

/// About how many bytes a check takes.
fn weight((_, _, columns): &CheckKey, check: &PeopleCheck) -> usize {
    let texts = |list: &[String]| list.iter().map(|text| text.len() + 24).sum::<usize>();
    let found = match check {
        Ok(summary) => {
            let bad = summary.bad.iter().map(|row| {
                let header = row.header.as_ref().map_or(0, String::len);
                row.found.len() + row.expected.len() + row.written.len() + header + 128
            });
            texts(&summary.header) + texts(&summary.fields) + bad.sum::<usize>()
        }
        // A problem quotes the header, which is a row, and a row is bounded.
        Err(_) => file::MAX_ROW,
    };
    256 + columns.map.values().map(String::len).sum::<usize>() + found
}

/// A workspace folder, and what was read of it before.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    private: Vec<(PathBuf, &'static str)>,
    cache: Mutex<Cache>,
    checks: Mutex<Checks>,
}

impl Workspace {
    /// The workspace at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            private: Vec::new(),
            cache: Mutex::default(),
            checks: Mutex::default(),
        }
    }

    /// The same workspace, of which nothing is read that is or lies in one of these; each with what it is, in words.
    #[must_use]
    pub fn without(mut self, private: Vec<(PathBuf, &'static str)>) -> Self {
        self.private = private;
        self
    }

    /// The folder as it was given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder as it is now. Symlinks on the way to it, and to `campaigns/`, are followed once: every file of one
    /// snapshot comes from the same side of a swap.
    pub fn snapshot(&self) -> Snapshot<'_> {
        let root = self
            .root
            .canonicalize()
            .unwrap_or_else(|_| self.root.clone());
        let campaigns = root.join(CAMPAIGNS).canonicalize();
        let real = |(path, what): &(PathBuf, &'static str)| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            (real, *what)
        };
        Snapshot {
            private: self.private.iter().map(real).collect(),
            workspace: self,
            root,
            campaigns,
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // A panic elsewhere leaves a cache, not a lie: entries are put in whole.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One look at a workspace.
#[derive(Debug)]
pub struct Snapshot<'w> {
    workspace: &'w Workspace,
    /// Without symlinks.
    root: PathBuf,
    /// Where `campaigns/` really is: anywhere, since the link to it is the operator's own.
    campaigns: io::Result<PathBuf>,
    /// What is never read, without symlinks.
    private: Vec<(PathBuf, &'static str)>,
}

impl Snapshot<'_> {
    /// The file's real path, if it is inside.
    fn locate(&self, path: &str) -> Result<PathBuf, FileError> {
        let relative = Path::new(path);
        if relative.is_absolute() {
            return Err(FileError::Absolute);
        }
        if relative
            .components()
            .any(|c| !matches!(c, Component::Normal(_) | Component::CurDir))
        {
            return Err(FileError::LeavesWorkspace);
        }
        if let Some(private) = private(path) {
            return Err(private);
        }
        let full = match (relative.strip_prefix(CAMPAIGNS), &self.campaigns) {
            (Ok(rest), Ok(campaigns)) => campaigns.join(rest),
            (Ok(_), Err(error)) => return Err(file_error(error)),
            (Err(_), _) => self.root.join(relative),
        };
        let real = full.canonicalize().map_err(|error| file_error(&error))?;
        if let Some(what) = self.guards(&real) {
            return Err(FileError::Private(what));
        }
        if self.holds(&real) {
            Ok(real)
        } else {
            Err(FileError::LeavesWorkspace)
        }
    }

    /// Opens one file of any size for reading, for whoever reads it piece by piece.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn open(&self, path: &str) -> Result<File, FileError> {
        open(&self.locate(path)?).map(|(file, _)| file)
    }

    /// What a file is that is never read. A folder that holds the workspace, or its `campaigns/`, guards nothing in that.
    fn guards(&self, real: &Path) -> Option<&'static str> {
        self.private
            .iter()
            .find(|(path, _)| {
                let inner = self.campaigns.as_ref().is_ok_and(|campaigns| {
                    campaigns.starts_with(path) && real.starts_with(campaigns)
                });
                let outer = self.root != *path
                    && self.root.starts_with(path)
                    && real.starts_with(&self.root);
                real.starts_with(path) && !inner && !outer
            })
            .map(|(_, what)| *what)
    }

    fn holds(&self, real: &Path) -> bool {
        real.starts_with(&self.root)
            || self
                .campaigns
                .as_ref()
                .is_ok_and(|campaigns| real.starts_with(campaigns))
    }

    fn walk(&self, campaigns: &Path) -> Result<Vec<String>, Walk> {
        let mut specs = Vec::new();
        let mut entries_seen = 0usize;
        let mut folders = vec![(campaigns.to_path_buf(), CAMPAIGNS.to_owned(), 0)];
        while let Some((folder, shown, depth)) = folders.pop() {
            let unreadable = |error: &io::Error| {
                if depth > 0 && error.kind() == io::ErrorKind::NotFound {
                    return Walk::Vanished;
                }
                Walk::Failed(FilesError::Unreadable {
                    path: shown.clone(),
                    reason: error.to_string(),
                })
            };
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&error))? {
                let entry = entry.map_err(|error| unreadable(&error))?;
                entries_seen += 1;
                if entries_seen > MAX_ENTRIES {
                    return Err(Walk::too_many(format!(
                        "`{CAMPAIGNS}` holds more than {MAX_ENTRIES} files and folders"
                    )));
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_ignored(&name) {
                    continue;
                }
                let path = format!("{shown}/{name}");
                let mut kind = entry.file_type().map_err(|error| unreadable(&error))?;
                if kind.is_symlink() {
                    // A link that leads nowhere, or out, is listed if it is called a spec: reading it says why not.
                    match entry.path().canonicalize() {
                        Ok(real) if real.is_dir() => {
                            if !self.holds(&real) {
                                let reason = "this symlink leaves the workspace".to_owned();
                                return Err(Walk::Failed(FilesError::Unreadable { path, reason }));
                            }
                            kind = fs::metadata(&real)
                                .map_err(|error| unreadable(&error))?
                                .file_type();
                        }
                        _ => {}
                    }
                }
                if kind.is_dir() {
                    if depth + 1 > MAX_DEPTH {
                        return Err(Walk::too_many(format!(
                            "`{path}` is more than {MAX_DEPTH} folders deep; is it a loop of symlinks?"
                        )));
                    }
                    folders.push((entry.path(), path, depth + 1));
                } else if path.ends_with(".yaml") || path.ends_with(".yml") {
                    specs.push(path);
                    if specs.len() > MAX_SPECS {
                        return Err(Walk::too_many(format!(
                            "`{CAMPAIGNS}` holds more than {MAX_SPECS} specs"
                        )));
                    }
                }
            }
        }
        specs.sort_unstable();
        Ok(specs)
    }
}

enum Walk {
    /// A folder went away while it was walked: what was seen is of two states.
    Vanished,
    Failed(FilesError),
}

impl Walk {
    fn too_many(text: String) -> Self {
        Self::Failed(FilesError::TooMany(text))
    }
}

fn file_error(error: &io::Error) -> FileError {
    match error.kind() {
        // A file on the way to another (`a.yaml/b`) means as little as an absent one.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::NotFound,
        _ => FileError::Unreadable(error.to_string()),
    }
}

/// The bytes of a file that the operator has named himself (`--config`, `.env`), which may be anywhere; at most `max`.
///
/// # Errors
/// See [`FileError`].
pub fn read_anywhere(path: &Path, max: u64) -> Result<Arc<[u8]>, FileError> {
    let real = path.canonicalize().map_err(|error| file_error(&error))?;
    read_whole(&real, max).map(|(_, bytes)| bytes)
}

/// The bytes of one state of a file, refused by its size before anything is read.
fn read_whole(real: &Path, max: u64) -> Result<(StatKey, Arc<[u8]>), FileError> {
    let too_large = |len: u64| FileError::TooLarge { len, max };
    untorn(real, |file, meta| {
        if meta.len() > max {
            return Err(too_large(meta.len()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| file_error(&error))?;
        if bytes.len() as u64 > max {
            Err(too_large(bytes.len() as u64))
        } else {
            Ok(Arc::from(bytes))
        }
    })
}

/// Opens a regular file, and nothing that could block or be a device.
fn open(real: &Path) -> Result<(File, Metadata), FileError> {
    // Without NONBLOCK opening a pipe would wait for its writer for ever.
    let flags =
        rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let before = fs::symlink_metadata(real).map_err(|error| file_error(&error))?;
    if !before.is_file() {
        return Err(FileError::NotAFile);
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(real)
        .map_err(|error| file_error(&error))?;
    let meta = file.metadata().map_err(|error| file_error(&error))?;
    if meta.is_file() {
        Ok((file, meta))
    } else {
        Err(FileError::NotAFile)
    }
}

/// Runs `read` on the open file until it saw one state of it from beginning to end.
fn untorn<T>(
    real: &Path,
    mut read: impl FnMut(File, &Metadata) -> Result<T, FileError>,
) -> Result<(StatKey, T), FileError> {
    for _ in 0..MAX_TORN {
        let (file, before) = open(real)?;
        let again = file.try_clone().map_err(|error| file_error(&error))?;
        let value = read(file, &before)?;
        let after = again.metadata().map_err(|error| file_error(&error))?;
        if StatKey::of(&before) == StatKey::of(&after) {
            return Ok((StatKey::of(&after), value));
        }
    }
    Err(FileError::Unreadable(
        "it is being written to all the time".to_owned(),
    ))
}

impl Files for Snapshot<'_> {
    fn specs(&self) -> Result<Vec<String>, FilesError> {
        let campaigns = match &self.campaigns {
            Ok(campaigns) => campaigns,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FilesError::Missing);
            }
            Err(error) => {
                return Err(FilesError::Unreadable {
                    path: CAMPAIGNS.to_owned(),
                    reason: error.to_string(),
                });
            }
        };
        for _ in 0..MAX_WALKS {
            match self.walk(campaigns) {
                Ok(specs) => return Ok(specs),
                Err(Walk::Failed(FilesError::Unreadable { path, .. }))
                    if path == CAMPAIGNS && !campaigns.exists() =>
                {
                    return Err(FilesError::Missing);
                }
                Err(Walk::Failed(error)) => return Err(error),
                Err(Walk::Vanished) => {}
            }
        }
        Err(FilesError::Unreadable {
            path: CAMPAIGNS.to_owned(),
            reason: "its folders keep changing while they are read".to_owned(),
        })
    }

    fn read(&self, path: &str, max: u64) -> Result<Arc<[u8]>, FileError> {
        let real = self.locate(path)?;
        let too_large = |len: u64| FileError::TooLarge { len, max };
        let meta = fs::metadata(&real).map_err(|error| file_error(&error))?;
        if let Some(bytes) = self
            .workspace
            .cache()
            .get(&real, &StatKey::of(&meta))
            .and_then(|c| c.bytes.clone())
        {
            return if bytes.len() as u64 > max {
                Err(too_large(bytes.len() as u64))
            } else {
                Ok(bytes)
            };
        }
        let (key, bytes) = read_whole(&real, max)?;
        if key.size <= MAX_CACHED_FILE && key.is_settled(SystemTime::now()) {
            let cached = Cached {
                key,
                bytes: Some(Arc::clone(&bytes)),
                stamp: None,
            };
            self.workspace.cache().put(real, cached);
        }
        Ok(bytes)
    }

    fn stamp(&self, path: &str) -> Result<FileStamp, FileError> {
        let real = self.locate(path)?;
        let meta = fs::metadata(&real).map_err(|error| file_error(&error))?;
        if let Some(cached) = self.workspace.cache().get(&real, &StatKey::of(&meta)) {
            if let Some(stamp) = &cached.stamp {
                return Ok(stamp.clone());
            }
            if let Some(bytes) = &cached.bytes {
                return Ok(FileStamp::of(bytes));
            }
        }
        let (key, stamp) = untorn(&real, |mut file, _| {
            let mut hash = Sha256::new();
            let mut chunk = vec![0u8; CHUNK];
            let mut len = 0u64;
            loop {
                match file.read(&mut chunk) {
                    Ok(0) => {
                        return Ok(FileStamp {
                            len,
                            sha256: hash.finalize().into(),
                        });
                    }
                    Ok(n) => {
                        hash.update(&chunk[..n]);
                        len += n as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(file_error(&error)),
                }
            }
        })?;
        if key.is_settled(SystemTime::now()) {
            self.workspace.cache().put(
                real,
                Cached {
                    key,
                    bytes: None,
                    stamp: Some(stamp.clone()),
                },
            );
        }
        Ok(stamp)
    }

    fn open(&self, path: &str) -> Result<Box<dyn io::Read + Send>, FileError> {
        Ok(Box::new(Snapshot::open(self, path)?))
    }

    fn check_people(&self, path: &str, columns: &Columns) -> Result<Arc<PeopleCheck>, FileError> {
        let kind = FileKind::of_path(path);
        let stamp = self.stamp(path)?;
        let key = (stamp.sha256, kind, columns.clone());
        if let Some(known) = self.workspace.checks().done.get(&key) {
            return Ok(Arc::clone(known));
        }
        let source = Snapshot::open(self, path)?;
        let found = Arc::new(file::check(source, kind, columns, file::MAX_CHECKED_ROWS));
        // What was read is what was digested, unless the file was written to meanwhile or could not be read.
        let unread = matches!(*found, Err(file::FileProblem::Unreadable(_)));
        if !unread && self.stamp(path)? == stamp {
            self.workspace.checks().put(key, Arc::clone(&found));
        }
        Ok(found)
    }
}
