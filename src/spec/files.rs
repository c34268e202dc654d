//! The workspace's files as the core sees them: something that answers with bytes. The disk is one implementation
//! (room `watch`), [`MemoryFiles`] is another.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::people::file::{self, Columns, FileKind, FileProblem, Summary};

/// The folder of the specs, relative to the workspace.
pub const CAMPAIGNS: &str = "campaigns";

/// The engine's settings, relative to the workspace.
const SETTINGS: &str = "tidings.yaml";

/// The longest path that is accepted, in bytes (Linux's PATH_MAX is 4096).
const MAX_PATH: usize = 1024;

/// What a file is, without holding it: enough to know whether it changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileStamp {
    /// Its size in bytes.
    pub len: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl FileStamp {
    /// The stamp of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            len: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
        }
    }
}

/// Why one file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("there is no such file")]
    NotFound,
    /// The path, or a symlink on it, leads out of the workspace.
    #[error("the path leaves the workspace")]
    LeavesWorkspace,
    /// The path begins at the root of the disk (or names a drive).
    #[error("the path is absolute; name the file relative to the folder of the spec")]
    Absolute,
    /// The engine's own file: its state, sessions, settings or environment, or anything hidden.
    #[error("{0}; no spec may name it")]
    Private(&'static str),
    /// The path is empty, too long, or holds a character that no path may hold.
    #[error("{0}")]
    BadPath(String),
    /// More bytes than the caller accepts.
    #[error("the file has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        len: u64,
        /// The caller's limit in bytes.
        max: u64,
    },
    /// A folder, socket, device or pipe.
    #[error("this is not a regular file")]
    NotAFile,
    /// The system refuses; its own words.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

/// Why the folder of the specs cannot be listed. This is never the same as an empty folder: nothing is retired by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// There is no `campaigns/` folder.
    #[error("there is no folder `campaigns` in the workspace")]
    Missing,
    /// The folder, or one in it, cannot be read; the path and the system's own words.
    #[error("the folder `{path}` cannot be read: {reason}")]
    Unreadable {
        /// Relative to the workspace.
        path: String,
        /// The system's own words.
        reason: String,
    },
    /// More specs, folders or levels than the engine accepts.
    #[error("{0}")]
    TooMany(String),
}

/// What a check of an audience file has found: of its first rows, or why the whole of it cannot be used.
pub type PeopleCheck = Result<Summary, FileProblem>;

/// The files of one workspace at one moment. Paths are relative to the workspace, with forward slashes.
pub trait Files {
    /// The paths of all specs, `campaigns/**/*.yaml` and `.yml`, sorted; names that begin with `.` or `_`, folders
    /// included, are left out.
    ///
    /// # Errors
    /// Where the folder cannot be listed whole. An empty answer means an empty folder.
    fn specs(&self) -> Result<Vec<String>, FilesError>;

    /// The bytes of one file of at most `max` bytes; the size is asked before anything is read.
    ///
    /// # Errors
    /// See [`FileError`].
    fn read(&self, path: &str, max: u64) -> Result<Arc<[u8]>, FileError>;

    /// The size and digest of one file of any size, without holding it in memory.
    ///
    /// # Errors
    /// See [`FileError`].
    fn stamp(&self, path: &str) -> Result<FileStamp, FileError>;

    /// Opens one file of any size, to be read piece by piece.
    ///
    /// # Errors
    /// See [`FileError`].
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, FileError>;

    /// Checks the first [`file::MAX_CHECKED_ROWS`] rows of an audience file. Whoever has files that stay as they are
    /// between two questions answers the second one from memory.
    ///
    /// # Errors
    /// See [`FileError`].
    fn check_people(&self, path: &str, columns: &Columns) -> Result<Arc<PeopleCheck>, FileError> {
        let source = self.open(path)?;
        let kind = FileKind::of_path(path);
        Ok(Arc::new(file::check(
            source,
            kind,
            columns,
            file::MAX_CHECKED_ROWS,
        )))
    }
}

/// Whether a path (relative to the workspace) is one of a spec: under `campaigns/`, `.yaml` or `.yml`, and no part of
/// it hidden by a leading `.` or `_`.
pub fn is_spec_path(path: &str) -> bool {
    let Some(rest) = path
        .strip_prefix(CAMPAIGNS)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return false;
    };
    rest.split('/').all(|part| !is_ignored(part))
        && (rest.ends_with(".yaml") || rest.ends_with(".yml"))
}

/// Whether a file or folder of this name is left out: names that begin with `.` or `_`, and the empty name.
pub fn is_ignored(name: &str) -> bool {
    name.is_empty() || name.starts_with(['.', '_'])
}

/// The file's name without its last extension: what a campaign's `name` must equal.
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Why a spec may not name this file of the workspace, by its path alone: what would be said of it goes to strangers, and
/// hidden files (`.env`, `.git`) and the settings hold what nobody else may read. Links are the concern of whoever opens
/// the file; the folders behind a swapped link (`..data`) are none that a spec names.
pub fn private(path: &str) -> Option<FileError> {
    let why = if path.split('/').any(|part| part.starts_with('.')) {
        "names that begin with `.` are hidden"
    } else if path == SETTINGS {
        "this is the engine's settings"
    } else {
        return None;
    };
    Some(FileError::Private(why))
}

/// The workspace-relative path of the file that the spec at `spec_path` names by `relative`.
///
/// `.` and `..` are worked out on the text alone; symlinks are the concern of whoever opens the file.
///
/// # Errors
/// [`FileError::Absolute`], [`FileError::LeavesWorkspace`], [`FileError::BadPath`], [`FileError::Private`].
pub fn resolve(spec_path: &str, relative: &str) -> Result<String, FileError> {
    if relative.is_empty() {
        return Err(FileError::BadPath("the path is empty".to_owned()));
    }
    if relative.len() > MAX_PATH {
        return Err(FileError::BadPath(format!(
            "the path is longer than {MAX_PATH} bytes"
        )));
    }
    if relative.contains('\\') {
        return Err(FileError::BadPath(
            "the path holds a backslash; write folders with `/`".to_owned(),
        ));
    }
    if relative.chars().any(char::is_control) {
        return Err(FileError::BadPath(
            "the path holds a control character".to_owned(),
        ));
    }
    let drive =
        relative.as_bytes().get(1) == Some(&b':') && relative.as_bytes()[0].is_ascii_alphabetic();
    if relative.starts_with('/') || drive {
        return Err(FileError::Absolute);
    }
    if relative.starts_with("~/") {
        return Err(FileError::BadPath(
            "`~` is not replaced; name the file relative to the folder of the spec".to_owned(),
        ));
    }
    let mut parts: Vec<&str> = spec_path
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(FileError::LeavesWorkspace);
                }
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() || relative.ends_with('/') {
        return Err(FileError::NotAFile);
    }
    let path = parts.join("/");
    match private(&path) {
        Some(error) => Err(error),
        None => Ok(path),
    }
}

/// Files in memory, for tests and for previews of a version that is not on the disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Arc<[u8]>>,
    missing: bool,
}

impl MemoryFiles {
    /// A workspace with an empty `campaigns/` folder.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this file besides.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        self.put(path, bytes);
        self
    }

    /// Writes a file.
    pub fn put(&mut self, path: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.files.insert(path.into(), Arc::from(bytes.as_ref()));
    }

    /// Removes a file; whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }

    /// Makes the `campaigns/` folder missing, or puts it back.
    pub fn set_missing(&mut self, missing: bool) {
        self.missing = missing;
    }
}

impl Files for MemoryFiles {
    fn specs(&self) -> Result<Vec<String>, FilesError> {
        if self.missing {
            return Err(FilesError::Missing);
        }
        Ok(self
            .files
            .keys()
            .filter(|path| is_spec_path(path))
            .cloned()
            .collect())
    }

    fn read(&self, path: &str, max: u64) -> Result<Arc<[u8]>, FileError> {
        let bytes = self.find(path)?;
        let len = bytes.len() as u64;
        if len > max {
            Err(FileError::TooLarge { len, max })
        } else {
            Ok(Arc::clone(bytes))
        }
    }

    fn stamp(&self, path: &str) -> Result<FileStamp, FileError> {
        self.find(path).map(|bytes| FileStamp::of(bytes))
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, FileError> {
        let bytes = Arc::clone(self.find(path)?);
        Ok(Box::new(Cursor::new(bytes)))
    }
}

impl MemoryFiles {
    fn find(&self, path: &str) -> Result<&Arc<[u8]>, FileError> {
        if let Some(bytes) = self.files.get(path) {
            return Ok(bytes);
        }
        let folder = format!("{path}/");
        if self.files.keys().any(|known| known.starts_with(&folder)) {
            return Err(FileError::NotAFile);
        }
        Err(FileError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_from_the_folder_of_the_spec() {
        for (spec, relative, expected) in [
            (
                "campaigns/a.yaml",
                "templates/x.j2",
                Ok("campaigns/templates/x.j2"),
            ),
            ("campaigns/a.yaml", "./x.j2", Ok("campaigns/x.j2")),
            (
                "campaigns/growth/a.yaml",
                "../shared/x.j2",
                Ok("campaigns/shared/x.j2"),
            ),
            ("campaigns/a.yaml", "../data/x.csv", Ok("data/x.csv")),
            ("campaigns/a.yaml", "a//b", Ok("campaigns/a/b")),
            (
                "campaigns/a.yaml",
                "клиенты.csv",
                Ok("campaigns/клиенты.csv"),
            ),
            (
                "campaigns/a.yaml",
                "../../x",
                Err(FileError::LeavesWorkspace),
            ),
            (
                "campaigns/a.yaml",
                "x/../../../campaigns/y",
                Err(FileError::LeavesWorkspace),
            ),
            ("campaigns/a.yaml", "/etc/passwd", Err(FileError::Absolute)),
            ("campaigns/a.yaml", "C:/x", Err(FileError::Absolute)),
            ("campaigns/a.yaml", "..", Err(FileError::NotAFile)),
            ("campaigns/a.yaml", "templates/", Err(FileError::NotAFile)),
        ] {
            assert_eq!(
                resolve(spec, relative),
                expected.map(str::to_owned),
                "{relative}"
            );
        }
        for private in [
            "../.env",
            ".hidden/x.j2",
            "..data/x.j2",
            "../.git/config",
            "../tidings.yaml",
            "x/../../data/.x",
        ] {
            assert!(
                matches!(
                    resolve("campaigns/a.yaml", private),
                    Err(FileError::Private(_))
                ),
                "{private}"
            );
        }
        assert_eq!(
            resolve("campaigns/a.yaml", ".git/../tidings.yaml").as_deref(),
            Ok("campaigns/tidings.yaml")
        );
        for bad in ["", "a\\b", "a\0b", "~/x", &"x/".repeat(1000)] {
            assert!(
                matches!(resolve("campaigns/a.yaml", bad), Err(FileError::BadPath(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn specs_are_the_yaml_files_of_campaigns_without_hidden_names() {
        let files = MemoryFiles::new()
            .with("campaigns/b.yaml", "")
            .with("campaigns/a.yml", "")
            .with("campaigns/growth/c.yaml", "")
            .with("campaigns/_draft.yaml", "")
            .with("campaigns/.hidden/d.yaml", "")
            .with("campaigns/_parts/e.yaml", "")
            .with("campaigns/x.j2", "")
            .with("campaigns.yaml", "")
            .with("tidings.yaml", "");
        assert_eq!(
            files.specs().unwrap(),
            [
                "campaigns/a.yml",
                "campaigns/b.yaml",
                "campaigns/growth/c.yaml"
            ]
        );
    }

    #[test]
    fn a_missing_folder_is_not_an_empty_one() {
        let mut files = MemoryFiles::new();
        assert_eq!(files.specs(), Ok(vec![]));
        files.set_missing(true);
        assert_eq!(files.specs(), Err(FilesError::Missing));
    }

    #[test]
    fn a_read_keeps_to_the_callers_limit_and_a_stamp_does_not() {
        let files = MemoryFiles::new().with("campaigns/big.csv", vec![b'x'; 100]);
        assert_eq!(
            files.read("campaigns/big.csv", 99),
            Err(FileError::TooLarge { len: 100, max: 99 })
        );
        assert_eq!(files.read("campaigns/big.csv", 100).unwrap().len(), 100);
        assert_eq!(
            files.stamp("campaigns/big.csv").unwrap(),
            FileStamp::of(&[b'x'; 100])
        );
        assert_eq!(files.read("campaigns", 1), Err(FileError::NotAFile));
        assert_eq!(files.stamp("nowhere"), Err(FileError::NotFound));
    }

    #[test]
    fn a_stem_is_the_name_without_its_last_extension() {
        assert_eq!(stem("campaigns/growth/spring-launch.yaml"), "spring-launch");
        assert_eq!(stem("a.b.yml"), "a.b");
        assert_eq!(stem("plain"), "plain");
    }
}
